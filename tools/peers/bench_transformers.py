#!/usr/bin/env python3
"""Measures Hugging Face transformers on the CPU: one line of JSON, see work.py.

    python bench_transformers.py --model FOLDER [--dtype bf16|f32] [--image-size WxH] [--tokens N] [--threads N]
"""

import io
import time

import work

DTYPES = {"bf16": "bfloat16", "f32": "float32"}
given = work.arguments(__doc__.splitlines()[0], lambda parse: parse.add_argument("--dtype", choices=DTYPES, default="bf16"))

import torch  # noqa: E402 - after the number of threads is set
import transformers  # noqa: E402
from PIL import Image  # noqa: E402
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer  # noqa: E402
from transformers import StoppingCriteria, StoppingCriteriaList  # noqa: E402

TEXT_TOKENS = 30  # and one on either side of the picture


class Stamps(StoppingCriteria):
    """Notes when each token is there; stops nothing."""

    def __init__(self):
        self.times = []

    def __call__(self, input_ids, scores, **_):
        self.times.append(time.perf_counter())
        return torch.zeros(input_ids.shape[0], dtype=torch.bool)


class Clocked:
    """How long the vision tower takes."""

    def __init__(self, tower):
        self.seconds = 0.0
        tower.register_forward_pre_hook(lambda *_: setattr(self, "start", time.perf_counter()))
        tower.register_forward_hook(lambda *_: setattr(self, "seconds", time.perf_counter() - self.start))


def prompt(tokenizer, size) -> torch.Tensor:
    text = (tokenizer(work.PROMPT).input_ids * 2)[:TEXT_TOKENS]
    start, pad, end = tokenizer.convert_tokens_to_ids(["<|vision_start|>", "<|image_pad|>", "<|vision_end|>"])
    return torch.tensor([[start, *[pad] * work.image_tokens(size), end, *text]])


def run(model, tokenizer, processor, tower, size, tokens: int, seed: int) -> dict[str, float]:
    ids, shown = prompt(tokenizer, size), work.picture(size, seed)
    start = time.perf_counter()
    seen = processor(images=[shown], return_tensors="pt")
    preprocess_s = time.perf_counter() - start
    pad = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    stamps = Stamps()
    with torch.inference_mode():
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=(ids == pad).int(),
            pixel_values=seen["pixel_values"].to(model.dtype),
            image_grid_thw=seen["image_grid_thw"],
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            do_sample=False,
            stopping_criteria=StoppingCriteriaList([stamps]),
        )
    first, last = stamps.times[0], stamps.times[-1]
    return {
        "preprocess_s": preprocess_s,
        "encode_s": tower.seconds,
        "prefill_tok_s": ids.shape[1] / (first - start - preprocess_s - tower.seconds),
        "decode_tok_s": (len(stamps.times) - 1) / (last - first),
        "ttft_s": first - start,
    }


def intake(processor, size) -> dict[str, float]:
    """Millions of pixels a second from a file in memory to patches, on one thread; the middle of five."""
    torch.set_num_threads(1)
    rates = {}
    for name, kind in (("png_mpx_s", "PNG"), ("jpeg_mpx_s", "JPEG")):
        file = io.BytesIO()
        work.picture(size).save(file, kind, **({"quality": 90} if kind == "JPEG" else {}))
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            processor(images=[Image.open(io.BytesIO(file.getvalue())).convert("RGB")], return_tensors="pt")
            seconds.append(time.perf_counter() - start)
        rates[name] = round(size[0] * size[1] / 1e6 / sorted(seconds)[2], 3)
    return rates


def main() -> None:
    torch.set_num_threads(given.threads)
    start = time.perf_counter()
    dtype = getattr(torch, DTYPES[given.dtype])
    model = AutoModelForImageTextToText.from_pretrained(given.model, dtype=dtype).eval()
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    processor = AutoImageProcessor.from_pretrained(given.model)
    load_s = round(time.perf_counter() - start, 3)
    tower = Clocked(model.model.visual)
    run(model, tokenizer, processor, tower, work.WARM_UP_SIZE, work.WARM_UP_TOKENS, seed=0)
    runs = []
    for seed in range(given.runs):
        runs.append(run(model, tokenizer, processor, tower, given.size, given.tokens, seed))
        work.note(seed, **runs[-1])
    peak = work.peak_gib()
    version = f"transformers {transformers.__version__}, torch {torch.__version__}"
    rates = intake(processor, given.size)
    facts = dict(peer="transformers", version=version, weights=given.dtype, load_s=load_s, peak_rss_gb=peak)
    work.tell(given, runs, **facts, **rates)


if __name__ == "__main__":
    main()
