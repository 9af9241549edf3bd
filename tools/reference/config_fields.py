"""The fields of the reference library's configuration classes, with their defaults in several of its versions.

Makes `crates/ocellus-models/src/config/classes.json`, which says for every class that our families read which fields it has
beside those of the library's base class, and what a field is where a file leaves it out. No model is built and no tensor library
is needed.

    for v in 4.45.2 4.49.0 4.52.4 4.57.6 5.24.0; do
        python3 -m venv venv-$v && venv-$v/bin/pip install transformers==$v pillow
        venv-$v/bin/python tools/reference/config_fields.py dump > fields-$v.json
    done
    python3 tools/reference/config_fields.py merge fields-*.json > crates/ocellus-models/src/config/classes.json
"""

import inspect
import json
import sys

# Module below `transformers.models`, class. What a version does not have is left out.
CLASSES = [
    ("qwen2_vl", "Qwen2VLConfig"),
    ("qwen2_vl", "Qwen2VLTextConfig"),
    ("qwen2_vl", "Qwen2VLVisionConfig"),
    ("qwen2_5_vl", "Qwen2_5_VLConfig"),
    ("qwen2_5_vl", "Qwen2_5_VLTextConfig"),
    ("qwen2_5_vl", "Qwen2_5_VLVisionConfig"),
    ("qwen3_vl", "Qwen3VLConfig"),
    ("qwen3_vl", "Qwen3VLTextConfig"),
    ("qwen3_vl", "Qwen3VLVisionConfig"),
    ("llava", "LlavaConfig"),
    ("pixtral", "PixtralVisionConfig"),
    ("mistral", "MistralConfig"),
    ("clip", "CLIPConfig"),
    ("clip", "CLIPTextConfig"),
    ("clip", "CLIPVisionConfig"),
    ("vilt", "ViltConfig"),
    ("blip", "BlipConfig"),
    ("blip", "BlipTextConfig"),
    ("blip", "BlipVisionConfig"),
    ("blip_2", "Blip2Config"),
    ("blip_2", "Blip2QFormerConfig"),
    ("blip_2", "Blip2VisionConfig"),
    ("opt", "OPTConfig"),
    ("t5", "T5Config"),
]


def plain(value):
    """A default as JSON; what has no such form is left out."""
    if value is inspect.Parameter.empty:
        return None
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return None


def fields(config):
    """The fields of a configuration under the names that its files have, with the defaults that its class declares.

    What the class computes from other fields has no default, and neither have its parts.
    """
    own = {key for key in vars(config) if not key.startswith("_")} | set(config.to_dict())
    declared = {key: p.default for key, p in inspect.signature(type(config).__init__).parameters.items()}
    classes = reversed(type(config).__mro__)
    declared.update({key: value for c in classes for key, value in vars(c).items() if key in own and not callable(value)})
    defaults = {name: plain(declared.get(name)) for name in own}
    return {name: None if isinstance(value, dict) else value for name, value in defaults.items()}


def base_fields(module):
    base = getattr(module, "PretrainedConfig", None) or getattr(module, "PreTrainedConfig")
    return fields(base())


def dump():
    import importlib

    import transformers
    from transformers import configuration_utils

    base = base_fields(configuration_utils)
    classes = {}
    for module, name in CLASSES:
        try:
            found = importlib.import_module(f"transformers.models.{module}.configuration_{module}")
            config = getattr(found, name)()
        except (ImportError, AttributeError):
            continue
        own = fields(config)
        # A field of the base class counts where this class has a default of its own for it.
        own = {k: v for k, v in own.items() if k not in base or v not in (None, base[k])}
        classes[name] = own
    print(json.dumps({"version": transformers.__version__, "base": base, "classes": classes}, sort_keys=True))


def merged(dumps, pick):
    """`field: [[first version, default], ...]`: a new entry where the default changed; null where there is none."""
    out = {}
    for name in sorted({name for d in dumps for name in pick(d)}):
        entries = []
        for d in dumps:
            if name not in pick(d):
                continue
            entry = pick(d)[name]
            if not entries or entries[-1][1] != entry:
                entries.append([d["version"], entry])
        out[name] = entries
    return out


def merge(files):
    dumps = [json.load(open(file)) for file in files]
    dumps.sort(key=lambda d: [int(part) for part in d["version"].split(".")])
    names = [name for _, name in CLASSES]
    lines = ["{"]
    lines.append('  "versions": ' + json.dumps([d["version"] for d in dumps]) + ",")
    lines.append('  "base": ' + json.dumps(sorted({k for d in dumps for k in d["base"]})) + ",")
    lines.append('  "classes": {')
    for name in names:
        lines.append(f'    "{name}": {{')
        table = merged(dumps, lambda d: d["classes"].get(name, {}))
        rows = [f"      {json.dumps(field)}: {json.dumps(entries)}" for field, entries in table.items()]
        lines.append(",\n".join(rows))
        lines.append("    }" + ("," if name != names[-1] else ""))
    lines.append("  }")
    lines.append("}")
    print("\n".join(lines))


if __name__ == "__main__":
    if sys.argv[1:] == ["dump"]:
        dump()
    elif len(sys.argv) > 2 and sys.argv[1] == "merge":
        merge(sys.argv[2:])
    else:
        sys.exit(__doc__)
