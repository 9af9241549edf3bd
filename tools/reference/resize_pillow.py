#!/usr/bin/env python3
"""Writes tests/pixels/resize-pillow: what Pillow's bicubic resize makes of small pictures.

Needs Pillow and safetensors (versions are recorded in case.json):

    python resize_pillow.py ../../tests/pixels/resize-pillow
"""

import json
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image
from safetensors.numpy import save_file

# Source (width, height), then the target sizes.
SIZES = [
    ((37, 23), [(37, 23), (74, 46), (19, 12), (28, 28), (5, 40), (90, 3), (1, 1), (37, 11), (18, 23)]),
    ((1, 1), [(1, 1), (7, 5)]),
    ((2, 31), [(9, 9), (1, 31), (2, 1)]),
    ((64, 1), [(3, 4), (65, 1), (63, 2)]),
    ((120, 40), [(84, 28), (40, 80), (33, 7), (121, 41)]),
]


def picture(width: int, height: int, channels: int, seed: int) -> np.ndarray:
    """Half noise, half hard edges: rounding and overshoot both show."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    edges = (rng.integers(0, 2, (height, width, channels)) * 255).astype(np.uint8)
    return np.where(np.arange(width)[None, :, None] % 16 < 8, levels, edges)


def main(folder: Path) -> None:
    inputs, expected, stages = {}, {}, []
    for index, ((width, height), targets) in enumerate(SIZES):
        for mode, channels in (("rgb", 3), ("gray", 1)):
            levels = picture(width, height, channels, 10 * index + channels)
            name = f"{mode}_{width}x{height}"
            inputs[name] = levels
            image = Image.fromarray(levels if channels == 3 else levels[:, :, 0])
            for target in targets:
                resized = np.asarray(image.resize(target, Image.Resampling.BICUBIC))
                key = f"{name}/{target[0]}x{target[1]}"
                expected[key] = np.ascontiguousarray(resized.reshape(target[1], target[0], channels))
                stages.append(key)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(inputs, folder / "inputs.safetensors")
    save_file(expected, folder / "expected.safetensors")
    case = {
        "family": "resize",
        "name": "pillow",
        "what": "8-bit bicubic resize with antialiasing: enlarging, shrinking, one axis only, single rows and columns",
        "reference": f"Pillow {PIL.__version__}, Image.resize(size, BICUBIC)",
        "task": "preprocess",
        "options": {"layout": "uint8 [height, width, channels]; names hold width x height"},
        "stages": stages,
        "tolerance": "equal",
    }
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
