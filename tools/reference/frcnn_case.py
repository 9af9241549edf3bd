#!/usr/bin/env python3
"""Writes the golden cases of the region detector: tiny random checkpoints, a picture, and every stage of the computation.

    python frcnn_case.py OUT

OUT gets `frcnn-stages` (laid out as the published detector: stride in the first 1x1 kernel, dilated last stage, ceiled pooling) and
`frcnn-variants` (the other way of each of these, grouped kernels, shifted anchors of which the file holds no copy). The form is
described in tests/goldens/README.md. Needs torch, torchvision (the oracle of pooling and suppression) and PyYAML.

The network is written down here from its description: Faster R-CNN (Ren et al. 2015) on a ResNet (He et al. 2015) whose fourth stage
feeds proposals and whose fifth is the head of a box, with the attribute head of Anderson et al. 2018. Tensor names are those of the
published files.
"""

import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import save_file
from torchvision.ops import nms, roi_pool

ATOL, RTOL = 2e-5, 1e-4
STRIDE = 16
BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
CHUNK = 16


def config(**changed):
    """The keys of the published config.yaml, small."""
    base = {
        "input": {"format": "BGR", "max_size_test": 1333, "min_size_test": 800},
        "model": {"device": "cpu", "max_pool": True, "pixel_mean": [102.9801, 115.9465, 122.7717], "pixel_std": [1.0, 1.0, 1.0]},
        "backbone": {"freeze_at": 2},
        "resnets": {
            "depth": 50, "norm": "BN", "num_groups": 1, "out_features": ["res4"], "res2_out_channels": 16, "res5_dilation": 1,
            "stem_out_channels": 8, "stride_in_1x1": True, "width_per_group": 4,
        },
        "anchor_generator": {"aspect_ratios": [[0.5, 1.0, 2.0]], "offset": 0.0, "sizes": [[32, 56, 80, 112]]},
        "proposal_generator": {"hidden_channels": 12, "min_size": 20},
        "rpn": {
            "batch_size_per_image": 256, "bbox_reg_weights": [1.0, 1.0, 1.0, 1.0], "boundary_thresh": -1, "in_features": ["res4"],
            "iou_labels": [0, -1, 1], "iou_thresholds": [0.3, 0.7], "loss_weight": 1.0, "nms_thresh": 0.7, "positive_fraction": 0.5,
            "post_nms_topk_test": 24, "post_nms_topk_train": 2000, "pre_nms_topk_test": 200, "pre_nms_topk_train": 12000,
            "smooth_l1_beta": 0.0,
        },
        "roi_heads": {
            "in_features": ["res4"], "nms_thresh_test": [0.3, 0.5, 0.9], "num_classes": 9, "positive_fraction": 0.25,
            "proposal_append_gt": True, "score_thresh_test": 0.2,
        },
        "roi_box_head": {
            "attr": True, "bbox_reg_weights": [10.0, 10.0, 5.0, 5.0], "cls_agnostic_bbox_reg": False, "num_attrs": 6,
            "pooler_resolution": 6, "pooler_sampling_ratio": 0, "res5halve": False, "smooth_l1_beta": 0.0,
        },
        "min_detections": 10, "max_detections": 14, "pad_value": 0, "size_divisibility": 0,
    }  # fmt: skip
    for key, value in changed.items():
        part, _, name = key.partition("__")
        if name:
            base[part][name] = value
        else:
            base[part] = value
    return base


def anchors_of_a_cell(cfg):
    boxes = []
    for size in cfg["anchor_generator"]["sizes"][0]:
        for ratio in cfg["anchor_generator"]["aspect_ratios"][0]:
            w = math.sqrt(size * size / ratio)
            h = w * ratio
            boxes.append([-w / 2, -h / 2, w / 2, h / 2])
    return torch.tensor(boxes)


