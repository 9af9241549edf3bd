#!/usr/bin/env python3
"""Writes a checkpoint in the published shape of Qwen2.5-VL-3B with random weights: as fast as the real one.

    python random_checkpoint.py OUT --ranks qwen.tiktoken [--layers N] [--seed N]

OUT gets config, tokenizer, template, preprocessing and one bfloat16 file of 7.5 GB, written tensor by tensor. Names and
config are laid out as in the published files, which every program reads. `--layers 2` makes a small one, to try scripts
out. The ranks come with the PyPI package dashscope (dashscope/resources/qwen.tiktoken). Needs torch and transformers 5.
"""

import argparse
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from small_checkpoint import TEMPLATE, tokenizer  # noqa: E402

VISION = {
    "depth": 32, "hidden_act": "silu", "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "in_chans": 3,
    "out_hidden_size": 2048, "patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14,
    "temporal_patch_size": 2, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2,
}  # fmt: skip
CONFIG = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl", "torch_dtype": "bfloat16",
    "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
    "num_key_value_heads": 2, "vocab_size": 151936, "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 1e6,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "tie_word_embeddings": True, "use_cache": True,
    "max_position_embeddings": 128000, "max_window_layers": 70, "sliding_window": 32768, "use_sliding_window": False,
    "attention_dropout": 0.0, "initializer_range": 0.02, "bos_token_id": 151643, "eos_token_id": 151645,
    "vision_start_token_id": 151652, "vision_end_token_id": 151653, "vision_token_id": 151654,
    "image_token_id": 151655, "video_token_id": 151656, "vision_config": VISION,
}  # fmt: skip
PREPROCESSING = {
    "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor",
    "min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
}  # fmt: skip
GENERATION = {"bos_token_id": 151643, "pad_token_id": 151643, "eos_token_id": [151645, 151643], "do_sample": False}
# Standard deviation of weights and biases; gains of norms are one.
SPREAD = 0.02

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def linear(name: str, rows: int, columns: int, bias: bool) -> Shapes:
    yield f"{name}.weight", (rows, columns)
    if bias:
        yield f"{name}.bias", (rows,)


def language(config: dict) -> Shapes:
    width, wide = config["hidden_size"], config["intermediate_size"]
    narrow = width // config["num_attention_heads"] * config["num_key_value_heads"]
    yield "model.embed_tokens.weight", (config["vocab_size"], width)
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        yield f"{at}.input_layernorm.weight", (width,)
        for name, rows in (("q", width), ("k", narrow), ("v", narrow)):
            yield from linear(f"{at}.self_attn.{name}_proj", rows, width, bias=True)
        yield from linear(f"{at}.self_attn.o_proj", width, width, bias=False)
        yield f"{at}.post_attention_layernorm.weight", (width,)
        for name, rows, columns in (("gate", wide, width), ("up", wide, width), ("down", width, wide)):
            yield from linear(f"{at}.mlp.{name}_proj", rows, columns, bias=False)
    yield "model.norm.weight", (width,)


def vision(config: dict) -> Shapes:
    width, wide, side = config["hidden_size"], config["intermediate_size"], config["patch_size"]
    yield "visual.patch_embed.proj.weight", (width, 3, config["temporal_patch_size"], side, side)
    for block in range(config["depth"]):
        at = f"visual.blocks.{block}"
        yield f"{at}.norm1.weight", (width,)
        yield from linear(f"{at}.attn.qkv", 3 * width, width, bias=True)
        yield from linear(f"{at}.attn.proj", width, width, bias=True)
        yield f"{at}.norm2.weight", (width,)
        for name, rows, columns in (("gate", wide, width), ("up", wide, width), ("down", width, wide)):
            yield from linear(f"{at}.mlp.{name}_proj", rows, columns, bias=True)
    merged = width * config["spatial_merge_size"] ** 2
    yield "visual.merger.ln_q.weight", (width,)
    yield from linear("visual.merger.mlp.0", merged, merged, bias=True)
    yield from linear("visual.merger.mlp.2", config["out_hidden_size"], merged, bias=True)


def write_weights(path: Path, shapes: list[tuple[str, tuple[int, ...]]], seed: int) -> None:
    """A safetensors file, one tensor in memory at a time."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes:
        end = offset + 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = torch.Generator().manual_seed(seed)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes:
            gain = len(shape) == 1 and name.endswith(".weight")
            values = torch.ones(shape) if gain else torch.empty(shape).normal_(0, SPREAD, generator=random)
            file.write(values.bfloat16().view(torch.int16).numpy().tobytes())


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("out", type=Path)
    parse.add_argument("--ranks", type=Path, required=True)
    parse.add_argument("--layers", type=int)
    parse.add_argument("--seed", type=int, default=0)
    given = parse.parse_args()
    config = dict(CONFIG)
    if given.layers:
        deep = {"depth": given.layers, "fullatt_block_indexes": [given.layers - 1]}
        config |= {"num_hidden_layers": given.layers, "vision_config": VISION | deep}
    given.out.mkdir(parents=True, exist_ok=True)
    made = tokenizer(given.ranks)
    made.chat_template = TEMPLATE
    made.save_pretrained(given.out)
    for name, content in (
        ("config", config),
        ("preprocessor_config", PREPROCESSING),
        ("generation_config", GENERATION),
        ("chat_template", {"chat_template": TEMPLATE}),
    ):
        (given.out / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    shapes = [*language(config), *vision(config["vision_config"])]
    write_weights(given.out / "model.safetensors", shapes, given.seed)


if __name__ == "__main__":
    main()
