#!/usr/bin/env python3
"""Writes tests/goldens/albef-vqa: a tiny question-answering checkpoint of salesforce/ALBEF, and what the original computes.

    python albef_vqa.py <checkout of salesforce/ALBEF> ../../tests/goldens/albef-vqa

The original was written for an old library: what has gone from it since is put back below. Its own greedy decoding needs a
method that no longer exists, so the loop stands here, without a cache.
"""

import importlib
import json
import sys
import types
from functools import partial
from pathlib import Path

import torch
import transformers
import transformers.modeling_utils as modeling
import transformers.pytorch_utils as pytorch
from safetensors.torch import save_file
from torch import nn

SEED = 9
VOCAB, WIDTH, LAYERS, FUSION, ANSWER_LAYERS, SIDE, PATCH = 61, 24, 3, 1, 2, 24, 8
BERT = {
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": WIDTH,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 20,
    "model_type": "bert",
    "num_attention_heads": 3,
    "num_hidden_layers": LAYERS,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": VOCAB,
    "fusion_layer": FUSION,
    "encoder_width": WIDTH,
}
CONFIG = {
    "model_type": "albef",
    "image_res": SIDE,
    "patch_size": PATCH,
    "vision_width": WIDTH,
    "vision_depth": 2,
    "vision_heads": 4,
    "vision_mlp_ratio": 2,
    "vision_layer_norm_eps": 1e-6,
    "alpha": 0.4,
    "distill": True,
    "warm_up": True,
    "eos": "[SEP]",
    "k_test": 3,
    "bert_config": BERT,
}


def module(name: str, **members) -> None:
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)


