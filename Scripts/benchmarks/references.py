"""Makes the references of `streamflow benchmark --suite quality` for the starter.

    python Scripts/benchmarks/references.py FOLDER [--count 500] [--seed 0]

Needs `pip install pillow emoji` and Debian's fonts-noto-color-emoji. Writes the glyphs that the starter was
trained on (Noto Color Emoji, SIL Open Font License) as one sheet of transparent pictures, and the prompts of
the starter's own evaluation: a glyph on a background, each under its first name.
"""

import argparse
import json
import pathlib
import random
import re

import emoji
from PIL import Image, ImageDraw, ImageFont

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
COLORS = {
    "white": (255, 255, 255), "black": (20, 20, 24), "red": (220, 60, 50), "orange": (245, 150, 50),
    "yellow": (250, 215, 80), "green": (70, 170, 90), "blue": (60, 120, 220), "purple": (140, 90, 200),
    "pink": (245, 160, 190), "gray": (150, 150, 155)}
RANGES = [
    (0x1F32D, 0x1F37F), (0x1F400, 0x1F43F), (0x1F950, 0x1F96F), (0x1F980, 0x1F9AE), (0x1F330, 0x1F344),
    (0x1F600, 0x1F64A), (0x1F680, 0x1F6A4), (0x1F380, 0x1F3C6), (0x1F9C0, 0x1F9CB), (0x1F47B, 0x1F480),
    (0x26BD, 0x26BE), (0x1F31E, 0x1F320), (0x1F92F, 0x1F92F), (0x1F970, 0x1F976)]
SIDE, INNER, COLUMNS = 64, 58, 21


def clean(name):
    return re.sub(r"\s+", " ", re.sub(r"[^a-z0-9 ]+", " ", name.replace("_", " ").lower())).strip()


def glyphs():
    """The first name and the square picture of each glyph, every picture once."""
    font = ImageFont.truetype(FONT, 109)
    found, seen = [], set()
    for text, data in emoji.EMOJI_DATA.items():
        points = [character for character in text if character != "\ufe0f"]
        name = data["en"].strip(":")
        if data["status"] != emoji.STATUS["fully_qualified"] or len(points) != 1 or "skin_tone" in name:
            continue
        if not any(low <= ord(points[0]) <= high for low, high in RANGES):
            continue
        picture = Image.new("RGBA", (136, 128), (0, 0, 0, 0))
        ImageDraw.Draw(picture).text((0, 0), text, font=font, embedded_color=True)
        box = picture.getbbox()
        if box is None or picture.getchannel("A").getextrema()[1] < 10 or picture.tobytes() in seen:
            continue
        seen.add(picture.tobytes())
        part = picture.crop(box)
        side = max(part.size)
        square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        square.paste(part, ((side - part.size[0]) // 2, (side - part.size[1]) // 2))
        names = [clean(name)] + [clean(alias.strip(":")) for alias in data.get("alias", [])]
        found.append(([name for name in names if name][0], square))
    return found


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--count", type=int, default=500)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    things = glyphs()
    rows = -(-len(things) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * SIDE, rows * SIDE), (0, 0, 0, 0))
    for index, (_, square) in enumerate(things):
        place = (index % COLUMNS * SIDE + (SIDE - INNER) // 2, index // COLUMNS * SIDE + (SIDE - INNER) // 2)
        sheet.paste(square.resize((INNER, INNER), Image.LANCZOS), place)
    sheet.save(options.folder / "things.png", optimize=True)
    random.seed(options.seed)
    names = list(COLORS)
    chosen = [(random.randrange(len(things)), random.randrange(len(names))) for _ in range(options.count)]
    (options.folder / "references.json").write_text(json.dumps({
        "sheet": "things.png", "side": SIDE, "columns": COLUMNS, "things": [name for name, _ in things],
        "backgrounds": list(COLORS.values()),
        "prompts": [{"prompt": f"{things[thing][0]} on a {names[color]} background", "thing": thing,
                     "background": color} for thing, color in chosen]}))
    print(f"{len(things)} things, {len(chosen)} prompts: {options.folder}")


main()
