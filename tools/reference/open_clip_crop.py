#!/usr/bin/env python3
"""Writes what OpenCLIP makes of a picture whose middle is cut out with an odd number of pixels too many.

    python open_clip_crop.py GOLDENS

The model is the golden case `clip-open-clip` as one of square pictures of 24 px, with the positions that these have. Writes
`odd-crop.png` and `odd-crop.json` (the embedding) beside it. Needs torch, torchvision, safetensors and open_clip_torch 3.3.0.
"""

import argparse
import json
from pathlib import Path

import open_clip
import torch
from open_clip.model import CLIP
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import load_file

SIDE = 24

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("goldens", type=Path)
goldens = parser.parse_args().goldens
folder = goldens / "clip-open-clip"
config = json.loads((folder / "model/open_clip_config.json").read_text())
cfg, preprocess = config["model_cfg"], config["preprocess_cfg"]
cfg["vision_cfg"]["image_size"] = SIDE
model = CLIP(**cfg).eval()
state = load_file(folder / "model/open_clip_model.safetensors")
name = "visual.positional_embedding"
state[name] = state[name][: model.visual.positional_embedding.shape[0]].clone()
model.load_state_dict(state)
# 70x61 becomes 27x24: three columns too many, of which torchvision cuts two on the left.
picture = Image.open(goldens / "images/d0_shapes.png").convert("RGB").crop((0, 0, 70, 61))
picture.save(folder / "odd-crop.png", optimize=True)
transform = image_transform_v2(PreprocessCfg(size=SIDE, **preprocess), is_train=False)
with torch.no_grad():
    embedding = model.encode_image(transform(picture)[None], normalize=True)[0]
answer = {"reference": f"open_clip_torch {open_clip.__version__}", "side": SIDE, "embedding": [round(v, 8) for v in embedding.tolist()]}
(folder / "odd-crop.json").write_text(json.dumps(answer) + "\n")
