#!/usr/bin/env python3
"""Writes a golden case of a small random OpenCLIP model: a checkpoint in that library's layout, and what it computes.

    python open_clip_checkpoint.py OUT [--seed N]

OUT becomes a case folder (see tests/goldens/README.md). The two towers differ in width, heads and ratio inside, vision heads
follow from their width, and the padding of texts is part of the computation, as in the library. Biases and norms are moved
away from their trivial first values. A tolerance is written only when the model itself, in float64, stays within a quarter
of it. Needs torch, safetensors and open_clip_torch 3.3.0.
"""

import argparse
import json
from pathlib import Path

import open_clip
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file

MODEL = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {
        "image_size": [24, 32],
        "layers": 2,
        "width": 48,
        "head_width": 16,
        "mlp_ratio": 1.4584,
        "patch_size": 8,
    },
    "text_cfg": {"context_length": 10, "vocab_size": 160, "width": 32, "heads": 4, "layers": 2, "mlp_ratio": 2.0},
}
PREPROCESS = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
START, END = 158, 159
WHAT = {
    "patch_embeds": "patch conv output, raster order (no class token)",
    "vision_embeds": "class token + patches + positions",
    "vision_pre": "after the first layer norm",
    "vision_block_0": "output of vision block 0",
    "vision_last": "after the last block, before the last norm",
    "text_hidden_0": "output of text block 0, all places",
    "text_hidden_last": "after the final norm, all places",
    "image_embeds": "L2-normalised",
    "text_embeds": "L2-normalised",
    "logits_per_image": "scaled similarities image x text",
    "logits_per_text": "its transpose",
    "loss": "symmetric cross-entropy",
}


def build(seed):
    torch.manual_seed(seed)
    model = CLIP(**MODEL).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
        model.logit_scale.fill_(1.25)
    return model


def inputs(seed):
    generator = torch.Generator().manual_seed(seed + 1)
    text = torch.zeros(3, MODEL["text_cfg"]["context_length"], dtype=torch.int64)
    for row, words in enumerate([4, 8, 1]):
        ids = torch.randint(2, START, (words,), generator=generator)
        text[row, : words + 2] = torch.cat([torch.tensor([START]), ids, torch.tensor([END])])
    height, width = MODEL["vision_cfg"]["image_size"]
    return torch.randn(3, 3, height, width, generator=generator), text


def compute(model, image, text):
    got, hooks = {}, []

    def keep(module, name, of=lambda output: output):
        hooks.append(module.register_forward_hook(lambda _m, _i, output: got.__setitem__(name, of(output))))

    visual = model.visual
    keep(visual.conv1, "patch_embeds", lambda x: x.flatten(2).transpose(1, 2))
    hooks.append(visual.ln_pre.register_forward_hook(lambda _m, args, _o: got.__setitem__("vision_embeds", args[0])))
    keep(visual.ln_pre, "vision_pre")
    keep(visual.transformer.resblocks[0], "vision_block_0")
    keep(visual.transformer.resblocks[-1], "vision_last")
    keep(model.transformer.resblocks[0], "text_hidden_0")
    keep(model.ln_final, "text_hidden_last")
    with torch.no_grad():
        got["image_embeds"] = model.encode_image(image, normalize=True)
        got["text_embeds"] = model.encode_text(text, normalize=True)
        got["logits_per_image"], got["logits_per_text"] = model.get_logits(image, text)
        diagonal = torch.arange(len(text))
        each = [torch.nn.functional.cross_entropy(got[f"logits_per_{side}"], diagonal) for side in ("image", "text")]
        got["loss"] = sum(each) / 2
    for hook in hooks:
        hook.remove()
    return got


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    model, (image, text) = build(options.seed), inputs(options.seed)
    single = compute(model, image, text)
    state = {name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()}
    double = compute(model.double(), image.double(), text)
    expected = {}
    for name, what in WHAT.items():
        value, exact = single[name], double[name]
        atol = float(f"{2e-5 * max(1.0, value.abs().max().item()):.1e}")
        error = (value - exact).abs().max().item()
        assert error < atol / 4, f"{name}: float64 differs by {error:g}"
        expected[name] = {"what": f"float32 {list(value.shape)}: {what}", "atol": atol, "rtol": 1e-4}

    folder = options.out / "model"
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": MODEL, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(state, folder / "open_clip_model.safetensors")
    save_file({"image": image, "text": text}, options.out / "inputs.safetensors")
    save_file({name: single[name].float().contiguous() for name in WHAT}, options.out / "expected.safetensors")
    case = {
        "family": "clip",
        "name": options.out.name.removeprefix("clip-"),
        "what": "layout of OpenCLIP: fused projections in attention, projections as matrices, towers of other ratios, a picture "
        "that is not square, quick activation, padded texts without a mask",
        "reference": f"open_clip_torch {open_clip.__version__}, torch {torch.__version__.split('+')[0]} CPU float32",
        "task": "embed",
        "options": {},
        "inputs": {
            "image": f"float32 {list(image.shape)}: as named in the reference",
            "text": f"int64 {list(text.shape)}: start, words, end, padding 0",
        },
        "stages": list(WHAT),
        "expected": expected,
    }
    (options.out / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main()
