#!/usr/bin/env python3
"""Writes tests/pixels/resize-filters: Pillow's linear resize and OpenCV's cubic one on float pictures.

Needs Pillow, opencv-python-headless and safetensors (versions are recorded in case.json):

    python resize_filters.py ../../tests/pixels/resize-filters
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL
from PIL import Image
from safetensors.numpy import save_file

from resize_pillow import picture

# Source (width, height), then the target sizes.
SIZES = [
    ((37, 23), [(37, 23), (64, 48), (19, 12), (28, 28), (5, 40), (90, 3), (1, 1), (18, 23)]),
    ((1, 1), [(7, 5)]),
    ((2, 31), [(9, 9), (2, 1)]),
    ((120, 40), [(32, 16), (121, 41)]),
    ((2999, 8), [(192, 16)]),
]


def main(folder: Path) -> None:
    inputs, expected, stages = {}, {}, []
    for index, ((width, height), targets) in enumerate(SIZES):
        levels = picture(width, height, 3, 100 + index)
        name = f"rgb_{width}x{height}"
        inputs[name] = levels
        for target in targets:
            linear = np.asarray(Image.fromarray(levels).resize(target, Image.Resampling.BILINEAR))
            cubic = cv2.resize(levels.astype(np.float32), target, interpolation=cv2.INTER_CUBIC)
            for filter, resized in (("linear", linear), ("cubic", cubic)):
                key = f"{name}/{target[0]}x{target[1]}/{filter}"
                expected[key] = np.ascontiguousarray(resized)
                stages.append(key)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(inputs, folder / "inputs.safetensors")
    save_file(expected, folder / "expected.safetensors")
    case = {
        "family": "resize",
        "name": "filters",
        "what": "8-bit linear resize with antialiasing; cubic resize of floats without it",
        "reference": f"Pillow {PIL.__version__}, Image.resize(size, BILINEAR); "
        f"OpenCV {cv2.__version__}, resize(size, INTER_CUBIC) of float32",
        "task": "preprocess",
        "options": {"layout": "uint8 or float32 [height, width, 3]; names hold width x height"},
        "stages": stages,
        "expected": {
            key: {"what": "values after the resize", "atol": 0.01 if key.endswith("/cubic") else 0.0, "rtol": 0.0}
            for key in stages
        },
    }
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
