#!/usr/bin/env python3
"""Writes the golden adapters: what PEFT saves for tiny golden checkpoints, and what the reference computes with it.

    python lora_cases.py GOLDENS [NAME...]

GOLDENS is tests/goldens; each adapter becomes GOLDENS/lora/NAME: `adapter_config.json` and `adapter_model.safetensors` as PEFT
saves them, `adapter.json` with the golden case that is its base, and `expected.safetensors` with what the model computes with
the adapter beside its weights, not merged. Needs torch, transformers 5.24 and peft 0.21.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForImageTextToText, BlipForConditionalGeneration

STEPS = 6
# Enough to change tokens, and little enough to leave the model what it is.
STD = 0.1
# How far apart the two best logits are at least.
MARGIN = 0.02

# Name, base, class, settings; whether the answer must differ from that of the base.
CASES = {
    "plain": ("qwen2_vl-multi-449", AutoModelForImageTextToText, dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    "patterns": (
        "qwen2_5_vl-batch-523",
        AutoModelForImageTextToText,
        dict(
            r=4,
            lora_alpha=6,
            use_rslora=True,
            target_modules=r".*language_model.*\.(q_proj|k_proj|o_proj|gate_proj|down_proj)",
            rank_pattern={"k_proj": 2, r"layers\.1\.mlp\.(gate|down)_proj": 3, "layers.0.self_attn.q_proj": 5},
            alpha_pattern={"down_proj": 12, r"^model\.language_model\.layers\.\d+\.self_attn\.o_proj": 2},
        ),
    ),
    "everything": (
        "pixtral-multi-hf",
        AutoModelForImageTextToText,
        dict(r=2, lora_alpha=4, target_modules="all-linear", bias="all", fan_in_fan_out=True),
    ),
    "tower": (
        "qwen2_vl-multi-449",
        AutoModelForImageTextToText,
        dict(r=3, lora_alpha=3, target_modules=r".*visual.*(proj|qkv|fc1|fc2|mlp\.0|mlp\.2)", bias="lora_only"),
    ),
    "one-layer": (
        "qwen3_vl-multi",
        AutoModelForImageTextToText,
        dict(
            r=4,
            lora_alpha=8,
            target_modules=["q_proj", "up_proj"],
            layers_to_transform=[1, 3],
            layers_pattern="layers",
            lora_bias=False,
        ),
    ),
    "own-head": (
        "qwen2_vl-tied-text",
        AutoModelForImageTextToText,
        dict(r=4, lora_alpha=8, target_modules=["v_proj"], modules_to_save=["lm_head"]),
    ),
    "own-table": (
        "qwen2_vl-tied-text",
        AutoModelForImageTextToText,
        dict(r=4, lora_alpha=8, target_modules=["v_proj"], modules_to_save=["embed_tokens"]),
    ),
    "table": (
        "qwen3_vl-batch-tied",
        AutoModelForImageTextToText,
        dict(r=4, lora_alpha=8, target_modules=["embed_tokens", "k_proj"]),
    ),
    "half": ("qwen2_5_vl-bf16", AutoModelForImageTextToText, dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "qkv"])),
    "biases": (
        "clip-quickgelu",
        AutoModel,
        dict(r=2, lora_alpha=4, target_modules=["q_proj", "fc1", "visual_projection"], lora_bias=False, bias="all"),
    ),
    "lora-bias": (
        "blip-caption",
        BlipForConditionalGeneration,
        dict(r=2, lora_alpha=3, target_modules=["qkv", "query", "dense"], lora_bias=True, use_rslora=True),
    ),
}


def given(case, inputs):
    """The arguments of the reference for a case's inputs."""
    given = dict(inputs)
    if case["family"] == "blip":
        return {"pixel_values": inputs["pixel_values"], "input_ids": inputs["decoder_input_ids"], "attention_mask": inputs["decoder_attention_mask"]}
    if case["family"].startswith("qwen"):
        ids = given["input_ids"]
        config = json.loads((args.goldens / case["base"] / "model/config.json").read_text())
        image, video = config["image_token_id"], config["video_token_id"]
        given["mm_token_type_ids"] = (ids == image).int() + 2 * (ids == video).int()
    return given


