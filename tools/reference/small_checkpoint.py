#!/usr/bin/env python3
"""Writes a small random Qwen2-VL or Qwen2.5-VL checkpoint as the reference library saves one, and what it answers.

    python small_checkpoint.py OUT --ranks qwen.tiktoken --picture a.png --picture b.png
        [--family qwen2_5_vl|qwen2_vl] [--tied] [--shards] [--dtype float32|bfloat16] [--published] [--seed N]

OUT gets model, tokenizer, template and preprocessing (`save_pretrained` of model and processor). Standard output gets
JSON: for a question without a picture, one about the first picture and one about all of them, the prompt's ids, the
ids of the greedy answer, the smallest gap between the two best logits, and the grids. `ocellus ask -m OUT
--format json --max-tokens 16 --temperature 0` must give the same. The whole vocabulary is used, so that a token id
means what it means in a published model. `--published` writes a generation_config.json that samples, as published
models have, with a repetition penalty that is honoured in the answers.

Pictures are scaled by Pillow; give lossless ones, since decoders of JPEG differ in the last bit and random models turn
on it. Needs torch, torchvision, transformers 5 and pillow.
"""

import argparse
import base64
import json
import sys
from pathlib import Path

import torch
from PIL import Image
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
FIRST_SPECIAL = 151643
VOCABULARY = 151680  # the ids above, and a few that nothing stands for

TEMPLATE = """\
{%- set count = namespace(image=0, video=0) -%}
{%- for message in messages -%}
{%- if loop.first and message['role'] != 'system' %}<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif -%}
<|im_start|>{{ message['role'] }}
{% if message['content'] is string -%}
{{ message['content'] }}<|im_end|>
{% else -%}
{% for part in message['content'] -%}
{% if part['type'] == 'image' or 'image' in part or 'image_url' in part -%}
{% set count.image = count.image + 1 -%}
{% if add_vision_id %}Picture {{ count.image }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part['type'] == 'video' or 'video' in part -%}
{% set count.video = count.video + 1 -%}
{% if add_vision_id %}Video {{ count.video }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>
{%- elif 'text' in part -%}
{{ part['text'] }}
{%- endif -%}
{% endfor %}<|im_end|>
{% endif -%}
{% endfor -%}
{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def byte_alphabet() -> dict[int, str]:
    """The character that stands for each byte in a byte-level vocabulary: itself if it prints, else one from 256 on."""
    prints = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in prints]
    return {b: chr(b) for b in prints} | {b: chr(256 + i) for i, b in enumerate(others)}


def pieces(token: bytes, ranks: dict[bytes, int]) -> list[bytes]:
    """What is left of a token's bytes when everything of a better rank is merged: the two sides of its own merge."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while True:
        at = [(ranks.get(a + b, len(ranks)), i) for i, (a, b) in enumerate(zip(parts, parts[1:]))]
        best, i = min(at, default=(len(ranks), 0))
        if best >= ranks[token]:
            return parts
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def tokenizer(ranks_file: Path) -> Qwen2Tokenizer:
    lines = (line.split() for line in ranks_file.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    letters = byte_alphabet()
    text = lambda token: "".join(letters[byte] for byte in token)
    merges = []
    for token in sorted(ranks, key=ranks.get):
        sides = pieces(token, ranks) if len(token) > 1 else []
        if len(sides) == 2:
            merges.append((text(sides[0]), text(sides[1])))
    vocabulary = {text(token): rank for token, rank in ranks.items()}
    assert len(vocabulary) == FIRST_SPECIAL
    vocabulary |= {token: id for id, token in enumerate(SPECIAL, FIRST_SPECIAL)}
    made = Qwen2Tokenizer(vocab=vocabulary, merges=merges, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    made.add_special_tokens({"additional_special_tokens": SPECIAL[1:]})
    for id, token in enumerate(SPECIAL, FIRST_SPECIAL):
        found = made.convert_tokens_to_ids(token)
        assert found == id, f"{token} is {found}, not {id}"
    return made


def config(family: str, tied: bool):
    text = dict(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=112, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, max_window_layers=3, rms_norm_eps=1e-6,
        sliding_window=4096, use_sliding_window=False,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
    )  # fmt: skip
    if family == "qwen2_5_vl":
        vision = dict(
            depth=4, hidden_size=32, intermediate_size=44, num_heads=2, out_hidden_size=64, window_size=112,
            fullatt_block_indexes=[1, 3], tokens_per_second=2,
        )  # fmt: skip
        return Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied)
    vision = dict(depth=3, embed_dim=32, hidden_size=64, mlp_ratio=4, num_heads=2)
    return Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied)


