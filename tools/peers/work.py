"""The work that every program does, and the line of JSON that tells how long it took.

One picture, a prompt of about 32 tokens beside the picture's, a number of tokens generated greedily, batch of one.
The line has: `encode_s` (vision tower), `prefill_tok_s`, `decode_tok_s` (tokens behind the first), `ttft_s` (pixels to the
first token), `load_s`, `peak_rss_gb`, and where a program can tell them `preprocess_s`, `png_mpx_s`, `jpeg_mpx_s` (a file
in memory to patches, one thread). Over several runs the middle value counts.
"""

import argparse
import json
import os
import resource
import statistics
import sys

PROMPT = (
    "Describe this picture in detail and list every object that you can see in it , "
    "from left to right , with its colour and its size ."
)
# Pixels of a side of what becomes one image token.
CELL_PX = 28
# Small enough to cost nothing, large enough to touch every weight once.
WARM_UP_SIZE = (CELL_PX * 4, CELL_PX * 4)
WARM_UP_TOKENS = 2


def arguments(description: str, more=lambda parse: None) -> argparse.Namespace:
    """Reads the command line and holds every thread pool to `--threads`; call it before importing the program."""
    parse = argparse.ArgumentParser(description=description)
    parse.add_argument("--model", required=True)
    parse.add_argument("--image-size", default="1092x784", help="multiples of 28")
    parse.add_argument("--tokens", type=int, default=64)
    parse.add_argument("--threads", type=int, default=os.cpu_count())
    parse.add_argument("--runs", type=int, default=1)
    more(parse)
    given = parse.parse_args()
    given.size = tuple(int(side) for side in given.image_size.split("x"))
    if any(side % CELL_PX for side in given.size):
        parse.error(f"--image-size: {given.image_size} is no multiple of {CELL_PX}")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(given.threads)
    return given


def image_tokens(size: tuple[int, int]) -> int:
    return size[0] // CELL_PX * (size[1] // CELL_PX)


def picture(size: tuple[int, int], seed: int = 0):
    """Gradients, rectangles and noise, so that a file of it is neither tiny nor incompressible."""
    import numpy
    from PIL import Image

    random = numpy.random.default_rng(seed)
    width, height = size
    y, x = numpy.mgrid[0:height, 0:width]
    pixels = numpy.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], axis=-1)
    for _ in range(20):
        left, top = random.integers(0, width), random.integers(0, height)
        right, bottom = random.integers(20, 200, size=2) + (left, top)
        pixels[top:bottom, left:right] = random.integers(0, 255, size=3)
    pixels += random.normal(0, 8, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(numpy.uint8))


def peak_gib(who: int = resource.RUSAGE_SELF) -> float:
    """The largest resident size of this process, or with RUSAGE_CHILDREN of one that was waited for."""
    return round(resource.getrusage(who).ru_maxrss / 2**20, 3)


def note(run: int, **values: float) -> None:
    print(f"run {run}: " + ", ".join(f"{name} {value:.3f}" for name, value in values.items()), file=sys.stderr)


def tell(given: argparse.Namespace, runs: list[dict[str, float]], **facts) -> None:
    """Prints the line: the middle value of every quantity of `runs`, and `facts`."""
    line = dict(facts, image=given.image_size, image_tokens=image_tokens(given.size), gen=given.tokens)
    line |= dict(threads=given.threads, runs=len(runs))
    for name in runs[0]:
        line[name] = round(statistics.median(run[name] for run in runs), 5)
    print(json.dumps(line), flush=True)
