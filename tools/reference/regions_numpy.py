#!/usr/bin/env python3
"""Writes tests/goldens/regions: files of a detector's regions as numpy saves them.

Needs numpy only:

    python regions_numpy.py ../../tests/goldens/regions
"""

import sys
from pathlib import Path

import numpy as np

# Three regions of four numbers in a picture of 64 x 48 px.
FEATURES = np.arange(12, dtype=np.float32).reshape(3, 4) / 8 - 0.5
BOXES = np.array([[0, 0, 64, 48], [1.5, 2.25, 30, 40], [10, 10, 10, 20]], dtype=np.float32)
SCORES = np.array([1, 0.5, 0.25], dtype=np.float32)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "stored.npz", features=FEATURES, boxes=BOXES, size=np.array([64, 48]), confidence=SCORES)
    # Packed, in doubles, columns first, the size as two numbers, an array of no use.
    np.savez_compressed(
        folder / "packed.npz",
        features=np.asfortranarray(FEATURES.astype(np.float64)),
        boxes=BOXES.astype(">f4"),
        image_w=64,
        image_h=np.uint16(48),
        scores=SCORES.astype(np.float16),
        labels=np.array(["a", "b", "c"]),
    )
    objects = np.array([{"boxes": 1}], dtype=object)
    np.savez(folder / "objects.npz", features=objects, boxes=BOXES, size=np.array([64, 48]))
    np.save(folder / "single.npy", FEATURES)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