@torch.no_grad()
def randomise(model, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    for name, weight in sorted(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=random)
        if weight.dim() == 1:
            weight.copy_((1.0 if name.endswith("weight") else 0.0) + 0.2 * noise)
        elif "embed_tokens" in name or "lm_head" in name:
            weight.copy_(noise)
        else:
            weight.copy_(noise * (1.6 / weight[0].numel() ** 0.5))


def answer(model, processor, question: str, pictures: list[Image.Image], tokens: int) -> dict:
    content = [{"type": "image"} for _ in pictures] + [{"type": "text", "text": question}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(text=[prompt], images=pictures or None, return_tensors="pt")
    made = model.generate(
        **inputs, do_sample=False, max_new_tokens=tokens, return_dict_in_generate=True, output_scores=True
    )
    start = inputs["input_ids"].shape[1]
    ids = made.sequences[0, start:].tolist()
    best = [step[0].topk(2).values for step in made.scores]
    return {
        "question": question,
        "pictures": len(pictures),
        "prompt_ids": inputs["input_ids"][0].tolist(),
        "grids": inputs["image_grid_thw"].tolist() if pictures else [],
        "token_ids": ids,
        "text": processor.tokenizer.decode(ids, skip_special_tokens=True),
        "smallest_gap": round(min(float(a - b) for a, b in best), 4),
    }


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("out", type=Path)
    parse.add_argument("--ranks", type=Path, required=True)
    parse.add_argument("--picture", type=Path, action="append", default=[])
    parse.add_argument("--family", choices=["qwen2_5_vl", "qwen2_vl"], default="qwen2_5_vl")
    parse.add_argument("--tied", action="store_true")
    parse.add_argument("--shards", action="store_true")
    parse.add_argument("--published", action="store_true")
    parse.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parse.add_argument("--seed", type=int, default=0)
    parse.add_argument("--tokens", type=int, default=16)
    args = parse.parse_args()
    newer = args.family == "qwen2_5_vl"
    shape = config(args.family, args.tied)
    model = (Qwen2_5_VLForConditionalGeneration if newer else Qwen2VLForConditionalGeneration)(shape)
    randomise(model, args.seed)
    model.tie_weights()
    model = model.to(getattr(torch, args.dtype)).eval()
    ends = {"eos_token_id": [FIRST_SPECIAL + 2, FIRST_SPECIAL], "pad_token_id": FIRST_SPECIAL, "bos_token_id": FIRST_SPECIAL}
    sampling = {"do_sample": True, "temperature": 0.01, "top_k": 1, "top_p": 0.001, "repetition_penalty": 1.05}
    model.generation_config = GenerationConfig(**ends, **(sampling if args.published else {}))
    processor = (Qwen2_5_VLProcessor if newer else Qwen2VLProcessor)(
        image_processor=Qwen2VLImageProcessorPil(),
        tokenizer=tokenizer(args.ranks),
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=TEMPLATE,
    )
    model.save_pretrained(args.out, max_shard_size="20MB" if args.shards else "5GB")
    processor.save_pretrained(args.out)
    # The stored numbers are what counts; the arithmetic is in float32.
    model = model.float()
    pictures = [Image.open(path).convert("RGB") for path in args.picture]
    asked = [("What is the capital of France?", []), ("What does it say? 这是什么？", pictures[:1])]
    asked += [("Compare the two pictures.", pictures)] if len(pictures) > 1 else []
    answers = [answer(model, processor, question, shown, args.tokens) for question, shown in asked]
    json.dump(answers, sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
