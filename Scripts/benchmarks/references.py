"""Makes the references of `streamflow benchmark --suite quality` for the starter.

    python Scripts/benchmarks/references.py FOLDER [--count 500] [--seed 0]

Needs `pip install pillow emoji` and Debian's fonts-noto-color-emoji. Writes the glyphs that the starter was
trained on (Noto Color Emoji, SIL Open Font License) as one sheet of transparent images, and the prompts of
the starter's own evaluation: a glyph on a background, each under its first name.
"""

import argparse
import json
import pathlib
import random
import sys

from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "train"))
from glyphs import COLORS, load

SIDE, INNER, COLUMNS = 64, 58, 21


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--count", type=int, default=500)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    things = load()
    rows = -(-len(things) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * SIDE, rows * SIDE), (0, 0, 0, 0))
    for index, thing in enumerate(things):
        place = (index % COLUMNS * SIDE + (SIDE - INNER) // 2, index // COLUMNS * SIDE + (SIDE - INNER) // 2)
        sheet.paste(thing.picture.resize((INNER, INNER), Image.LANCZOS), place)
    sheet.save(options.folder / "things.png", optimize=True)
    random.seed(options.seed)
    names = list(COLORS)
    chosen = [(random.randrange(len(things)), random.randrange(len(names))) for _ in range(options.count)]
    (options.folder / "references.json").write_text(json.dumps({
        "sheet": "things.png", "side": SIDE, "columns": COLUMNS, "things": [thing.names[0] for thing in things],
        "backgrounds": list(COLORS.values()),
        "prompts": [{"prompt": f"{things[thing].names[0]} on a {names[color]} background", "thing": thing,
                     "background": color} for thing, color in chosen]}))
    print(f"{len(things)} things, {len(chosen)} prompts: {options.folder}")


main()
