#!/usr/bin/env python3
"""Measures llama.cpp on the CPU: one line of JSON, see work.py.

    python bench_llama_cpp.py --model TEXT.gguf --mmproj VISION.gguf --bin FOLDER [--image-size WxH] [--tokens N] [--threads N]

FOLDER holds `llama-mtmd-cli`. It is asked once a run, and its log says how long each part took. Prefill is that of the
picture's tokens; the time to the first token is the tower's plus that of all tokens of the prompt at the same rate.
"""

import ctypes
import re
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import work


def more(parse) -> None:
    parse.add_argument("--mmproj", required=True)
    parse.add_argument("--bin", type=Path, required=True)


given = work.arguments(__doc__.splitlines()[0], more)


PR_SET_PDEATHSIG = 1  # of Linux


def end_with_parent() -> None:
    """Has the system end this process when the script is ended, so that it spoils nobody's measurement."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def numbers(pattern: str, log: str) -> tuple[float, ...]:
    """The groups of the last match."""
    found = re.findall(pattern, log)
    if not found:
        raise SystemExit(f"the log of llama-mtmd-cli has no `{pattern}`; it ends with:\n{log[-1500:]}")
    last = found[-1] if isinstance(found[-1], tuple) else (found[-1],)
    return tuple(float(group) for group in last)


def run(picture: str) -> dict[str, float]:
    command = [given.bin / "llama-mtmd-cli", "-m", given.model, "--mmproj", given.mmproj, "--image", picture]
    command += ["-p", work.PROMPT, "-n", given.tokens, "--temp", 0, "--ignore-eos", "-t", given.threads]
    command += ["-c", 4096, "-b", 2048, "-ub", 512, "--no-warmup", "-lv", 4]
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", preexec_fn=end_with_parent)
    log = done.stdout + done.stderr
    if done.returncode != 0:
        raise SystemExit(f"llama-mtmd-cli ended with {done.returncode}:\n{log[-1500:]}")
    (encode_ms,) = numbers(r"(?:batch encoding done|slice encoded) in (\d+) ms", log)
    image_ms = sum(float(ms) for ms in re.findall(r"image decoded \(batch \d+/\d+\) in (\d+) ms", log))
    (prompt_tokens,) = numbers(r"prompt eval time =\s*[\d.]+ ms /\s*(\d+) tokens", log)
    decode_ms, steps = numbers(r"\n[^\n]*(?<!prompt )eval time =\s*([\d.]+) ms /\s*(\d+) runs", log)
    # The log's own clock where the program says that it is ready: minutes, seconds, milliseconds.
    minutes, seconds, ms = numbers(r"(\d+)\.(\d+)\.(\d+)\.\d+ I main: loading model", log)
    prefill_tok_s = work.image_tokens(given.size) / (image_ms / 1e3)
    return {
        "encode_s": encode_ms / 1e3,
        "prefill_tok_s": prefill_tok_s,
        "decode_tok_s": steps / (decode_ms / 1e3),
        "ttft_s": encode_ms / 1e3 + prompt_tokens / prefill_tok_s,
        "load_s": minutes * 60 + seconds + ms / 1e3,
    }


def version() -> str:
    said = subprocess.run([given.bin / "llama-mtmd-cli", "--version"], capture_output=True, text=True, errors="replace")
    lines = [line.strip() for line in (said.stdout + said.stderr).splitlines() if line.startswith("version")]
    return "llama.cpp " + (lines[0] if lines else "of unknown version")


def main() -> None:
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(given.runs):
            file = f"{folder}/{seed}.png"
            work.picture(given.size, seed).save(file)
            runs.append(run(file))
            work.note(seed, **runs[-1])
    peak = work.peak_gib(resource.RUSAGE_CHILDREN)
    work.tell(given, runs, peer="llama.cpp", version=version(), peak_rss_gb=peak)


if __name__ == "__main__":
    main()
