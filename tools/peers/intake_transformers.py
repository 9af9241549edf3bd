#!/usr/bin/env python3
"""Milliseconds from picture files to patches in Hugging Face transformers on one thread, the best of fifteen.

    python intake_transformers.py --model FOLDER FILE...

FOLDER needs `preprocessor_config.json` alone. The columns are those of `crates/ocellus-media/examples/intake_speed.rs`; the processor
resizes and cuts in one call, which stands under `patches_ms`.
"""

import argparse
import io
import os
import time

os.environ["OMP_NUM_THREADS"] = "1"

import torch  # noqa: E402 - after the number of threads is set
from PIL import Image  # noqa: E402
from transformers import AutoImageProcessor  # noqa: E402

RUNS = 15


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--model", required=True)
    parse.add_argument("files", nargs="+")
    given = parse.parse_args()
    torch.set_num_threads(1)
    processor = AutoImageProcessor.from_pretrained(given.model)
    print("program,file,decode_ms,resize_ms,patches_ms,whole_ms")
    for path in given.files:
        with open(path, "rb") as file:
            content = file.read()
        best = [float("inf")] * 3
        for _ in range(RUNS):
            start = time.perf_counter()
            picture = Image.open(io.BytesIO(content)).convert("RGB")
            decoded = time.perf_counter()
            processor(images=[picture], return_tensors="pt")
            end = time.perf_counter()
            best = [min(pair) for pair in zip(best, (decoded - start, end - decoded, end - start))]
        decode, patches, whole = (1e3 * seconds for seconds in best)
        print(f"transformers,{path},{decode:.2f},,{patches:.2f},{whole:.2f}", flush=True)


if __name__ == "__main__":
    main()
