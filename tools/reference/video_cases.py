#!/usr/bin/env python3
"""Writes golden cases of videos: frames with sharp edges through the processor, and a training step on videos.

    python video_cases.py GOLDENS

GOLDENS is tests/goldens; the training step takes the checkpoint of its `qwen2_5_vl-train-step`. Written are
`qwen2_vl-preprocess-video-edges` and `qwen2_5_vl-train-video`. Needs torch, torchvision and transformers (versions are recorded in case.json).
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
import transformers
from safetensors.torch import save_file
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2VLVideoProcessor

LIBRARIES = f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]} CPU float32"
START, IMAGE, VIDEO, END = 7, 8, 9, 6
IGNORED = -100


def write(folder, case, inputs, expected):
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in inputs.items()}, folder / "inputs.safetensors")
    save_file({k: v.contiguous() for k, v in expected.items()}, folder / "expected.safetensors")
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")


def rectangles(generator, frames, height, width):
    """Frames `[T, 3, H, W]` of black and white rectangles that move, on noise: every edge overshoots."""
    levels = generator.integers(96, 160, (frames, 3, height, width)).astype(np.uint8)
    for _ in range(10):
        y, x, h, w = (int(generator.integers(0, side)) for side in (height, width, height, width))
        for t in range(frames):
            levels[t, :, (y + t) % height :, (x + 2 * t) % width :][:, : h + 1, : w + 1] = generator.choice([0, 255])
    return torch.from_numpy(levels)


def preprocess(goldens):
    generator = np.random.default_rng(5)
    # The first three lose more lines than columns, the fourth the other way round, the last two grow on one axis.
    sizes = [(4, 120, 90), (2, 200, 72), (3, 150, 60), (2, 60, 300), (2, 40, 180), (2, 28, 90)]
    config = {
        "min_pixels": 3136, "max_pixels": 12544, "patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
        "do_sample_frames": False,
    }  # fmt: skip
    fields = {k: v for k, v in config.items() if not k.endswith("_pixels")}
    size = {"shortest_edge": config["min_pixels"], "longest_edge": config["max_pixels"]}
    processor = Qwen2VLVideoProcessor(**fields, size=size, cap_pixels_per_frame=False)
    inputs, expected = {}, {}
    for index, (frames, height, width) in enumerate(sizes):
        name = f"video_{index}"
        inputs[name] = rectangles(generator, frames, height, width)
        made = processor([inputs[name]], return_tensors="pt")
        values = made["pixel_values_videos"]
        expected[f"{name}/video_grid_thw"] = made["video_grid_thw"][0]
        expected[f"{name}/pixel_values_every_7"] = values.flatten()[::7]
        expected[f"{name}/shape"] = torch.tensor(values.shape)
    case = {
        "family": "qwen2_vl", "name": "preprocess-video-edges",
        "what": "video frames with sharp edges whose sides change by different factors: the order and the rounding of both passes of the resize",
        "reference": f"transformers {transformers.__version__} Qwen2VLVideoProcessor, torchvision {torchvision.__version__.split('+')[0]}",
        "task": "preprocess", "options": {"processor": "video", "config": config},
        "inputs": {k: f"uint8 {list(v.shape)}: frames [T, 3, H, W]" for k, v in inputs.items()},
        "stages": list(expected),
        "expected": {
            k: {"what": f"{list(v.shape)}", "atol": 1e-5 if v.is_floating_point() else 0.0, "rtol": 0.0}
            for k, v in expected.items()
        },
        "notes": "A level of 8 bits is 0.014 or more: every level must be equal.",
    }  # fmt: skip
    write(goldens / "qwen2_vl-preprocess-video-edges", case, inputs, expected)


def train(goldens):
    torch.manual_seed(11)
    source = goldens / "qwen2_5_vl-train-step/model"
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(source, dtype=torch.float32, attn_implementation="eager")
    model.train()
    merge, features = model.config.vision_config.spatial_merge_size, 96

    def span(token, grid):
        return [START] + [token] * (grid[0] * grid[1] * grid[2] // merge**2) + [END]

    # Each sample: ids, image grids, video grids, seconds that a temporal patch of each video spans.
    videos = [(3, 4, 6), (2, 8, 4), (4, 4, 4)]
    picture = (1, 4, 8)
    samples = [
        ([20, 21] + span(VIDEO, videos[0]) + [30, 31, 32], [], videos[:1], [0.5]),
        ([22] + span(IMAGE, picture) + [40] + span(VIDEO, videos[1]) + [41, 42], [picture], videos[1:2], [1.0]),
        ([50, 51, 52] + span(VIDEO, videos[2]) + [53, 54], [], videos[2:], [1.7]),
    ]
    images = torch.randn(sum(t * h * w for s in samples for t, h, w in s[1]), features)
    frames = torch.randn(sum(t * h * w for s in samples for t, h, w in s[2]), features)
    total, targets, positions, image, frame = 0.0, 0, [], 0, 0
    labels = []
    for ids, image_grids, video_grids, seconds in samples:
        row = torch.tensor([ids])
        visual = (row == START) | (row == IMAGE) | (row == VIDEO)
        wanted = torch.where(visual, IGNORED, row)
        labels.append(wanted)
        given = {"input_ids": row, "mm_token_type_ids": (row == IMAGE).int() + 2 * (row == VIDEO).int()}
        given["attention_mask"] = torch.ones_like(row)
        for kind, values, grids, at in (("", images, image_grids, image), ("_videos", frames, video_grids, frame)):
            if grids:
                count = sum(t * h * w for t, h, w in grids)
                given["pixel_values" + kind] = values[at : at + count]
                given["video_grid_thw" if kind else "image_grid_thw"] = torch.tensor(grids)
        image += sum(t * h * w for t, h, w in image_grids)
        frame += sum(t * h * w for t, h, w in video_grids)
        given["second_per_grid_ts"] = torch.tensor(seconds)
        place = {k: given.get(k) for k in ("input_ids", "mm_token_type_ids", "image_grid_thw", "video_grid_thw")}
        place |= {"second_per_grid_ts": given["second_per_grid_ts"], "attention_mask": given["attention_mask"]}
        at, _ = model.model.get_rope_index(**place)
        positions.append(at)
        logits = model(**given, position_ids=at).logits
        total = total + torch.nn.functional.cross_entropy(
            logits[0, :-1], wanted[0, 1:], ignore_index=IGNORED, reduction="sum"
        )
        targets += int((wanted[0, 1:] != IGNORED).sum())
    loss = total / targets
    loss.backward()
    whole = ["visual.patch_embed.proj.weight", "model.layers.1.self_attn.k_proj.bias", "visual.merger.ln_q.weight"]
    published = {
        name.replace("model.visual.", "visual.").replace("model.language_model.", "model."): p
        for name, p in model.named_parameters()
    }
    expected = {"position_ids": torch.cat(positions, -1), "loss": loss.detach()}
    expected |= {f"grad_norm/{name}": p.grad.norm() for name, p in published.items()}
    expected |= {f"grad/{name}": published[name].grad for name in whole}
    ids = torch.tensor([sum((s[0] for s in samples), [])])
    inputs = {
        "input_ids": ids, "sample_lengths": torch.tensor([len(s[0]) for s in samples]),
        "image_grid_thw": torch.tensor([picture]), "pixel_values": images,
        "video_grid_thw": torch.tensor(videos), "pixel_values_videos": frames,
        "second_per_grid_ts": torch.tensor([s for sample in samples for s in sample[3]]),
        "labels": torch.cat(labels, -1),
    }  # fmt: skip

    def tolerance(tensor):
        exact = not tensor.is_floating_point()
        atol = 0.0 if exact else 5e-5 * max(1e-3, tensor.abs().max().item())
        return {"what": f"{list(tensor.shape)}", "atol": atol, "rtol": 0.0 if exact else 1e-4}

    case = {
        "family": "qwen2_5_vl", "name": "train-video",
        "what": "loss, gradients and positions of one packed training step on three videos and a picture, each video with its own seconds",
        "reference": LIBRARIES, "task": "loss",
        "options": {"kind": "gradients", "mrope": "5.23", "full_gradients": whole},
        "inputs": {k: f"{list(v.shape)}" for k, v in inputs.items()}, "stages": list(expected),
        "expected": {k: tolerance(v) for k, v in expected.items()},
    }  # fmt: skip
    folder = goldens / "qwen2_5_vl-train-video"
    write(folder, case, inputs, expected)
    shutil.copytree(source, folder / "model", dirs_exist_ok=True)


if __name__ == "__main__":
    preprocess(Path(sys.argv[1]))
    train(Path(sys.argv[1]))
