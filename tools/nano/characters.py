"""Writes the tokenizer of the reader of Chinese and English: one token a character.

    characters.py LATIN_TOKENIZER OUTPUT

The characters are those of LATIN_TOKENIZER (models/nano/tokenizer.json), GB 2312 without kana, Greek small print and Cyrillic, the
frequent half of Big5 (the common traditional forms), and signs of documents and screens. Special tokens keep their numbers; characters
are numbered by their code points behind them.
"""

import json
import sys
import unicodedata

SIGNS = "●○■□▪▫◆◇▲△▼▽►▶◀★☆☐☑☒✔✗✘✦※→←↑↓↔⇒⇐⇔∑∏∫∂∈∉∩∪⊂⊃∀∃∴∵∠⊥∥∝∮≡≌∽∆∇αβγδεζηθικλμνξπρστυφχψωΑΒΓΔΘΛΞΠΣΦΨΩ℃℉№℡‖〓♀♂♪"
SIGNS += "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜüńňĀĒŌƏəĞğİıŞşĆćČčĐđĘęĄąŁłŃńŚśŹźŻżŘřŤťĎďŇňŮůŐőŰűĽľȘșȚțĂăĬĪŪ"
SIGNS += "─━│┃┌┐└┘├┤┬┴┼═║╔╗╚╝╠╣╦╩╬█▓▒░▌▐"
FULL_WIDTH = "".join(chr(c) for c in range(0xFF01, 0xFF5F)) + "￥￠￡"
PUNCTUATION = "、。〃々〇〈〉《》「」『』【】〔〕〖〗"


def from_rows(encoding, first, last):
    found = set()
    for row in range(first, last + 1):
        for cell in list(range(0x40, 0x7F)) + list(range(0xA1, 0xFF)):
            try:
                found.add(bytes([row, cell]).decode(encoding))
            except UnicodeDecodeError:
                pass
    return found


def main():
    source, output = sys.argv[1:]
    tokenizer = json.load(open(source, encoding="utf-8"))
    special = [token["content"] for token in tokenizer["added_tokens"]]
    characters = set(tokenizer["model"]["vocab"]) - set(special)
    characters |= from_rows("gb2312", 0xB0, 0xF7) | from_rows("big5", 0xA4, 0xC6)
    characters |= from_rows("gb2312", 0xA1, 0xA2) | set(SIGNS + FULL_WIDTH + PUNCTUATION)
    # What looks like another character is folded into that one by the drawing (charset.rs).
    characters -= set("\u3000\u2015\u2032\u2033\u03bc\u2225\u30fb\u301c\u00a8\u02c7\u02c9\u2236\u2299\u2312\ufe30ΑΒ∆►℡")
    characters -= {chr(c) for c in range(0x2488, 0x249C)}
    characters = {c for c in characters if len(c) == 1 and not unicodedata.combining(c) and not "\u3040" <= c <= "\u30ff" and not "\u3100" <= c <= "\u312f"}
    vocabulary = {token: i for i, token in enumerate(special + sorted(characters))}
    tokenizer["model"]["vocab"] = vocabulary
    with open(output, "w", encoding="utf-8") as file:
        json.dump(tokenizer, file, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    print(len(vocabulary), "tokens")


if __name__ == "__main__":
    main()