def random_weights(cfg, seed, own_anchors):
    g = torch.Generator().manual_seed(seed)
    w, r = {}, cfg["resnets"]

    def normal(*shape, std):
        return torch.randn(*shape, generator=g) * std

    def conv(name, out, inputs, side, groups=1):
        w[f"{name}.weight"] = normal(out, inputs // groups, side, side, std=1.3 / math.sqrt(inputs // groups * side * side))
        w[f"{name}.norm.weight"] = 1 + normal(out, std=0.2)
        w[f"{name}.norm.bias"] = normal(out, std=0.2)
        w[f"{name}.norm.running_mean"] = normal(out, std=0.2)
        w[f"{name}.norm.running_var"] = 0.5 + torch.rand(out, generator=g)
        w[f"{name}.norm.num_batches_tracked"] = torch.tensor(0)

    def linear(name, out, inputs, gain=1.0, shape=()):
        w[f"{name}.weight"] = normal(out, inputs, *shape, std=gain / math.sqrt(inputs * math.prod(shape)))
        w[f"{name}.bias"] = normal(out, std=0.1)

    def stage(name, blocks, inputs, middle, out):
        for i in range(blocks):
            here = f"{name}.{i}"
            if inputs != out:
                conv(f"{here}.shortcut", out, inputs, 1)
            conv(f"{here}.conv1", middle, inputs, 1)
            conv(f"{here}.conv2", middle, middle, 3, r["num_groups"])
            conv(f"{here}.conv3", out, middle, 1)
            inputs = out

    conv("backbone.stem.conv1", r["stem_out_channels"], 3, 7)
    # Levels of pictures come in by the hundred.
    w["backbone.stem.conv1.weight"] /= 60
    inputs, middle, out = r["stem_out_channels"], r["num_groups"] * r["width_per_group"], r["res2_out_channels"]
    for i, blocks in enumerate(BLOCKS[r["depth"]]):
        stage(["backbone.res2", "backbone.res3", "backbone.res4", "roi_heads.res5"][i], blocks, inputs, middle, out)
        inputs, middle, out = out, 2 * middle, 2 * out
    width, fourth = inputs, inputs // 2
    cells = anchors_of_a_cell(cfg)
    if own_anchors:
        # A file's own anchors win over computed ones: these are a little off.
        w["proposal_generator.anchor_generator.cell_anchors.0"] = cells * 1.02
    hidden = cfg["proposal_generator"]["hidden_channels"]
    hidden = fourth if hidden == -1 else hidden
    linear("proposal_generator.rpn_head.conv", hidden, fourth, 0.5, (3, 3))
    linear("proposal_generator.rpn_head.objectness_logits", len(cells), hidden, 0.5, (1, 1))
    linear("proposal_generator.rpn_head.anchor_deltas", 4 * len(cells), hidden, 0.1, (1, 1))
    classes, attributes = cfg["roi_heads"]["num_classes"], cfg["roi_box_head"]["num_attrs"]
    head = "roi_heads.box_predictor"
    linear(f"{head}.cls_score", classes + 1, width, 1.0)
    linear(f"{head}.bbox_pred", 4 * classes, width, 0.6)
    w[f"{head}.cls_embedding.weight"] = normal(classes + 1, width // 8, std=1.0)
    linear(f"{head}.fc_attr", width // 4, width + width // 8)
    linear(f"{head}.attr_score", attributes + 1, width // 4, 2.0)
    return w


def moved(boxes, deltas, weights):
    """Boxes `[n, 4]` moved and scaled by `[n, 4 k]`."""
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    x, y = boxes[:, 0] + 0.5 * w, boxes[:, 1] + 0.5 * h
    limit = math.log(1000.0 / 16)
    dx, dy, dw, dh = ((deltas[:, i::4] / weights[i]) for i in range(4))
    x, y = dx * w[:, None] + x[:, None], dy * h[:, None] + y[:, None]
    w, h = torch.exp(dw.clamp(max=limit)) * w[:, None], torch.exp(dh.clamp(max=limit)) * h[:, None]
    return torch.stack([x - 0.5 * w, y - 0.5 * h, x + 0.5 * w, y + 0.5 * h], -1).reshape(deltas.shape)


def clipped(boxes, size):
    h, w = size
    bound = torch.tensor([w, h, w, h], dtype=boxes.dtype)
    return torch.minimum(boxes.clamp(min=0), bound)


def run(cfg, weights, image, size, scale, dtype, margins, settling=False):
    """Every stage; `settling` first changes the heads' weights so that what they say differs from box to box."""
    w = {k: v.to(dtype) if v.is_floating_point() else v for k, v in weights.items()}
    r, rpn, heads, box = cfg["resnets"], cfg["rpn"], cfg["roi_heads"], cfg["roi_box_head"]
    out = {}

    def conv(name, x, stride=1, padding=0, dilation=1, groups=1):
        x = F.conv2d(x, w[f"{name}.weight"], None, stride, padding, dilation, groups)
        n = f"{name}.norm"
        return F.batch_norm(x, w[f"{n}.running_mean"], w[f"{n}.running_var"], w[f"{n}.weight"], w[f"{n}.bias"], eps=1e-5)

    def stage(name, x, stride, dilation=1):
        i = 0
        while f"{name}.{i}.conv1.weight" in w:
            here, s = f"{name}.{i}", stride if i == 0 else 1
            first, second = (s, 1) if r["stride_in_1x1"] else (1, s)
            y = F.relu(conv(f"{here}.conv1", x, first))
            y = F.relu(conv(f"{here}.conv2", y, second, dilation, dilation, r["num_groups"]))
            y = conv(f"{here}.conv3", y)
            x = F.relu(y + (conv(f"{here}.shortcut", x, s) if f"{here}.shortcut.weight" in w else x))
            i += 1
        return x

    def settle(name, y, spread):
        """The layer that gives `y [rows, outputs]` changed to mean 0 and this deviation."""
        if not settling:
            return
        factor = spread / y.std(0)
        shape = [-1] + [1] * (w[f"{name}.weight"].dim() - 1)
        for k, v in (("weight", factor.reshape(shape) * w[f"{name}.weight"]), ("bias", (w[f"{name}.bias"] - y.mean(0)) * factor)):
            weights[f"{name}.{k}"] = v.float()
            w[f"{name}.{k}"] = weights[f"{name}.{k}"].to(dtype)

    x = F.relu(conv("backbone.stem.conv1", image.to(dtype), 2, 3))
    ceiled = cfg["model"]["max_pool"]
    x = F.max_pool2d(x, 3, 2, 0, ceil_mode=True) if ceiled else F.max_pool2d(x, 3, 2, 1)
    out["stem"] = x
    for name, stride in (("res2", 1), ("res3", 2), ("res4", 2)):
        out[name] = x = stage(f"backbone.{name}", x, stride)

    name = "proposal_generator.rpn_head"
    plain = lambda part, x, padding=0: F.conv2d(x, w[f"{name}.{part}.weight"], w[f"{name}.{part}.bias"], padding=padding)
    t = F.relu(plain("conv", x, 1))
    flat = lambda x: x[0].flatten(1).T
    settle(f"{name}.objectness_logits", flat(plain("objectness_logits", t)), 1.5)
    settle(f"{name}.anchor_deltas", flat(plain("anchor_deltas", t)), 0.3)
    logits, deltas = plain("objectness_logits", t), plain("anchor_deltas", t)
    out["objectness_logits"], out["anchor_deltas"] = logits, deltas
    cells = w.get("proposal_generator.anchor_generator.cell_anchors.0", anchors_of_a_cell(cfg).to(dtype))
    rows, columns = x.shape[-2:]
    offset = cfg["anchor_generator"]["offset"] * STRIDE
    ys, xs = (torch.arange(n, dtype=dtype) * STRIDE + offset for n in (rows, columns))
    grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij"), -1).reshape(-1, 2)
    shifts = grid[:, [1, 0, 1, 0]]
    anchors = (shifts[:, None] + cells[None]).reshape(-1, 4)
    out["anchors"] = anchors
    deltas = deltas[0].reshape(len(cells), 4, rows, columns).permute(2, 3, 0, 1).reshape(-1, 4)
    scores = logits[0].permute(1, 2, 0).reshape(-1)
    proposals = moved(anchors, deltas, rpn["bbox_reg_weights"])
    scores, order = scores.sort(descending=True, stable=True)
    assert len(scores) > rpn["pre_nms_topk_test"], len(scores)
    considered = rpn["pre_nms_topk_test"]
    margins["last considered"] = scores[considered - 1] - scores[considered]
    scores, order = scores[:considered], order[:considered]
    proposals = clipped(proposals[order], size)
    sides = torch.minimum(proposals[:, 2] - proposals[:, 0], proposals[:, 3] - proposals[:, 1])
    margins["smallest side"] = (sides - cfg["proposal_generator"]["min_size"]).abs().min()
    real = sides > cfg["proposal_generator"]["min_size"]
    assert 30 < real.sum() < len(real), "some proposals are to be too small"
    proposals, scores = proposals[real], scores[real]
    keep = nms(proposals, scores, rpn["nms_thresh"])[: rpn["post_nms_topk_test"]]
    assert len(keep) < len(proposals)
    margins["overlap of proposals"] = overlap_margin(proposals, keep, [rpn["nms_thresh"]])
    proposals, scores = proposals[keep], scores[keep]
    margins["order of proposals"] = (scores[:-1] - scores[1:]).min(0).values
    out["proposal_boxes"], out["proposal_logits"] = proposals, scores

    rois = torch.cat([torch.zeros(len(proposals), 1, dtype=dtype), proposals], 1)
    halves = proposals / STRIDE - torch.floor(proposals / STRIDE) - 0.5
    margins["rounding of corners"] = halves.abs().min()
    pooled = roi_pool(x, rois, box["pooler_resolution"], 1 / STRIDE)
    for i in range(0, len(pooled), CHUNK):
        out[f"roi_pooled_{i // CHUNK}"] = pooled[i : i + CHUNK]
    halve = box["res5halve"]
    features = stage("roi_heads.res5", pooled, 2 if halve else 1, 1 if halve else 2).mean((2, 3))
    out["pooled_features"] = features
    name = "roi_heads.box_predictor"
    line = lambda part, x: F.linear(x, w[f"{name}.{part}.weight"], w[f"{name}.{part}.bias"])
    settle(f"{name}.cls_score", line("cls_score", features), 1.5)
    settle(f"{name}.bbox_pred", line("bbox_pred", features), 1.0)
    objects = line("cls_score", features)
    top = objects.topk(2, -1).values
    margins["class"] = (top[:, 0] - top[:, 1]).min()
    best = objects.argmax(-1)
    assert settling or (best == heads["num_classes"]).any() and (best != heads["num_classes"]).any(), best
    attributes = torch.cat([features, w[f"{name}.cls_embedding.weight"][best]], -1)
    attributes = F.relu(line("fc_attr", attributes))
    settle(f"{name}.attr_score", line("attr_score", attributes), 1.5)
    attributes = line("attr_score", attributes)
    moves = line("bbox_pred", features)
    out["obj_logits"], out["attr_logits"], out["box_deltas"] = objects, attributes, moves

    boxes = moved(proposals, moves, box["bbox_reg_weights"])
    boxes = clipped(boxes.reshape(len(proposals), -1, 4), size)
    scores, classes = objects.softmax(-1)[:, :-1].max(-1)
    two = objects[:, :-1].topk(2, -1).values
    margins["object"] = (two[:, 0] - two[:, 1]).min()
    ordered = scores.sort(descending=True).values
    margins["order of boxes"] = (ordered[:-1] - ordered[1:]).min()
    boxes = boxes[torch.arange(len(boxes)), classes]
    thresholds = heads["nms_thresh_test"]
    thresholds = thresholds if isinstance(thresholds, list) else [thresholds]
    margins["overlap of boxes"] = overlap_margin(boxes, torch.arange(len(boxes)), thresholds)
    for tried, threshold in enumerate(thresholds):
        keep = nms(boxes, scores, threshold)[: cfg["max_detections"]]
        if len(keep) >= cfg["min_detections"]:
            break
    else:
        assert settling, "too few boxes"
    two = attributes[:, :-1].topk(2, -1).values
    margins["attribute"] = (two[:, 0] - two[:, 1]).min()
    chances, kinds = attributes[:, :-1].softmax(-1).max(-1)
    boxes = boxes[keep] * torch.tensor([scale[1], scale[0]] * 2, dtype=dtype)
    out |= {"boxes": boxes, "obj_ids": classes[keep], "obj_probs": scores[keep], "attr_ids": kinds[keep]}
    out |= {"attr_probs": chances[keep], "roi_features": features[keep]}
    return out, tried, keep


def overlap_margin(boxes, keep, thresholds):
    """How far the overlap of a kept box with any other stays from a threshold."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    low, high = torch.maximum(boxes[:, None, :2], boxes[None, :, :2]), torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    overlap = (shared / (area[:, None] + area[None] - shared))[keep]
    return min((overlap - t).abs().min() for t in thresholds)


def write(folder, name, what, cfg, height, width, own_anchors, tries):
    """Takes the first seed at which no decision hangs on rounding."""
    raw = (height * 3 // 2, width * 7 // 5)
    scale = (raw[0] / height, raw[1] / width)
    for seed in range(200):
        weights = random_weights(cfg, seed, own_anchors)
        image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed + 1)) * 60
        margins = {}
        try:
            run(cfg, weights, image, (height, width), scale, torch.float64, {}, True)
            double, tried, keep = run(cfg, weights, image, (height, width), scale, torch.float64, margins)
            single, _, again = run(cfg, weights, image, (height, width), scale, torch.float32, {})
        except AssertionError:
            continue
        if min(margins.values()) > 2e-5 and tries(tried) and len(keep) > cfg["min_detections"] and torch.equal(keep, again):
            break
    else:
        raise SystemExit(f"{name}: no seed fits")
    worst = {k: (single[k] - v).abs().max().item() / max(1.0, v.abs().max().item()) for k, v in double.items()}
    print(name, "seed", seed, "margin", min((float(v), k) for k, v in margins.items()), "threshold", tried, "kept", len(keep), "f32 off", max(worst.values()))
    expected = {k: (v.float() if v.is_floating_point() else v) for k, v in double.items()}
    given = {"images": image, "image_shapes": torch.tensor([[height, width]]), "scales_yx": torch.tensor([scale], dtype=torch.float32)}
    case = folder / f"frcnn-{name}"
    (case / "model").mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in weights.items()}, case / "model/model.safetensors")
    (case / "model/config.yaml").write_text(yaml.safe_dump(cfg))
    save_file(given, case / "inputs.safetensors")
    save_file({k: v.contiguous() for k, v in expected.items()}, case / "expected.safetensors")

    def tolerance(tensor):
        exact = not tensor.is_floating_point()
        atol = 0.0 if exact else ATOL * max(1.0, tensor.abs().max().item())
        return {"what": f"{list(tensor.shape)}", "atol": atol, "rtol": 0.0 if exact else RTOL}

    json_case = {
        "family": "frcnn", "name": name, "what": what,
        "reference": f"tools/reference/frcnn_case.py, torch {torch.__version__.split('+')[0]} CPU float64",
        "task": "logits", "options": {},
        "inputs": {k: f"{list(v.shape)}" for k, v in given.items()},
        "stages": list(expected), "expected": {k: tolerance(v) for k, v in expected.items()},
    }  # fmt: skip
    (case / "case.json").write_text(json.dumps(json_case, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    what = "every stage of the published layout: backbone, proposals, pooled boxes, heads, suppression by the second threshold"
    write(args.out, "stages", what, config(), 119, 155, True, lambda tried: tried == 1)
    other = config(
        model__max_pool=False, resnets__stride_in_1x1=False, resnets__num_groups=2, resnets__width_per_group=2,
        anchor_generator__offset=0.5, anchor_generator__sizes=[[36, 70]], proposal_generator__hidden_channels=-1,
        rpn__bbox_reg_weights=[1.0, 2.0, 1.5, 1.0], roi_box_head__res5halve=True, roi_box_head__pooler_resolution=5,
        roi_heads__nms_thresh_test=0.6, min_detections=1, max_detections=30, rpn__pre_nms_topk_test=150, rpn__post_nms_topk_test=20,
    )  # fmt: skip
    what = "stride in the 3x3 kernel, halved last stage, padded pooling, grouped kernels, shifted anchors, one threshold, no bound reached"
    write(args.out, "variants", what, other, 112, 128, False, lambda tried: tried == 0)


if __name__ == "__main__":
    main()
