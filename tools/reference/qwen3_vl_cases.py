#!/usr/bin/env python3
"""Writes the golden cases of Qwen3-VL: tiny random checkpoints, inputs, and every stage of the reference library.

    python qwen3_vl_cases.py OUT [--seed N]

OUT gets `qwen3_vl-multi` (pictures of several sizes, a video with time stamps, text) and `qwen3_vl-batch-tied` (two rows,
padded on the left, tied head, a picture in one row). The form is described in tests/goldens/README.md. Needs torch and transformers 5.23.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

IMAGE, VIDEO, START, END, VOCAB = 8, 9, 7, 6, 160
ATOL, RTOL = 2e-5, 1e-4
FEATURES = 3 * 2 * 4 * 4


def config(tied):
    return Qwen3VLConfig(
        text_config=dict(
            vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=2, head_dim=24, rms_norm_eps=1e-5, max_position_embeddings=512, hidden_act="silu",
            rope_parameters=dict(rope_type="default", rope_theta=50000.0, mrope_section=[6, 4, 2], mrope_interleaved=True),
            tie_word_embeddings=tied,
        ),
        vision_config=dict(
            depth=4, hidden_size=32, intermediate_size=44, num_heads=2, patch_size=4, spatial_merge_size=2,
            temporal_patch_size=2, out_hidden_size=64, num_position_embeddings=25, deepstack_visual_indexes=[0, 2],
            in_channels=3,
        ),
        image_token_id=IMAGE, video_token_id=VIDEO, vision_start_token_id=START, vision_end_token_id=END,
        tie_word_embeddings=tied,
    )  # fmt: skip


def build(tied, seed):
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config(tied)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.16)
            else:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def picture(h, w):
    return [START] + [IMAGE] * (h * w // 4) + [END]


def video(t, h, w, stamps):
    ids = []
    for i in range(t):
        ids += stamps[i] + [START] + [VIDEO] * (h * w // 4) + [END]
    return ids


def trace(model, inputs):
    """Every stage, packed as the taps of the program are."""
    stages = {}
    visual, text = model.model.visual, model.model.language_model

    def hook(name):
        def keep(_module, _inputs, output):
            value = output[0] if isinstance(output, tuple) else output
            stages.setdefault(name, []).append(value.detach())

        return keep

    handles = [visual.patch_embed.register_forward_hook(hook("patch_embeds"))]
    handles += [b.register_forward_hook(hook(f"vision_block_{i}")) for i, b in enumerate(visual.blocks)]
    handles += [visual.merger.register_forward_hook(hook("vision_out"))]
    handles += [m.register_forward_hook(hook(f"deepstack_{i}")) for i, m in enumerate(visual.deepstack_merger_list)]
    handles += [text.norm.register_forward_hook(hook("hidden_last"))]
    handles += [text.layers[-1].register_forward_hook(hook(f"hidden_{len(text.layers) - 1}"))]
    embeds = []
    handles += [
        text.layers[0].register_forward_pre_hook(lambda _m, a, k: embeds.append(a[0] if a else k["hidden_states"]), with_kwargs=True)
    ]
    with torch.no_grad():
        logits = model(**inputs).logits
    for handle in handles:
        handle.remove()
    out = {}
    order = ["patch_embeds"] + [f"vision_block_{i}" for i in range(len(visual.blocks))]
    order += ["vision_out"] + [f"deepstack_{i}" for i in range(len(visual.deepstack_merger_list))]
    for suffix, index in (("", 0), ("_video", 1)):
        for name in order:
            if len(stages[name]) > index:
                out[name + suffix] = stages[name][index].reshape(-1, stages[name][index].shape[-1])
    mask = inputs["attention_mask"].unsqueeze(-1).to(logits.dtype)
    out["inputs_embeds"] = embeds[0] * mask
    last = len(text.layers) - 1
    out[f"hidden_{last}"] = stages[f"hidden_{last}"][0] * mask
    out["hidden_last"] = stages["hidden_last"][0] * mask
    out["logits"] = logits * mask
    return out


def greedy(model, inputs, steps):
    with torch.no_grad():
        done = model.generate(
            **inputs, max_new_tokens=steps, do_sample=False, eos_token_id=None, pad_token_id=0,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
    ids = done.sequences[:, inputs["input_ids"].shape[1] :]
    top = torch.stack(done.logits, 1).topk(2, -1).values
    return ids, top[..., 0] - top[..., 1]


def write(folder, name, what, model, inputs, steps):
    positions, deltas = model.model.get_rope_index(
        input_ids=inputs["input_ids"],
        mm_token_type_ids=inputs["mm_token_type_ids"],
        image_grid_thw=inputs.get("image_grid_thw"),
        video_grid_thw=inputs.get("video_grid_thw"),
        attention_mask=inputs["attention_mask"],
    )
    expected = {"position_ids": positions * inputs["attention_mask"], "rope_deltas": deltas.reshape(-1, 1)}
    expected |= trace(model, inputs)
    expected["greedy_ids"], expected["greedy_margin"] = greedy(model, inputs, steps)
    assert expected["greedy_margin"].min() > 0.02, expected["greedy_margin"].min()
    case = folder / f"qwen3_vl-{name}"
    (case / "model").mkdir(parents=True, exist_ok=True)
    model.save_pretrained(case / "model")
    (case / "model/generation_config.json").unlink(missing_ok=True)
    given = {k: v for k, v in inputs.items() if k != "mm_token_type_ids"}
    save_file({k: v.contiguous() for k, v in given.items()}, case / "inputs.safetensors")
    save_file({k: v.contiguous() for k, v in expected.items()}, case / "expected.safetensors")

    def tolerance(tensor):
        exact = not tensor.is_floating_point()
        atol = 0.0 if exact else ATOL * max(1.0, tensor.abs().max().item())
        return {"what": f"{list(tensor.shape)}", "atol": atol, "rtol": 0.0 if exact else RTOL}

    json_case = {
        "family": "qwen3_vl", "name": name, "what": what, "reference": "transformers 5.23.0, torch CPU float32",
        "task": "generate", "options": {"max_new_tokens": steps, "do_sample": False, "eos": None, "mrope": "5.23"},
        "inputs": {k: f"{list(v.shape)}" for k, v in given.items()},
        "stages": list(expected), "expected": {k: tolerance(v) for k, v in expected.items()},
    }  # fmt: skip
    (case / "case.json").write_text(json.dumps(json_case, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()

    model = build(False, args.seed)
    ids = [20, 21] + picture(4, 6) + [30, 31] + picture(10, 4) + [40]
    ids += video(3, 4, 4, [[50, 51], [52, 53], [54]]) + [60, 61, 62]
    grids = torch.tensor([[1, 4, 6], [1, 10, 4]])
    row = torch.tensor([ids])
    inputs = {
        "input_ids": row, "attention_mask": torch.ones_like(row),
        "mm_token_type_ids": (row == IMAGE).int() + 2 * (row == VIDEO).int(),
        "pixel_values": torch.randn(int(grids.prod(-1).sum()), FEATURES), "image_grid_thw": grids,
        "pixel_values_videos": torch.randn(48, FEATURES), "video_grid_thw": torch.tensor([[3, 4, 4]]),
    }  # fmt: skip
    what = "pictures of two sizes, a video whose frames stand behind time stamps, text; positions resized bilinearly, DeepStack"
    write(args.out, "multi", what, model, inputs, 6)

    model = build(True, args.seed + 1)
    rows = [[20, 21, 22] + picture(6, 6) + [30, 31], [70, 71, 72, 73]]
    length = max(map(len, rows))
    row = torch.tensor([[0] * (length - len(r)) + r for r in rows])
    inputs = {
        "input_ids": row, "attention_mask": torch.tensor([[0] * (length - len(r)) + [1] * len(r) for r in rows]),
        "mm_token_type_ids": (row == IMAGE).int(),
        "pixel_values": torch.randn(36, FEATURES), "image_grid_thw": torch.tensor([[1, 6, 6]]),
    }  # fmt: skip
    write(args.out, "batch-tied", "two rows padded on the left, a picture in one, tied head", model, inputs, 5)


if __name__ == "__main__":
    main()
