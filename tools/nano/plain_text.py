"""Turns man pages, HTML, text files, catalogues of translations and word lists into plain lines: one paragraph, heading or code line each.

    plain_text.py FOLDER limit:KB [script:han] KIND:PATTERN ...

KIND is man, html, text, mo or words; PATTERN is matched against the path in FOLDER. At most KB kilobytes in all, taken evenly over the
files that match; a line seen before is left out. With script:han lines in Chinese are kept, and no others; without it none is.
"""

import fnmatch
import gettext
import gzip
import html.parser
import math
import os
import re
import subprocess
import sys
import unicodedata

BLOCKS = {"p", "li", "dt", "dd", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "div", "pre", "tr", "br", "title", "table", "ul", "ol", "dl", "blockquote"}
SILENT = {"script", "style", "head", "nav"}


class Lines(html.parser.HTMLParser):
    """Text of the block elements; line breaks are kept inside <pre>."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.lines, self.buffer, self.pre, self.silent = [], [], 0, 0

    def flush(self):
        text = "".join(self.buffer)
        self.buffer = []
        self.lines += text.split("\n") if self.pre else [" ".join(text.split())]

    def handle_starttag(self, tag, attrs):
        if tag in SILENT:
            self.silent += 1
        if tag in BLOCKS:
            self.flush()
        if tag == "pre":
            self.pre += 1

    def handle_endtag(self, tag):
        if tag in BLOCKS:
            self.flush()
        if tag in SILENT and self.silent:
            self.silent -= 1
        if tag == "pre" and self.pre:
            self.pre -= 1

    def handle_data(self, data):
        if not self.silent:
            self.buffer.append(data)


def read(path):
    raw = open(path, "rb").read()
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    return raw


def decode(raw):
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def from_man(path):
    raw = read(path)
    if raw.startswith(b".so "):
        return []
    run = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=900"], input=raw, capture_output=True, timeout=30)
    text = re.sub(".\b", "", run.stdout.decode("utf-8", "replace"))
    return text.split("\n")


def from_html(path):
    parser = Lines()
    parser.feed(decode(read(path)))
    parser.close()
    parser.flush()
    return parser.lines


def from_text(path):
    """Paragraphs of a wrapped text become one line each; short and indented lines stay as they are."""
    out, paragraph = [], []
    for line in decode(read(path)).split("\n"):
        if paragraph and (not line.strip() or line.startswith((" ", "\t", "%"))):
            out.append(" ".join(paragraph))
            paragraph = []
        if line.strip() and not line.startswith("%"):
            paragraph.append(line.strip())
    return out + [" ".join(paragraph)]


def from_mo(path):
    """The translations of a catalogue, without marks for keys that the menu does not show and without formats' directives."""
    with open(path, "rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog
    lines = []
    for key, text in sorted((str(key), text) for key, text in catalogue.items() if key):
        for line in text.split("\n"):
            lines.append(re.sub(r"\([_&]\w\)|[_&](?=\w)|%[-+ #0-9.$l]*[a-zA-Z]|<[^>]*>", "", line))
    return lines


def from_words(path):
    """A list of words with their frequencies: the most frequent words, twelve a line, in an order in which neighbours do not rhyme."""
    rows = [line.split() for line in decode(read(path)).split("\n")]
    rows = [(int(row[1]), row[0]) for row in rows if len(row) > 1 and row[1].isdigit()]
    words = [word for _, word in sorted(rows, key=lambda row: (-row[0], row[1]))][:240_000]
    # A step without a common divisor visits every word once.
    step = next(step for step in range(len(words) * 5 // 8, len(words) + 2) if math.gcd(step, len(words)) == 1)
    words = [words[i * step % len(words)] for i in range(len(words))]
    joints = ["、", " ", "，", "", "；", " "]
    return [joints[i // 12 % len(joints)].join(words[i : i + 12]) for i in range(0, len(words), 12)]


def joined_han(line):
    """A line break of the source is no space between Chinese characters."""
    wide = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
    return re.sub(f"(?<={wide}) (?={wide})", "", line)


def kept_han(line):
    """A line that has Chinese in it, and no script beside it but Latin."""
    han = sum("\u4e00" <= c <= "\u9fff" for c in line)
    strange = sum(0x370 <= ord(c) < 0x2000 or 0x3040 <= ord(c) < 0x3100 or 0xA000 <= ord(c) < 0xFF00 or ord(c) > 0xFFEF for c in line)
    return han >= 2 and han * 5 >= len(line) and len(line) <= 20_000 and strange == 0


def kept(line):
    """A line with enough letters, no drawing characters, and no script that the charset lacks."""
    letters = sum(c.isalpha() for c in line)
    strange = sum(ord(c) > 0x2600 or 0x250 <= ord(c) < 0x1E00 for c in line)
    return 3 <= len(line) <= 20_000 and letters * 3 >= len(line) and strange == 0 and "\ufffd" not in line


def main():
    folder, limit = sys.argv[1], 1000 * int(sys.argv[2].removeprefix("limit:"))
    wanted = [spec.split(":", 1) for spec in sys.argv[3:]]
    keeps = kept_han if ["script", "han"] in wanted else kept
    wanted = [spec for spec in wanted if spec[0] != "script"]
    paths = []
    for base, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            inner = os.path.relpath(path, folder)
            kind = next((k for k, pattern in wanted if fnmatch.fnmatch(inner, pattern.lstrip("/"))), None)
            # Fortunes kept apart as offensive are also enciphered.
            if kind and "/off/" not in path and os.path.isfile(path) and not name.endswith((".dat", ".u8", ".css", ".js", ".png")):
                paths.append((inner, path, kind))
    paths.sort()
    readers = {"man": from_man, "html": from_html, "text": from_text, "mo": from_mo, "words": from_words}
    share = max(4000, limit // max(1, len(paths)))
    # Small files leave room for others: a second share is granted by raising the cut with what was saved.
    seen, total, saved = set(), 0, 0
    step = max(1, len(paths) * 4000 // limit)
    for _, path, kind in paths[::step]:
        if total >= limit:
            break
        try:
            lines = readers[kind](path)
        except (OSError, subprocess.TimeoutExpired, EOFError, UnicodeDecodeError):
            continue
        room = share + saved
        for line in lines:
            line = " ".join(unicodedata.normalize("NFC", line).replace("¶", "").split())
            line = re.sub("\x1b?\\[[0-9;]*m", "", line) if keeps is kept_han else line
            if keeps is kept_han and kind != "words":
                line = joined_han(line)
            if not keeps(line) or line in seen:
                continue
            if room <= 0:
                break
            seen.add(line)
            size = len(line.encode()) + 1
            room, total = room - size, total + size
            sys.stdout.write(line + "\n")
        saved = max(0, min(room, 4 * share))


if __name__ == "__main__":
    main()
