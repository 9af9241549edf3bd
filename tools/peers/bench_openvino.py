#!/usr/bin/env python3
"""Measures OpenVINO GenAI on the CPU: one line of JSON, see work.py.

    python bench_openvino.py --model FOLDER [--image-size WxH] [--tokens N] [--threads N]

FOLDER is made by `optimum-cli export openvino`. Its time for the vision tower holds preprocessing and the embedding of
the text, which it does not tell apart.
"""

import time

import work

given = work.arguments(__doc__.splitlines()[0])

import numpy  # noqa: E402 - after the number of threads is set
import openvino  # noqa: E402
import openvino_genai  # noqa: E402

CONFIG = {"INFERENCE_NUM_THREADS": given.threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}


def run(pipeline, size, tokens: int, seed: int) -> dict[str, float]:
    greedy = openvino_genai.GenerationConfig()
    greedy.max_new_tokens = greedy.min_new_tokens = tokens
    greedy.ignore_eos, greedy.do_sample, greedy.apply_chat_template = True, False, True
    shown = openvino.Tensor(numpy.asarray(work.picture(size, seed))[None])
    told = pipeline.generate(work.PROMPT, images=[shown], generation_config=greedy).perf_metrics
    assert told.get_num_generated_tokens() == tokens, told.get_num_generated_tokens()
    encode_s = told.get_prepare_embeddings_duration().mean / 1e3
    ttft_s = told.get_ttft().mean / 1e3
    return {
        "encode_s": encode_s,
        "prefill_tok_s": told.get_num_input_tokens() / (ttft_s - encode_s),
        "decode_tok_s": 1e3 / told.get_tpot().mean,
        "ttft_s": ttft_s,
    }


def main() -> None:
    start = time.perf_counter()
    pipeline = openvino_genai.VLMPipeline(given.model, "CPU", **CONFIG)
    load_s = round(time.perf_counter() - start, 3)
    run(pipeline, work.WARM_UP_SIZE, work.WARM_UP_TOKENS, seed=99)
    runs = []
    for seed in range(given.runs):
        # A new picture every time, so that no cache answers.
        runs.append(run(pipeline, given.size, given.tokens, seed))
        work.note(seed, **runs[-1])
    version = f"openvino-genai {openvino_genai.__version__}"
    work.tell(given, runs, peer="openvino", version=version, load_s=load_s, peak_rss_gb=work.peak_gib())


if __name__ == "__main__":
    main()
