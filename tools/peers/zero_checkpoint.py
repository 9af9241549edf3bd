#!/usr/bin/env python3
"""Writes a checkpoint in the published shape of Pixtral-12B whose weights are all zero: whether one so large loads, and into what memory.

    python zero_checkpoint.py OUT --tekken tekken.json

OUT gets `params.json`, `tekken.json` and one bfloat16 file of 25 GB that takes no room on a disk that keeps sparse files. What such a model
says means nothing, and it is no measure of speed. The vocabulary comes with the PyPI package mistral-common
(mistral_common/data/tekken_240911.json). Needs Python alone.
"""

import argparse
import json
import math
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

VISION = {
    "hidden_size": 1024, "num_channels": 3, "image_size": 1024, "patch_size": 16, "rope_theta": 10000.0,
    "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "adapter_bias": True,
    "image_token_id": 10,
}  # fmt: skip
PARAMS = {
    "dim": 5120, "n_layers": 40, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32, "n_kv_heads": 8, "norm_eps": 1e-5,
    "vocab_size": 131072, "rope_theta": 1e9, "vision_encoder": VISION,
}  # fmt: skip

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def block(at: str, width: int, wide: int, queries: int, keys: int) -> Shapes:
    for name, shape in (("wq", (queries, width)), ("wk", (keys, width)), ("wv", (keys, width)), ("wo", (width, queries))):
        yield f"{at}.attention.{name}.weight", shape
    for name, shape in (("w1", (wide, width)), ("w2", (width, wide)), ("w3", (wide, width))):
        yield f"{at}.feed_forward.{name}.weight", shape
    for name in ("attention_norm", "ffn_norm"):
        yield f"{at}.{name}.weight", (width,)


def shapes() -> Shapes:
    eye, side, width = VISION["hidden_size"], VISION["patch_size"], PARAMS["dim"]
    yield "vision_encoder.patch_conv.weight", (eye, VISION["num_channels"], side, side)
    yield "vision_encoder.ln_pre.weight", (eye,)
    for layer in range(VISION["num_hidden_layers"]):
        yield from block(f"vision_encoder.transformer.layers.{layer}", eye, VISION["intermediate_size"], eye, eye)
    for name, inner in (("w_in", eye), ("w_out", width)):
        yield f"vision_language_adapter.{name}.weight", (width, inner)
        yield f"vision_language_adapter.{name}.bias", (width,)
    yield "tok_embeddings.weight", (PARAMS["vocab_size"], width)
    queries, keys = (PARAMS["head_dim"] * PARAMS[heads] for heads in ("n_heads", "n_kv_heads"))
    for layer in range(PARAMS["n_layers"]):
        yield from block(f"layers.{layer}", width, PARAMS["hidden_dim"], queries, keys)
    yield "norm.weight", (width,)
    yield "output.weight", (PARAMS["vocab_size"], width)


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("out", type=Path)
    parse.add_argument("--tekken", type=Path, required=True)
    given = parse.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(given.tekken, given.out / "tekken.json")
    (given.out / "params.json").write_text(json.dumps(PARAMS, indent=2) + "\n")
    header, end = {}, 0
    for name, shape in shapes():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (given.out / "consolidated.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


if __name__ == "__main__":
    main()
