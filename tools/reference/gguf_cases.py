#!/usr/bin/env python3
"""Writes the small GGUF files below tests/goldens/gguf from the golden checkpoints, with the published converter.

    python gguf_cases.py --converter LLAMA_CPP [--goldens tests/goldens]

LLAMA_CPP is a source tree of llama.cpp (`convert_hf_to_gguf.py`, `conversion/`, `gguf-py/`), as the source package
`llama-cpp-python` carries it under `vendor/`. The golden checkpoints have no vocabulary: one of characters and a few
merges is put beside them, whose special tokens have the ids that the configs name. The name of the rule that cuts text
into words is given, since the converter only knows it from published vocabularies.

Needs torch and transformers 5.
"""

import argparse
import json
import runpy
import shutil
import sys
import tempfile
from pathlib import Path

CHATML = {
    0: "<|endoftext|>", 1: "<|im_start|>", 2: "<|im_end|>", 6: "<|vision_end|>", 7: "<|vision_start|>",
    8: "<|image_pad|>", 9: "<|video_pad|>",
}  # fmt: skip
MISTRAL = {
    0: "<unk>", 1: "<s>", 2: "</s>", 3: "[INST]", 4: "[/INST]", 10: "[IMG]", 11: "<pad>", 12: "[IMG_BREAK]",
    13: "[IMG_END]",
}  # fmt: skip
CHATML_TEMPLATE = """\
{%- for message in messages %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}{% else %}
{%- for part in message['content'] %}{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>
{%- else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
MISTRAL_TEMPLATE = """\
{{ bos_token }}{%- for message in messages %}[INST]
{%- if message['content'] is string %}{{ message['content'] }}{% else %}
{%- for part in message['content'] %}{% if part['type'] == 'image' %}[IMG]{% else %}{{ part['text'] }}{% endif %}
{%- endfor %}{% endif %}[/INST]{% endfor %}"""

# Golden checkpoint, special tokens, end of an answer, rule for words, template.
CASES = [
    ("qwen2_vl-multi-449", CHATML, 2, "qwen2", CHATML_TEMPLATE),
    ("qwen2_vl-tied-text", CHATML, 2, "qwen2", CHATML_TEMPLATE),
    ("qwen2_5_vl-multi-449", CHATML, 2, "qwen2", CHATML_TEMPLATE),
    ("qwen3_vl-multi", CHATML, 2, "qwen2", CHATML_TEMPLATE),
    ("pixtral-multi-hf", MISTRAL, 2, "pixtral", MISTRAL_TEMPLATE),
]
FIRST = 14  # the id of the first character


def tokenizer(special: dict[int, str]) -> dict:
    """A byte-level tokenizer of characters, in the form of tokenizer.json."""
    characters = [chr(256 + ord(" ")), chr(256 + ord("\n")), *map(chr, range(ord("!"), ord("~") + 1))]
    merges = [("t", "h"), ("th", "e"), (characters[0], "the")]
    pieces = characters + [left + right for left, right in merges]
    return {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [
            {"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
            for i, t in special.items()
        ],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": {t: i for i, t in special.items()} | {p: FIRST + i for i, p in enumerate(pieces)},
            "merges": merges,
        },
    }  # fmt: skip


def convert(converter: Path, model: Path, out: Path) -> None:
    for name, flags in (("model.gguf", []), ("mmproj.gguf", ["--mmproj"])):
        sys.argv = ["convert_hf_to_gguf.py", str(model), "--outfile", str(out / name), "--outtype", "f32", *flags]
        runpy.run_path(str(converter / "convert_hf_to_gguf.py"), run_name="__main__")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--converter", type=Path, required=True)
    parser.add_argument("--goldens", type=Path, default=Path(__file__).resolve().parents[2] / "tests/goldens")
    args = parser.parse_args()
    sys.path[:0] = [str(args.converter), str(args.converter / "gguf-py")]
    import conversion.base as base  # noqa: PLC0415

    # The converter looks for the adapter's two matrices among the numbers of layers, of which the smallest case has two.
    names = base.gguf.get_tensor_name_map
    base.gguf.get_tensor_name_map = lambda arch, layers: names(arch, max(layers, 3))
    for case, special, end, rule, template in CASES:
        base.TextModel.get_vocab_base_pre = lambda _self, _tokenizer, rule=rule: rule
        out = args.goldens / "gguf" / case
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            # The file's metadata name the model by its folder.
            model = Path(folder) / "tiny"
            shutil.copytree(args.goldens / case / "model", model)
            files = {
                "tokenizer.json": tokenizer(special),
                "tokenizer_config.json": {
                    "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": special[end],
                    "bos_token": special[1], "added_tokens_decoder": {
                        str(i): {"content": t, "special": True, "normalized": False} for i, t in special.items()
                    },
                },
                "preprocessor_config.json": {
                    "image_mean": [0.48145466, 0.4578275, 0.40821073],
                    "image_std": [0.26862954, 0.26130258, 0.27577711],
                },
            }  # fmt: skip
            for name, content in files.items():
                (model / name).write_text(json.dumps(content))
            (model / "chat_template.jinja").write_text(template)
            convert(args.converter, model, out)


if __name__ == "__main__":
    main()
