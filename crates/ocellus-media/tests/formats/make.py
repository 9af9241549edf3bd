"""Draws the files of this folder (needs Pillow and libtiff-tools). `letters.png` is what the files of two levels, `colours.png`
what those of a few colours are compared with."""
import struct
import subprocess
from PIL import Image, ImageDraw, TiffImagePlugin

W, H = 123, 37  # no whole number of bytes in a row
bits = Image.new("L", (W, H), 255)
pen = ImageDraw.Draw(bits)
pen.text((4, 3), "Group 3, both ways", fill=0)
pen.text((4, 20), "0 1 2 3 | 4 5 6 7", fill=0)
pen.rectangle((0, 30, 2, 36), fill=0)
pen.line((110, 0, 122, 36), fill=0)
bits = bits.point(lambda v: 255 if v > 127 else 0)
bits.save("letters.png", optimize=True)
one = bits.convert("1", dither=0)

def cp(name, *options, source="letters.tif"):
    subprocess.run(["tiffcp", *options, source, name], check=True)

one.save("letters.tif")
cp("group3.tif", "-c", "g3:1d")
one.save("letters.tif", tiffinfo={262: 0})  # white is zero, as faxes have it
cp("group3-fill.tif", "-c", "g3:1d:fill", "-r", "16")
cp("group3-2d.tif", "-c", "g3:2d", "-r", "-1")
cp("group3-reversed.tif", "-c", "g3:2d", "-f", "lsb2msb")
cp("group4-reversed.tif", "-c", "g4", "-f", "lsb2msb", "-r", "10")
one.save("huffman.tif", compression="tiff_ccitt")
subprocess.run(["rm", "letters.tif"], check=True)

few = Image.new("RGB", (45, 20), (250, 240, 200))
pen = ImageDraw.Draw(few)
for i, colour in enumerate([(10, 20, 30), (200, 30, 40), (20, 160, 60), (30, 60, 220)]):
    pen.rectangle((3 + 10 * i, 4, 9 + 10 * i, 15), fill=colour)
few.save("colours.png", optimize=True)
palette = few.quantize(8)
palette.save("palette.tif", compression="tiff_lzw")
cp("palette-big.tif", "-8", "-B", "-c", "zip:2", source="palette.tif")
large = few.resize((90, 40), 0)
large.save("colours.jpg", quality=95)
large.save("plain.tif")
cp("ycbcr.tif", "-c", "jpeg:95", "-r", "40", source="plain.tif")
subprocess.run(["rm", "plain.tif"], check=True)
jpeg = open("colours.jpg", "rb").read()
# A TIFF of the old style around a JPEG file.
tags = [(256, 4, 90), (257, 4, 40), (258, 3, 8), (259, 3, 6), (262, 3, 6), (273, 4, 8), (277, 3, 3), (278, 4, 40), (279, 4, len(jpeg)), (513, 4, 8), (514, 4, len(jpeg))]
with open("old-jpeg.tif", "wb") as f:
    body = jpeg + bytes(len(jpeg) % 2)
    f.write(struct.pack("<2sHI", b"II", 42, 8 + len(body)) + body + struct.pack("<H", len(tags)))
    f.write(b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags) + bytes(4))
grey = bits.crop((0, 0, 60, 20))
alpha = Image.new("L", grey.size, 255)
ImageDraw.Draw(alpha).rectangle((0, 0, 5, 5), fill=0)
Image.merge("LA", (grey, alpha)).save("grey-alpha.tif", compression="tiff_adobe_deflate")
white = Image.new("LA", (60, 20), (255, 0))
white.putalpha(grey.point(lambda v: 255 - v))
white.save("white-letters.png", optimize=True)
twelve = Image.frombytes("I;16", grey.size, b"".join((v * 4095 // 255).to_bytes(2, "little") for v in grey.tobytes()))
twelve.save("twelve-bits.png")
twelve.save("twelve-bits.tif", compression="tiff_adobe_deflate")
pages = [Image.new("L", (20 + 10 * i, 8 + i), 60 * i + 50) for i in range(3)]
pages[0].save("three-pages.tif", save_all=True, append_images=pages[1:])
pages = [Image.new("P", (9, 9), i) for i in range(4)]
for i, page in enumerate(pages): page.putpalette([i * 60] * 768); page.putpixel((i, i), 255 - i)
for kind in ("gif", "webp", "png"):
    [p.convert("RGB") for p in pages][0].save("frames." + kind, save_all=True, append_images=[p.convert("RGB") for p in pages[1:]])