class PatchEmbed(nn.Module):
    def __init__(self, img_size: int, patch_size: int, in_chans: int, embed_dim: int):
        super().__init__()
        self.num_patches = (img_size // patch_size) ** 2
        self.proj = nn.Conv2d(in_chans, embed_dim, patch_size, patch_size)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


def old_libraries() -> None:
    for name in ("apply_chunking_to_forward", "prune_linear_layer"):
        setattr(modeling, name, getattr(pytorch, name))
    modeling.find_pruneable_heads_and_indices = None
    files = importlib.import_module("transformers.file_utils")
    for name in ("add_code_sample_docstrings", "add_start_docstrings", "replace_return_docstrings"):
        setattr(files, name, lambda *_, **__: lambda f: f)
    files.add_start_docstrings_to_model_forward = files.add_start_docstrings
    base, lowest = modeling.PreTrainedModel, torch.finfo(torch.float32).min
    base.get_head_mask = lambda self, mask, layers, *_: [None] * layers
    base.invert_attention_mask = lambda self, mask: (1.0 - mask[:, None, None, :].float()) * lowest
    base.init_weights = lambda self: self.apply(self._init_weights)
    module("timm")
    module("timm.models")
    module("timm.models.vision_transformer", _cfg=lambda **_: None, PatchEmbed=PatchEmbed)
    module("timm.models.registry", register_model=lambda f: f)
    module("timm.models.layers", trunc_normal_=nn.init.trunc_normal_, DropPath=nn.Identity)


def build():
    from models.model_vqa import ALBEF
    from models.vit import VisionTransformer
    from models.xbert import BertConfig, BertLMHeadModel, BertModel

    def config(fusion: int, layers: int):
        config = BertConfig(**{k: v for k, v in BERT.items() if k not in ("model_type", "architectures")})
        config.fusion_layer, config.num_hidden_layers, config.encoder_width = fusion, layers, WIDTH
        config.add_cross_attention, config.is_decoder, config.use_cache = True, False, False
        config.position_embedding_type, config._attn_implementation = "absolute", "eager"
        return config

    model = ALBEF.__new__(ALBEF)
    nn.Module.__init__(model)
    model.tokenizer, model.distill = types.SimpleNamespace(pad_token_id=0), False
    model.visual_encoder = VisionTransformer(
        img_size=SIDE, patch_size=PATCH, embed_dim=WIDTH, depth=2, num_heads=4, mlp_ratio=2, qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
    )
    model.text_encoder = BertModel(config(FUSION, LAYERS), add_pooling_layer=False)
    model.text_decoder = BertLMHeadModel(config(0, ANSWER_LAYERS))
    for name, parameter in model.named_parameters():
        start = 1.0 if "orm" in name and name.endswith("weight") else 0.0
        spread = 0.25 if parameter.dim() > 1 else 0.1
        parameter.data = torch.randn_like(parameter) * spread + start
    head = model.text_decoder.cls.predictions
    head.decoder.weight = model.text_decoder.bert.embeddings.word_embeddings.weight
    head.decoder.bias = head.bias
    return model.eval()


@torch.no_grad()
def main(checkout: str, folder: str) -> None:
    old_libraries()
    sys.path.insert(0, checkout)
    torch.manual_seed(SEED)
    model, out = build(), Path(folder)
    image = torch.randn(2, 3, SIDE, SIDE)
    ids = torch.tensor([[1, 7, 9, 22, 31], [1, 14, 40, 0, 0]])
    candidates = torch.tensor([[1, 11, 2, 0], [1, 11, 35, 2], [1, 50, 2, 0], [1, 29, 6, 2], [1, 8, 2, 0]])
    mask, known = (ids != 0).long(), (candidates != 0).long()

    seen = model.visual_encoder(image)
    everything = torch.ones(seen.shape[:-1], dtype=torch.long)
    fused = model.text_encoder(
        ids, attention_mask=mask, encoder_hidden_states=seen, encoder_attention_mask=everything, return_dict=True
    ).last_hidden_state

    def decode(ids, mask_of_ids):
        return model.text_decoder(
            ids, attention_mask=mask_of_ids, encoder_hidden_states=fused, encoder_attention_mask=mask, return_dict=True
        ).logits

    forced, forced_mask = candidates[[1, 3]].contiguous(), known[[1, 3]].contiguous()
    ranked, probabilities = model.rank_answer(fused, mask, candidates, known, 3)
    row, margins = ids[:, :1], []
    for _ in range(6):
        logits = decode(row, torch.ones_like(row))[:, -1]
        best = logits.topk(2, -1).values
        margins.append(best[:, 0] - best[:, 1])
        row = torch.cat([row, logits.argmax(-1, keepdim=True)], 1)
    print("smallest margin", torch.stack(margins).min().item())

    inputs = {
        "image": (image, "normalised pixels"),
        "input_ids": (ids, "questions: 1 = [CLS], 0 = padding; no [SEP]"),
        "attention_mask": (mask, "of the questions"),
        "answer_input_ids": (forced, "given answers: [CLS], words, [SEP]"),
        "answer_attention_mask": (forced_mask, "of the given answers"),
    }
    expected = {
        "vision_out": (seen, "all tokens after the final norm"),
        "fusion_out": (fused * mask[..., None], "question states after the picture was seen (pads 0)"),
        "answer_logits": (decode(forced, forced_mask) * forced_mask[..., None], "decoder over the given answers (pads 0)"),
        "greedy_ids": (row[:, 1:], "new ids only"),
        "greedy_margin": (torch.stack(margins, 1), "top-1 minus top-2 logit at each step"),
    }

    def about(tensor, what):
        return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}: {what}"

    def tolerance(tensor, what):
        exact = tensor.dtype == torch.int64
        atol = 0.0 if exact else float(f"{2e-5 * max(1.0, tensor.abs().max().item()):.2g}")
        return {"what": about(tensor, what), "atol": atol, "rtol": 0.0 if exact else 1e-4}

    (out / "model").mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()}
    save_file(weights, out / "model" / "model.safetensors")
    (out / "model" / "config.json").write_text(json.dumps(CONFIG, indent=2))
    save_file({k: v.contiguous() for k, (v, _) in inputs.items()}, out / "inputs.safetensors")
    save_file({k: v.contiguous() for k, (v, _) in expected.items()}, out / "expected.safetensors")
    torch_version = torch.__version__.split("+")[0]
    case = {
        "family": "albef",
        "name": "vqa",
        "what": "question answering: states of the question that has seen the picture, decoder over them",
        "reference": "salesforce/ALBEF commit b9727e43c3 (models/model_vqa.py, vit.py, xbert.py) on "
        f"transformers {transformers.__version__}, torch {torch_version} CPU float32",
        "task": "generate",
        "options": {
            "max_new_tokens": 6,
            "eos": None,
            "pad": 0,
            "candidates": [[i for i in answer if i] for answer in candidates.tolist()],
            "ranked": ranked.tolist(),
            "ranked_probabilities": probabilities.tolist(),
        },
        "inputs": {k: about(v, what) for k, (v, what) in inputs.items()},
        "stages": list(expected),
        "expected": {k: tolerance(v, what) for k, (v, what) in expected.items()},
        "notes": "Written by tools/reference/albef_vqa.py. The original counts an answer's first word twice when it ranks.",
    }
    (out / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
