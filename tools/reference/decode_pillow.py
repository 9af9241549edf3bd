#!/usr/bin/env python3
"""Writes tests/pixels/decode-pillow: small picture files of many kinds, and the pixels Pillow reads from them.

    python decode_pillow.py ../../tests/pixels/decode-pillow

Expected pixels: first frame, EXIF orientation applied, transparency laid over white, 8-bit RGB; 16-bit levels are cut
to their high byte (those files are written here by hand, so that their levels are known).
"""

import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps
from safetensors.numpy import save_file

WIDTH, HEIGHT = 21, 13


def colours(channels: int) -> np.ndarray:
    """Smooth, so that lossy formats stay close; not symmetric, so that a wrong orientation shows."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [x * 11, y * 18, 240 - x * 5 - y * 9, (x * y) % 256]
    if channels in (1, 2):
        planes = [planes[2], planes[3]]
    return np.stack(planes[:channels], axis=-1).astype(np.uint8)


def upright_rgb(data: bytes) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255)), image)
    return np.asarray(image.convert("RGB"))


def encode(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_16(levels: np.ndarray, colour_type: int) -> bytes:
    """A 16-bit PNG whose high bytes are `levels` and whose low bytes would round up."""
    height, width, channels = levels.shape
    wide = np.stack([levels, np.full_like(levels, 0xEE)], axis=-1).reshape(height, width * channels * 2)
    rows = b"".join(b"\0" + row.tobytes() for row in wide)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def over_white(levels: np.ndarray) -> np.ndarray:
    image = Image.fromarray(levels, {2: "LA", 4: "RGBA"}[levels.shape[2]]).convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255))
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


def main(folder: Path) -> None:
    rgb, rgba = Image.fromarray(colours(3)), Image.fromarray(colours(4))
    gray, alpha = Image.fromarray(colours(1)[:, :, 0]), Image.fromarray(colours(2))
    palette, bits = rgb.quantize(7), gray.convert("1")
    second = ImageOps.invert(rgb)
    files = {
        "gray.jpg": encode(gray, "JPEG", quality=95),
        "rgb.jpg": encode(rgb, "JPEG", quality=95, subsampling=0),
        "subsampled.jpg": encode(rgb, "JPEG", quality=95, subsampling=2),
        "progressive.jpg": encode(rgb, "JPEG", quality=95, subsampling=0, progressive=True),
        "cmyk.jpg": encode(rgb.convert("CMYK"), "JPEG", quality=95),
        "rgb.png": encode(rgb, "PNG"),
        "rgba.png": encode(rgba, "PNG"),
        "gray_alpha.png": encode(alpha, "PNG"),
        "bits.png": encode(bits, "PNG"),
        "palette.png": encode(palette, "PNG", bits=4),
        "palette_trns.png": encode(palette, "PNG", transparency=bytes([0, 90, 255, 30])),
        "gray_trns.png": encode(gray, "PNG", transparency=int(colours(1)[3, 3, 0])),
        "rgb_trns.png": encode(rgb, "PNG", transparency=tuple(int(v) for v in colours(3)[4, 5])),
        "lossless.webp": encode(rgb, "WEBP", lossless=True),
        "alpha.webp": encode(rgba, "WEBP", lossless=True, exact=True),
        "lossy.webp": encode(rgb, "WEBP", quality=95),
        "animated.webp": encode(rgb, "WEBP", lossless=True, save_all=True, append_images=[second], duration=90),
        "palette.gif": encode(palette, "GIF"),
        "transparent.gif": encode(palette, "GIF", transparency=2),
        "animated.gif": encode(palette, "GIF", save_all=True, append_images=[second.quantize(7)], duration=90),
        "rgb.bmp": encode(rgb, "BMP"),
        "gray.bmp": encode(gray, "BMP"),
        "bits.bmp": encode(bits, "BMP"),
        "palette.bmp": encode(palette, "BMP"),
        "rgb.tiff": encode(rgb, "TIFF"),
        "rgba_lzw.tiff": encode(rgba, "TIFF", compression="tiff_lzw"),
        "gray_deflate.tiff": encode(gray, "TIFF", compression="tiff_adobe_deflate"),
        "packbits.tiff": encode(rgb, "TIFF", compression="packbits"),
        "bits.tiff": encode(bits, "TIFF"),
        "fax.tiff": encode(bits, "TIFF", compression="group4"),
        "pages.tiff": encode(rgb, "TIFF", save_all=True, append_images=[second]),
        "cmyk.tiff": encode(rgb.convert("CMYK"), "TIFF"),
        "palette.tiff": encode(palette, "TIFF"),
    }
    for value in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = value
        files[f"orientation_{value}.png"] = encode(gray, "PNG", exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    files["orientation.jpg"] = encode(gray, "JPEG", quality=95, exif=exif)
    files["orientation.webp"] = encode(rgb, "WEBP", lossless=True, exif=exif)
    files["orientation.tiff"] = encode(rgb, "TIFF", exif=exif)

    expected = {name: upright_rgb(data) for name, data in files.items()}
    for name, channels, colour_type in (("gray", 1, 0), ("rgb", 3, 2), ("gray_alpha", 2, 4), ("rgba", 4, 6)):
        levels = colours(channels)
        files[f"{name}_16.png"] = png_16(levels, colour_type)
        flat = over_white(levels) if channels in (2, 4) else np.broadcast_to(levels, (HEIGHT, WIDTH, 3))
        expected[f"{name}_16.png"] = flat

    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    save_file({name: np.ascontiguousarray(pixels) for name, pixels in expected.items()}, folder / "expected.safetensors")
    case = {
        "family": "decode",
        "name": "pillow",
        "what": "picture files of many kinds to 8-bit RGB pixels",
        "reference": f"Pillow {PIL.__version__}",
        "task": "preprocess",
        "options": {"layout": "uint8 [height, width, 3]", "original_wh": [WIDTH, HEIGHT]},
        "stages": sorted(files),
        "tolerance": "equal for lossless files; lossy decoders differ by a few levels",
    }
    (folder / "case.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
