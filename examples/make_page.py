"""Draws page.png and writes page.txt, its true text, line by line from top to bottom.

    pip install pillow; apt-get install fonts-liberation2; python3 make_page.py
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

DPI = 150
WIDTH, HEIGHT = 1240, 1754  # A4
LEFT, RIGHT = 150, WIDTH - 150
FONTS = "/usr/share/fonts/truetype/liberation2/Liberation"
HERE = Path(__file__).parent

page = Image.new("L", (WIDTH, HEIGHT), 255)
draw = ImageDraw.Draw(page)
truth = []
y = 130


def font(face, points):
    return ImageFont.truetype(f"{FONTS}{face}.ttf", round(points * DPI / 72))


SERIF, ITALIC, MONO = font("Serif-Regular", 11.5), font("Serif-Italic", 11.5), font("Mono-Regular", 10)
BOLD, SMALL, HEAD, TITLE = (
    font("Sans-Bold", 10.5),
    font("Sans-Regular", 9),
    font("Sans-Bold", 12.5),
    font("Sans-Bold", 20),
)


def row(cells, step):
    """One line of the page: (x, text, font, anchor) cells on a common baseline."""
    global y
    for x, text, face, anchor in cells:
        draw.text((x, y), text, font=face, fill=20, anchor=anchor)
    truth.append(" ".join(text for _, text, _, _ in cells))
    y += step


def lines(texts, face=SERIF, step=34, x=LEFT):
    for text in texts:
        row([(x, text, face, "ls")], step)


def heading(text):
    global y
    y += 28
    lines([text], HEAD, 42)


def rule(offset, weight=1):
    draw.line([(LEFT, y + offset), (RIGHT, y + offset)], fill=90, width=weight)


row([(LEFT, "ORRINBECK INSTRUMENTS", BOLD, "ls"), (RIGHT, "Report no. 2024-117", SMALL, "rs")], 22)
rule(0, 2)
y += 82
lines(["Field Report: Tarnlow Weather Station"], TITLE, 46)
lines(["Site visit of 14 March 2024, 09:30 to 16:45"], ITALIC, 30)

heading("1. Summary")
lines(
    [
        "The station was visited after the wind sensor had stopped sending data on 2 March.",
        "We found a broken cable at the foot of the mast and replaced it. All seven sensors",
        "now report every 10 minutes, and 98.6 % of the values received since the repair",
        "have passed the plausibility checks. The next regular visit is due in September.",
    ]
)

heading("2. Work done")
lines(
    [
        "- Replaced 12 m of sensor cable and two connectors.",
        "- Cleaned the rain gauge; about 40 g of leaves were removed.",
        "- Checked the battery: 12.7 V at rest, 11.9 V under load.",
        "- Updated the logger (version 3.2.1) and set its clock to UTC.",
    ],
    x=LEFT + 30,
)

heading("3. Readings before departure")
COLUMNS = [LEFT + 10, LEFT + 470, LEFT + 710, RIGHT - 10]


def table_row(cells, face, step=38):
    row([(x, text, face, "rs" if i else "ls") for i, (x, text) in enumerate(zip(COLUMNS, cells))], step)


y += 12
rule(-28, 2)
table_row(["Sensor", "Reading", "Reference", "Difference"], BOLD, 42)
rule(-28)
for cells in [
    ["Air temperature", "8.4 C", "8.3 C", "+0.1"],
    ["Relative humidity", "71 %", "73 %", "-2"],
    ["Air pressure", "1013.2 hPa", "1013.0 hPa", "+0.2"],
    ["Wind speed", "4.6 m/s", "4.5 m/s", "+0.1"],
]:
    table_row(cells, SERIF)
rule(-24, 2)
y += 22
lines(["The readings of the day can be fetched with this command:"], step=42)
lines(["tarnlow-get --from 2024-03-14 --sensor all --format csv"], MONO, 36, LEFT + 30)

heading("4. Costs")
lines(
    [
        "Parts came to 184.50 EUR and travel to 62.00 EUR, in total 246.50 EUR. The invoice",
        "will be sent by the end of the month. Questions? Write to service@orrinbeck.example.",
    ]
)

y = HEIGHT - 130
rule(-36)
row([(LEFT, "Orrinbeck Instruments, 5 Mill Lane, Tarnlow", SMALL, "ls"), (RIGHT, "Page 1 of 1", SMALL, "rs")], 0)

page.save(HERE / "page.png", optimize=True, dpi=(DPI, DPI))
(HERE / "page.txt").write_text("\n".join(truth) + "\n")
