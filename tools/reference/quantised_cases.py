#!/usr/bin/env python3
"""Writes tests/goldens/quantised: matrices of a golden checkpoint as published programs quantise them, and what the reference
library computes with the weights that these stand for.

    python quantised_cases.py [--goldens tests/goldens] [--only NAMES]

Each case gets `tensors.safetensors` (the matrices that take the place of those of the golden), `expected.safetensors` (logits and
greedy ids of the reference with dequantised weights in float32) and `case.json`: the golden, what its config has in addition, and
the SHA-256 of every dequantised matrix as float32. Where a package packs or unpacks on a CPU, it is called: bitsandbytes,
compressed-tensors (with scales widened to float32), mlx, gguf. GPTQ and AWQ are packed here by their published formulas.

Needs torch, transformers 5.24, bitsandbytes, compressed-tensors, mlx[cpu], gguf.
"""

import argparse
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3VLForConditionalGeneration

BASE = "qwen3_vl-batch-tied"
STEPS = 5
# Which layers are quantised: the first two by which greedy tokens are told apart by more than MARGIN.
LAYERS = ["(1|2)", "(0|2)", "(0|3)", "(1|3)", "(2|3)", "(0|1)", "(3)", "(2)", "(1)", "(0)"]
MARGIN = 0.02
PLACEHOLDERS = 9
LINEAR = r"layers\.(1|2)\..*proj\.weight$"
REFERENCE = "transformers 5.24.0, torch 2.15.0 CPU float32, weights dequantised by "
OWN = "the published formula"


# ---- integers in groups -------------------------------------------------------------------------------------------------


def groups_of(inputs, group):
    return inputs if group == -1 else group