def write(name, seed=0):
    base, kind, settings = CASES[name]
    folder = args.goldens / base
    case = json.loads((folder / "case.json").read_text()) | {"base": base}
    torch.manual_seed(sum(map(ord, name)) + 1000 * seed)
    model = kind.from_pretrained(folder / "model", dtype=torch.float32).eval()
    inputs = given(case, load_file(folder / "inputs.safetensors"))
    with torch.no_grad():
        without = model(**inputs)
    model = get_peft_model(model, LoraConfig(task_type=None, base_model_name_or_path="org/base", **settings)).eval()
    layers = [m for m in model.modules() if isinstance(m, LoraLayer)]
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_" in key or "modules_to_save" in key or parameter.requires_grad:
                parameter.add_(STD * torch.randn_like(parameter) * (0.2 if "lora_" not in key else 1))
        after = model(**inputs)
    expected = {}
    if "logits" in case["stages"]:
        mask = inputs["attention_mask"].unsqueeze(-1).float()
        expected["logits"] = after.logits * mask
        changed = (after.logits - without.logits).abs().max().item()
    else:
        for key in ("image_embeds", "text_embeds", "logits_per_image"):
            expected[key] = getattr(after, key)
        changed = (after.text_embeds - without.text_embeds).abs().max().item()
    assert changed > 0.01, changed
    if "greedy_ids" in case["stages"]:
        if case["family"] == "blip":
            options = case["options"]
            ids = model.base_model.model.generate(
                pixel_values=inputs["pixel_values"], max_length=options["max_length"], do_sample=False, num_beams=1
            )
            print(name, "greedy", ids)
        else:
            done = model.generate(
                **inputs, max_new_tokens=STEPS, do_sample=False, eos_token_id=None, pad_token_id=0,
                return_dict_in_generate=True, output_logits=True,
            )  # fmt: skip
            expected["greedy_ids"] = done.sequences[:, inputs["input_ids"].shape[1] :]
            top = torch.stack(done.logits, 1).topk(2, -1).values
            margin = (top[..., 0] - top[..., 1]).min().item()
            # Rounding must not decide between two tokens, and no answer may be a picture's place.
            if margin < MARGIN or expected["greedy_ids"].min() < 10:
                return write(name, seed + 1)
    to = args.goldens / "lora" / name
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    model.save_pretrained(to, safe_serialization=name != "one-layer")
    (to / "README.md").unlink(missing_ok=True)
    config = json.loads((to / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "org/base"
    for key in ("target_modules", "modules_to_save"):
        if isinstance(config[key], list):
            config[key].sort()
    (to / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({k: (v.detach().float() if v.is_floating_point() else v.clone()).contiguous() for k, v in expected.items()}, to / "expected.safetensors")
    about = {"base": base, "reference": "peft 0.21.2, transformers 5.24.0, torch CPU float32", "layers": len(layers)}
    # What merging them gives: the same but for rounding, except where two layers share a matrix of the base.
    merged = model.merge_and_unload()
    with torch.no_grad():
        again = merged(**inputs)
    key = "logits" if "logits" in case["stages"] else "text_embeds"
    about["merged_differs_by"] = float(f"{(getattr(again, key) - getattr(after, key)).abs().max().item():.1e}")
    (to / "adapter.json").write_text(json.dumps(about, indent=1) + "\n")
    size = sum(f.stat().st_size for f in to.iterdir())
    print(f"{name}: {len(layers)} layers, changed by {changed:.3f}, merged differs by {about['merged_differs_by']}, {size} bytes")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("goldens", type=Path)
parser.add_argument("names", nargs="*")
args = parser.parse_args()
for chosen in args.names or CASES:
    write(chosen)