def integers(weight, bits, group, symmetric, order=None):
    """Codes [out, in], zeros and scales [out, groups], the group of every input."""
    outputs, inputs = weight.shape
    size = groups_of(inputs, group)
    index = (torch.arange(inputs) if order is None else order.argsort()) // size
    count = -(-inputs // size)
    largest = 2**bits - 1
    scales, zeros = torch.zeros(outputs, count), torch.zeros(outputs, count, dtype=torch.int32)
    for g in range(count):
        part = weight[:, index == g]
        low, high = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
        if symmetric:
            scales[:, g] = 2 * torch.maximum(-low, high) / largest
            zeros[:, g] = 2 ** (bits - 1)
        else:
            scales[:, g] = (high - low) / largest
            zeros[:, g] = torch.round(-low / scales[:, g]).clamp(0, largest).int()
    scales = scales.half().float()
    codes = torch.round(weight / scales[:, index]) + zeros[:, index]
    codes = codes.clamp(0, largest).int()
    dense = scales[:, index] * (codes - zeros[:, index])
    return codes, zeros, scales, index.int(), dense


def stream(codes, bits):
    """Rows of codes as words of 32 bits, without a gap."""
    rows = codes.numpy().astype(np.uint8)
    all_bits = np.unpackbits(rows[..., None], axis=-1, bitorder="little")[..., :bits].reshape(rows.shape[0], -1)
    pad = -all_bits.shape[1] % 32
    all_bits = np.pad(all_bits, ((0, 0), (0, pad)))
    return torch.from_numpy(np.packbits(all_bits, axis=1, bitorder="little").view(np.int32).copy())


def gptq(bits=4, group=32, symmetric=False, desc_act=False, version=1, index=True):
    def pack(weight):
        order = torch.randperm(weight.shape[1]) if desc_act else None
        codes, zeros, scales, groups, dense = integers(weight, bits, group, symmetric, order)
        stored = (zeros - int(version == 1)) & (2**bits - 1)
        tensors = {
            "qweight": stream(codes, bits).T.contiguous(),
            "qzeros": stream(stored.T.contiguous(), bits),
            "scales": scales.T.contiguous().half(),
        }
        if index:
            tensors["g_idx"] = groups
        return tensors, dense

    return pack


GEMM_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def awq_gemm(group=32):
    def words(table):
        table = table.numpy().astype(np.uint32).reshape(table.shape[0], -1, 8)[..., GEMM_ORDER]
        shifts = np.arange(8, dtype=np.uint32) * 4
        return torch.from_numpy((table << shifts).sum(-1).astype(np.uint32).view(np.int32).copy())

    def pack(weight):
        codes, zeros, scales, _, dense = integers(weight, 4, group, False)
        return {
            "qweight": words(codes.T.contiguous()),
            "qzeros": words(zeros.T.contiguous()),
            "scales": scales.T.contiguous().half(),
        }, dense

    return pack


def padded_groups(count, group):
    """How many groups the kernels of gemv want."""
    several = {64: 2, 32: 4}.get(group, 1)
    words = -(-count // 8)
    return -(-words // several) * several * 8


def awq_gemv(group=32):
    def pack(weight):
        codes, zeros, scales, _, dense = integers(weight, 4, group, False)
        wide = padded_groups(zeros.shape[1], group)
        pad = (0, wide - zeros.shape[1])
        return {
            "qweight": stream(codes, 4),
            "qzeros": stream(torch.nn.functional.pad(zeros, pad), 4),
            "scales": torch.nn.functional.pad(scales, pad).half(),
        }, dense

    return pack


def awq_gemv_fast(group=32):
    def pack(weight):
        codes, zeros, scales, _, _ = integers(weight, 4, group, False)
        outputs, inputs = codes.shape
        # Pairs eight apart, then the even ones of each eight, then four outputs side by side over 64 inputs.
        laid = codes.reshape(outputs, inputs // 32, 4, 4, 2).permute(0, 1, 3, 2, 4)
        laid = laid.reshape(outputs, inputs // 8, 4, 2).permute(0, 1, 3, 2).reshape(outputs, inputs)
        laid = laid.reshape(outputs // 4, 4, inputs // 64, 64).permute(0, 2, 1, 3)
        laid = laid.reshape(outputs // 4, inputs, 4).numpy().astype(np.uint16)
        packed = (laid << (np.arange(4, dtype=np.uint16) * 4)).sum(-1).astype(np.uint16).view(np.int16)
        offsets = (-scales * zeros).half()
        dense = scales.repeat_interleave(group, 1) * codes + offsets.float().repeat_interleave(group, 1)
        wide = padded_groups(zeros.shape[1], group)
        pad = (0, wide - zeros.shape[1])
        return {
            "qweight": torch.from_numpy(packed.copy()),
            "qzeros": torch.nn.functional.pad(offsets, pad).T.contiguous(),
            "scales": torch.nn.functional.pad(scales, pad).T.contiguous().half(),
        }, dense

    return pack


# ---- bitsandbytes -------------------------------------------------------------------------------------------------------


def bnb4(kind, nested, storage=torch.uint8):
    import bitsandbytes.functional as bnb

    def pack(weight):
        # A row for each run: on a CPU, the package unpacks runs that cross rows with the scales of others.
        runs = weight.reshape(-1, 64)
        codes, state = bnb.quantize_4bit(runs, quant_type=kind, blocksize=64, compress_statistics=nested)
        dense = bnb.dequantize_4bit(codes, state).reshape(weight.shape)
        assert dense.dtype == torch.float32
        state.shape = weight.shape
        tensors = {f"weight.{key}": value for key, value in state.as_dict(packed=True).items()}
        tensors["weight"] = codes if storage == torch.uint8 else codes.flatten().view(storage).reshape(-1, 1)
        return tensors, dense

    return pack


def bnb8(weight):
    import bitsandbytes.functional as bnb

    codes, scales, _ = bnb.int8_vectorwise_quant(weight.half())
    dense = bnb.int8_vectorwise_dequant(codes, scales).float()
    return {"weight": codes, "SCB": scales.float(), "weight_format": torch.tensor(0, dtype=torch.uint8)}, dense


# ---- fp8 ----------------------------------------------------------------------------------------------------------------


def fp8(name, shape_of, dtype=torch.float8_e4m3fn, scale_dtype=torch.float32, beside=None):
    """`shape_of(out, in)` gives rows and columns of a block; scales are stored in the form of `keep(scales)`."""

    def pack(weight):
        rows, cols, keep = shape_of(*weight.shape)
        outputs, inputs = weight.shape
        down, across = -(-outputs // rows), -(-inputs // cols)
        blocks = torch.nn.functional.pad(weight, (0, across * cols - inputs, 0, down * rows - outputs))
        most = blocks.reshape(down, rows, across, cols).abs().amax((1, 3))
        scales = (most / torch.finfo(dtype).max).to(scale_dtype).float()
        wide = scales.repeat_interleave(rows, 0)[:outputs].repeat_interleave(cols, 1)[:, :inputs]
        codes = (weight / wide).to(dtype)
        tensors = {"weight": codes, name: keep(scales).to(scale_dtype).contiguous()}
        for end, value in (beside or {}).items():
            tensors[end] = torch.tensor(value)
        return tensors, codes.float() * wide

    return pack


def whole(outputs, inputs):
    return outputs, inputs, lambda scales: scales.reshape(())


def one(outputs, inputs):
    return outputs, inputs, lambda scales: scales.reshape(1)


def channels(outputs, inputs):
    return 1, inputs, lambda scales: scales


def blocks(rows, cols):
    return lambda outputs, inputs: (rows, cols, lambda scales: scales)


def cast(dtype):
    def pack(weight):
        codes = weight.to(dtype)
        return {"weight": codes}, codes.float()

    return pack


# ---- compressed-tensors -------------------------------------------------------------------------------------------------


def compressed(form, scale_dtype=torch.bfloat16, **settings):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

    args = QuantizationArgs(**settings)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    compressor = BaseCompressor.get_value_from_registry(form)

    def pack(weight):
        outputs, inputs = weight.shape
        size = args.group_size or inputs
        parts = weight.reshape(1, -1) if args.strategy == "tensor" else weight.reshape(outputs, -1, size)
        low, high = parts.amin(-1), parts.amax(-1)
        state = {}
        if args.strategy == "tensor_group":
            state["weight_global_scale"] = generate_gparam(weight.amin(), weight.amax())
        scale, zero = calculate_qparams(low, high, args, global_scale=state.get("weight_global_scale"))
        if args.strategy == "tensor":
            scale, zero = scale.reshape(1), zero.reshape(1)
        # As it is stored.
        if form not in ("nvfp4-pack-quantized", "mxfp4-pack-quantized"):
            scale = scale.to(scale_dtype).float()
        state |= {"weight": weight, "weight_scale": scale}
        if not args.symmetric:
            state["weight_zero_point"] = zero.to(torch.int8)
        packed = compressor.compress(state, scheme)
        dense = compressor.decompress({k: v.clone() for k, v in packed.items()}, scheme)["weight"]
        tensors = {k: v for k, v in packed.items() if v is not None}
        if tensors["weight_scale"].dtype == torch.float32:
            tensors["weight_scale"] = tensors["weight_scale"].to(scale_dtype)
        if form == "nvfp4-pack-quantized":
            # The package unpacks to bfloat16; every value and scale is exact there, their product is not.
            from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8

            values = unpack_fp4_from_uint8(packed["weight_packed"], outputs, inputs, torch.float32)
            wide = (packed["weight_scale"].float() / packed["weight_global_scale"]).repeat_interleave(size, 1)
            assert torch.allclose(values * wide, dense.float(), rtol=0.02)
            dense = values * wide
        return tensors, dense.float()

    return pack


def compressed_ordered(weight):
    """Groups that are no neighbours, as older versions of the package wrote them."""
    codes, zeros, scales, index, dense = integers(weight, 4, 32, True, torch.randperm(weight.shape[1]))
    return {
        "weight_packed": stream(codes, 4),
        "weight_scale": scales.half(),
        "weight_shape": torch.tensor(weight.shape),
        "weight_g_idx": index,
    }, dense


def compressed_whole_words(weight):
    """3 bits, ten to a word, as older versions of the package wrote them."""
    codes, zeros, scales, _, dense = integers(weight, 3, 32, True)
    outputs, inputs = codes.shape
    filled = torch.nn.functional.pad(codes, (0, -inputs % 10)).reshape(outputs, -1, 10).long()
    words = (filled << (3 * torch.arange(10))).sum(-1).int()
    return {"weight_packed": words, "weight_scale": scales.half(), "weight_shape": torch.tensor(weight.shape)}, dense


def model_optimizer_fp4(weight):
    import torch.nn.functional as F

    table = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    parts = weight.reshape(weight.shape[0], -1, 16)
    whole = weight.abs().max() / (6 * 448)
    scales = (parts.abs().amax(-1) / (6 * whole)).to(torch.float8_e4m3fn)
    wide = (scales.float() * whole).repeat_interleave(16, 1)
    size = (weight / wide).abs()
    code = (size[..., None] - table).abs().argmin(-1) + 8 * (weight < 0)
    dense = torch.cat([table, -table])[code] * wide
    pairs = code.reshape(weight.shape[0], -1, 2)
    packed = (pairs[..., 0] | pairs[..., 1] << 4).to(torch.uint8)
    del F
    return {"weight": packed, "weight_scale": scales, "weight_scale_2": whole, "input_scale": torch.tensor(0.5)}, dense


# ---- MLX ----------------------------------------------------------------------------------------------------------------


def mlx(bits=4, group=32, dtype="bfloat16"):
    import mlx.core as mx

    def pack(weight):
        matrix = mx.array(weight.numpy()).astype(getattr(mx, dtype))
        codes, scales, biases = mx.quantize(matrix, group_size=group, bits=bits)
        wide = [mx.array(part).astype(mx.float32) for part in (scales, biases)]
        dense = mx.dequantize(codes, *wide, group_size=group, bits=bits)
        plain = {"float16": torch.float16, "bfloat16": torch.bfloat16}[dtype]
        numbers = [torch.from_numpy(np.array(part)).to(plain) for part in wide]
        return {
            "weight": torch.from_numpy(np.array(codes)), "scales": numbers[0], "biases": numbers[1],
        }, torch.from_numpy(np.array(dense))  # fmt: skip

    return pack


# ---- cases --------------------------------------------------------------------------------------------------------------


def gptq_config(bits=4, group=32, **more):
    return {"quantization_config": {
        "quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": False, "sym": False, "lm_head": False,
        "checkpoint_format": "gptq", "pack_dtype": "int32", "hyb_act": False, "true_sequential": True,
        "meta": {"quantizer": ["gptqmodel:7.7.0"], "damp_percent": 0.05}, **more,
    }}  # fmt: skip


def awq_config(version, group=32):
    return {"quantization_config": {
        "quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": version,
        "modules_to_not_convert": ["visual"], "backend": "autoawq", "do_fuse": False,
    }}  # fmt: skip


def bnb_config(**more):
    return {"quantization_config": {
        "quant_method": "bitsandbytes", "_load_in_4bit": False, "_load_in_8bit": False, "llm_int8_threshold": 6.0,
        "llm_int8_skip_modules": ["lm_head"], "llm_int8_enable_fp32_cpu_offload": False,
        "llm_int8_has_fp16_weight": False, "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_quant_storage": "uint8",
        **more,
    }}  # fmt: skip


NF4 = {"load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": "nf4"}


def fp8_config(**more):
    return {"quantization_config": {
        "quant_method": "fp8", "activation_scheme": "dynamic", "modules_to_not_convert": ["lm_head"], **more,
    }}  # fmt: skip


def ct_config(form, activations=None, **weights):
    group = {
        "targets": ["Linear"], "input_activations": activations, "output_activations": None,
        "weights": {"observer": "minmax", "dynamic": False, **weights},
    }  # fmt: skip
    return {"quantization_config": {
        "quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": group},
        "ignore": ["re:.*lm_head", "re:visual.*"], "kv_cache_scheme": None, "quantization_status": "compressed",
        "global_compression_ratio": None, "version": "0.20.1", "sparsity_config": {}, "transform_config": {},
    }}  # fmt: skip


def mlx_config(bits=4, group=32, **more):
    sizes = {"group_size": group, "bits": bits, **more}
    return {"quantization": sizes, "quantization_config": sizes}


DYNAMIC = {"num_bits": 8, "type": "int", "dynamic": True, "strategy": "token", "symmetric": True}
TENSOR_FP8 = {"type": "float", "num_bits": 8, "strategy": "tensor"}
NO_KV = r"layers\.(1|2)\..*(?<!k_)(?<!v_)proj\.weight$"
OF_64 = r"layers\.(1|2)\..*(gate|up|q|k|v)_proj\.weight$"
TOWER = LINEAR + r"|visual\.blocks\.1\..*(qkv|proj)\.weight$"
TABLE = LINEAR + r"|embed_tokens\.weight$"


def cases():
    """Name, what it is, which matrices, how they are packed, the config's fields, who dequantised."""
    g, b, c, m = OWN, "bitsandbytes 0.50.2", "compressed-tensors 0.20.1", "mlx 0.32.4"
    yield "gptq-4", "GPTQ, 4 bits, groups of 32", LINEAR, gptq(), gptq_config(), g
    yield "gptq-4-sym", "GPTQ, 4 bits, `sym`", LINEAR, gptq(symmetric=True), gptq_config(sym=True), g
    yield "gptq-4-row", "GPTQ, 4 bits, one group a row", LINEAR, gptq(group=-1), gptq_config(group=-1), g
    yield "gptq-4-v2", "GPTQ, 4 bits, `gptq_v2`", LINEAR, gptq(version=2), gptq_config(checkpoint_format="gptq_v2"), g
    yield "gptq-4-act", "GPTQ, 4 bits, `desc_act`", LINEAR, gptq(desc_act=True), gptq_config(desc_act=True), g
    yield "gptq-4-no-index", "GPTQ, 4 bits, without `g_idx`", LINEAR, gptq(index=False), gptq_config(), g
    yield "gptq-2", "GPTQ, 2 bits", LINEAR, gptq(bits=2), gptq_config(bits=2), g
    yield "gptq-3", "GPTQ, 3 bits", NO_KV, gptq(bits=3), gptq_config(bits=3), g
    yield "gptq-8", "GPTQ, 8 bits", LINEAR, gptq(bits=8), gptq_config(bits=8), g
    yield "gptq-8-sym", "GPTQ, 8 bits, `sym`", LINEAR, gptq(bits=8, symmetric=True), gptq_config(bits=8, sym=True), g
    rules = {r"+:.*down_proj.*": {"bits": 8, "group_size": 32}, "-:.*k_proj.*": {}}
    yield "gptq-dynamic", "GPTQ, `dynamic` with other bits for some modules", NO_KV, {
        "down_proj": gptq(bits=8), "": gptq(),
    }, gptq_config(dynamic=rules), g  # fmt: skip
    nested = {"text_config.quantization_config": gptq_config()["quantization_config"]}
    yield "gptq-text-config", "GPTQ, named in `text_config`", LINEAR, gptq(), nested, g
    rounded = {"quantization_config": {
        "quant_method": "auto-round", "packing_format": "auto_round:auto_gptq", "bits": 4, "group_size": 32, "sym": True,
        "data_type": "int", "iters": 200, "autoround_version": "0.7.1", "block_name_to_quantize": "model.language_model.layers",
    }}  # fmt: skip
    yield "auto-round", "AutoRound in GPTQ's words", LINEAR, gptq(symmetric=True), rounded, g
    yield "awq-gemm", "AWQ, `gemm`", LINEAR, awq_gemm(), awq_config("gemm"), g
    yield "awq-gemm-row", "AWQ, `gemm`, one group a row", LINEAR, awq_gemm(-1), awq_config("gemm", -1), g
    yield "awq-gemv", "AWQ, `gemv`", LINEAR, awq_gemv(), awq_config("gemv"), g
    yield "awq-gemv-64", "AWQ, `gemv`, groups of 64", OF_64, awq_gemv(64), awq_config("gemv", 64), g
    yield "awq-gemv-fast", "AWQ, `gemv_fast`", OF_64, awq_gemv_fast(), awq_config("gemv_fast"), g
    yield "bnb-nf4", "bitsandbytes nf4", TOWER, bnb4("nf4", False), bnb_config(**NF4, bnb_4bit_use_double_quant=False), b
    yield "bnb-nf4-double", "bitsandbytes nf4, scales quantised as well", LINEAR, bnb4("nf4", True), bnb_config(
        **NF4, bnb_4bit_use_double_quant=True
    ), b  # fmt: skip
    yield "bnb-nf4-bf16", "bitsandbytes nf4, stored as bfloat16", LINEAR, bnb4("nf4", False, torch.bfloat16), bnb_config(
        **NF4 | {"bnb_4bit_quant_storage": "bfloat16"}
    ), b  # fmt: skip
    yield "bnb-nf4-plain", "bitsandbytes nf4, without a config", LINEAR, bnb4("nf4", False), {}, b
    yield "bnb-fp4", "bitsandbytes fp4", LINEAR, bnb4("fp4", False), bnb_config(**NF4 | {"bnb_4bit_quant_type": "fp4"}), b
    yield "bnb-int8", "bitsandbytes int8", LINEAR, bnb8, bnb_config(load_in_8bit=True, load_in_4bit=False), b
    yield "fp8-blocks", "fp8 in blocks of 32 x 32", TOWER, fp8("weight_scale_inv", blocks(32, 32)), fp8_config(
        weight_block_size=[32, 32], fmt="e4m3"
    ), g  # fmt: skip
    yield "fp8-blocks-128", "fp8 in blocks of 128 x 128", LINEAR, fp8("weight_scale_inv", blocks(128, 128)), fp8_config(
        weight_block_size=[128, 128]
    ), g  # fmt: skip
    yield "fp8-blocks-plain", "fp8 in blocks, without a config", LINEAR, fp8(
        "weight_scale_inv", blocks(128, 128), scale_dtype=torch.bfloat16
    ), {}, g  # fmt: skip
    yield "fp8-blocks-e8m0", "fp8 in blocks, scales of 8 bits", LINEAR, fp8(
        "weight_scale_inv", blocks(32, 64), scale_dtype=torch.float8_e8m0fnu
    ), fp8_config(weight_block_size=[32, 64], scale_fmt="ue8m0"), g  # fmt: skip
    yield "fp8-tensor", "fp8, a scale for each matrix, activations scaled", LINEAR, fp8(
        "weight_scale_inv", whole, beside={"activation_scale": 0.05}
    ), fp8_config(activation_scheme="static", weight_block_size=None), g  # fmt: skip
    yield "fp8-e5m2", "fp8 of the other kind (e5m2)", LINEAR, fp8("weight_scale", one, torch.float8_e5m2), {}, g
    yield "fp8-channel", "fp8, a scale for each output (`fbgemm_fp8`)", LINEAR, fp8(
        "weight_scale", channels, beside={"input_scale_ub": 1200.0}
    ), {"quantization_config": {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0}}, g  # fmt: skip
    yield "fp8-cast", "fp8 without scales or a config", LINEAR, cast(torch.float8_e4m3fn), {}, g
    optimised = {"quantization_config": {
        "quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_scheme": {"dynamic": False, "num_bits": 8},
        "ignore": ["lm_head"], "producer": {"name": "modelopt", "version": "0.35.0"},
    }}  # fmt: skip
    yield "modelopt-fp8", "Model Optimizer, fp8", LINEAR, fp8("weight_scale", whole, beside={"input_scale": 0.05}), optimised, g
    fp4 = {"quantization_config": optimised["quantization_config"] | {"quant_algo": "NVFP4"}}
    yield "modelopt-nvfp4", "Model Optimizer, NVFP4", LINEAR, model_optimizer_fp4, fp4, g
    pack4 = dict(num_bits=4, type="int", strategy="group", group_size=32)
    yield "ct-w4a16", "compressed-tensors W4A16, symmetric", LINEAR, compressed(
        "pack-quantized", symmetric=True, **pack4
    ), ct_config("pack-quantized", symmetric=True, **pack4), c  # fmt: skip
    yield "ct-w4a16-asym", "compressed-tensors W4A16, asymmetric", LINEAR, compressed(
        "pack-quantized", symmetric=False, **pack4
    ), ct_config("pack-quantized", symmetric=False, **pack4), c  # fmt: skip
    row4 = dict(num_bits=4, type="int", strategy="channel", symmetric=True)
    yield "ct-w4a16-channel", "compressed-tensors W4A16, a scale for each output", LINEAR, compressed(
        "pack-quantized", **row4
    ), ct_config("pack-quantized", **row4), c  # fmt: skip
    yield "ct-w4a16-act", "compressed-tensors W4A16, `actorder` with `g_idx`", LINEAR, compressed_ordered, ct_config(
        "pack-quantized", symmetric=True, actorder="group", **pack4
    ), g  # fmt: skip
    row8 = dict(num_bits=8, type="int", strategy="channel", symmetric=True)
    yield "ct-w8a16", "compressed-tensors W8A16", LINEAR, compressed("pack-quantized", **row8), ct_config(
        "pack-quantized", **row8
    ), c  # fmt: skip
    pack3 = dict(num_bits=3, type="int", strategy="group", group_size=32, symmetric=True)
    yield "ct-w3a16", "compressed-tensors, 3 bits", LINEAR, compressed("pack-quantized", **pack3), ct_config(
        "pack-quantized", **pack3
    ), c  # fmt: skip
    yield "ct-w3a16-old", "compressed-tensors, 3 bits, ten to a word", LINEAR, compressed_whole_words, ct_config(
        "pack-quantized", **pack3
    ), g  # fmt: skip
    yield "ct-w8a8", "compressed-tensors W8A8", LINEAR, compressed("int-quantized", **row8), ct_config(
        "int-quantized", DYNAMIC, **row8
    ), c  # fmt: skip
    asym8 = row8 | {"symmetric": False}
    yield "ct-w8a8-asym", "compressed-tensors W8A8, asymmetric", LINEAR, compressed("int-quantized", **asym8), ct_config(
        "int-quantized", DYNAMIC, **asym8
    ), c  # fmt: skip
    yield "ct-fp8", "compressed-tensors fp8, a scale for each matrix", LINEAR, compressed(
        "float-quantized", symmetric=True, **TENSOR_FP8
    ), ct_config("float-quantized", TENSOR_FP8, symmetric=True, **TENSOR_FP8), c  # fmt: skip
    rows = dict(num_bits=8, type="float", strategy="channel", symmetric=True)
    yield "ct-fp8-channel", "compressed-tensors fp8, a scale for each output", LINEAR, compressed(
        "float-quantized", **rows
    ), ct_config("float-quantized", DYNAMIC | {"type": "float"}, **rows), c  # fmt: skip
    nv = dict(num_bits=4, type="float", strategy="tensor_group", group_size=16, symmetric=True, scale_dtype=torch.float8_e4m3fn)
    yield "ct-nvfp4", "compressed-tensors NVFP4", LINEAR, compressed("nvfp4-pack-quantized", **nv), ct_config(
        "nvfp4-pack-quantized", **nv | {"scale_dtype": "torch.float8_e4m3fn"}
    ), c  # fmt: skip
    mx = dict(num_bits=4, type="float", strategy="group", group_size=32, symmetric=True, scale_dtype=torch.uint8)
    yield "ct-mxfp4", "compressed-tensors MXFP4", LINEAR, compressed("mxfp4-pack-quantized", **mx), ct_config(
        "mxfp4-pack-quantized", **mx | {"scale_dtype": "torch.uint8"}
    ), c  # fmt: skip
    for bits in (2, 3, 4, 5, 6, 8):
        yield f"mlx-{bits}", f"MLX, {bits} bits, groups of 32", TABLE, mlx(bits), mlx_config(bits), m
    yield "mlx-4-64", "MLX, 4 bits, groups of 64", OF_64, mlx(4, 64, "float16"), mlx_config(4, 64, mode="affine"), m
    yield "mlx-4-plain", "MLX, 4 bits, without a config", OF_64, mlx(4, 64), {}, m
    mixed = mlx_config(4, 32)
    for sizes in mixed.values():
        for layer in (1, 2):
            sizes[f"language_model.model.layers.{layer}.mlp.down_proj"] = {"group_size": 32, "bits": 8}
            sizes[f"language_model.model.layers.{layer}.self_attn.v_proj"] = False
    yield "mlx-mixed", "MLX, other bits for some modules", LINEAR.replace("proj", "(?<!v_)proj"), {
        "down_proj": mlx(8), "": mlx(4),
    }, mixed, m  # fmt: skip


def expected(model, inputs):
    mask = inputs["attention_mask"].unsqueeze(-1)
    given = inputs | {"mm_token_type_ids": (inputs["input_ids"] == model.config.image_token_id).int()}
    with torch.no_grad():
        logits = model(**given).logits * mask
        done = model.generate(
            **given, max_new_tokens=STEPS, do_sample=False, eos_token_id=None, pad_token_id=0,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
    ids = done.sequences[:, inputs["input_ids"].shape[1] :]
    top = torch.stack(done.logits, 1).topk(2, -1).values
    return {"logits": logits, "greedy_ids": ids}, (top[..., 0] - top[..., 1]).min().item()


def quantised(base, pattern, pack):
    """The reference's model with dequantised weights, the tensors that stand for them, and their digests."""
    model = Qwen3VLForConditionalGeneration.from_pretrained(base / "model", dtype=torch.float32).eval()
    tensors, digests = {}, {}
    torch.manual_seed(11)
    for full, weight in model.named_parameters():
        if not re.search(pattern, full):
            continue
        one = pack if callable(pack) else next(p for part, p in pack.items() if part in full)
        packed, dense = one(weight.detach().clone())
        assert dense.shape == weight.shape and dense.dtype == torch.float32
        stem = full.removesuffix("weight")
        tensors |= {stem + end: value.contiguous() for end, value in packed.items()}
        digests[full] = hashlib.sha256(dense.contiguous().numpy().astype("<f4").tobytes()).hexdigest()
        with torch.no_grad():
            weight.copy_(dense)
    assert digests
    return model, tensors, digests


def write(folder, base, name, what, pattern, pack, config, by):
    inputs = load_file(base / "inputs.safetensors")
    for layers in LAYERS:
        model, tensors, digests = quantised(base, pattern.replace(LAYERS[0], layers), pack)
        results, margin = expected(model, inputs)
        # A placeholder without a picture is refused in an answer as well.
        if margin > MARGIN and results["greedy_ids"].min() > PLACEHOLDERS:
            break
    else:
        raise SystemExit(f"{name}: greedy tokens are too close")
    case = folder / name
    case.mkdir(parents=True, exist_ok=True)
    save_file(tensors, case / "tensors.safetensors")
    save_file({k: v.contiguous() for k, v in results.items()}, case / "expected.safetensors")

    def tolerance(tensor):
        exact = not tensor.is_floating_point()
        atol = 0.0 if exact else 2e-5 * max(1.0, tensor.abs().max().item())
        return {"what": f"{list(tensor.shape)}", "atol": atol, "rtol": 0.0 if exact else 1e-4}

    about = {
        "family": "qwen3_vl", "name": name, "what": what, "reference": REFERENCE + by, "task": "generate",
        "options": {"max_new_tokens": STEPS, "do_sample": False, "eos": None, "mrope": "5.23"},
        "base": base.name, "config": config, "stages": list(results),
        "expected": {k: tolerance(v) for k, v in results.items()}, "dequantised": digests,
    }  # fmt: skip
    (case / "case.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    print(f"{name}: {len(digests)} matrices, margin {margin:.3f}")


def gguf_types(folder):
    """Blocks of random bytes of every type that has no file from the package's own writer, and what the package reads in them."""
    import gguf

    random = np.random.default_rng(5)
    # Type, places of halves in a block, which must be finite.
    types = [("Q2_K", (80, 82)), ("Q3_K", (108,)), ("IQ4_NL", (0,)), ("IQ4_XS", (0,)), ("MXFP4", ())]
    writer = gguf.GGUFWriter(folder / "more_types.gguf", "example")
    values = {}
    for name, halves in types:
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        data = random.integers(0, 256, (3, 2 * size), dtype=np.uint8)
        for block in range(2):
            for at in halves:
                data[:, block * size + at : block * size + at + 2] = (
                    random.normal(0, 0.02, (3, 1)).astype("<f2").view(np.uint8).reshape(3, 2)
                )
            if name == "MXFP4":
                data[:, block * size] = random.integers(110, 130, 3)
        writer.add_tensor(name, data, raw_dtype=kind)
        values[name] = torch.from_numpy(gguf.quants.dequantize(data, kind).astype(np.float32).copy())
        assert values[name].shape == (3, 2 * elements)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(values, folder / "more_types.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goldens", type=Path, default=Path(__file__).resolve().parents[2] / "tests/goldens")
    parser.add_argument("--only", help="an expression for names of cases")
    args = parser.parse_args()
    gguf_types(args.goldens / "../../crates/ocellus-weights/tests/gguf/data")
    for name, *rest in cases():
        if args.only is None or re.fullmatch(args.only, name):
            write(args.goldens / "quantised", args.goldens / BASE, name, *rest)


if __name__ == "__main__":
    main()
