"""Makes the references of `streamflow benchmark --suite quality` and `--suite editing` for the starter.

    python Scripts/benchmarks/references.py FOLDER [--count 500] [--seed 0]

Needs `pip install pillow emoji torch` and Debian's fonts-noto-color-emoji. Writes the glyphs that the starter was
trained on (Noto Color Emoji, SIL Open Font License), upright and leaning as captions alone place them, as one sheet of
transparent images, and prompts: a glyph on a background, each under its first name.
"""

import argparse
import json
import pathlib
import random
import sys

import torch
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "train"))
import scenes
from glyphs import COLORS, load
from painter import Painter

COLUMNS = 30


def cutouts(painter, count):
    """Each glyph upright and leaning, with how much it covers, from 0 to 255: (2 * count, side, side, 4)."""
    made = []
    for glyph in range(count):
        z = torch.zeros(scenes.VARIANTS, scenes.K)
        z[0, scenes.LEAN] = -1
        chosen = [scenes.Scene(glyphs=[glyph])] * scenes.VARIANTS
        black, white = (painter.paint(chosen, z, open_color=[tone] * 3) / 2 + 0.5 for tone in (0.0, 1.0))
        cover = (1 - (white - black).mean(1, keepdim=True)).clamp(0, 1)
        straight = torch.where(cover > 0.002, black / cover.clamp(min=0.002), 0.0).clamp(0, 1)
        made.append(torch.cat([straight, cover], 1))
    return (torch.cat(made) * 255).round().byte().permute(0, 2, 3, 1).numpy()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--count", type=int, default=500)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    things, side = load(), scenes.SIDE
    images = cutouts(Painter(things), len(things))
    sheet = Image.new("RGBA", (COLUMNS * side, -(-len(images) // COLUMNS) * side), (0, 0, 0, 0))
    for index, image in enumerate(images):
        sheet.paste(Image.fromarray(image), (index % COLUMNS * side, index // COLUMNS * side))
    sheet.save(options.folder / "things.png")
    random.seed(options.seed)
    names = list(COLORS)
    chosen = [(random.randrange(len(things)), random.randrange(len(names))) for _ in range(options.count)]
    (options.folder / "references.json").write_text(json.dumps({
        "sheet": "things.png", "side": side, "columns": COLUMNS, "variants": scenes.VARIANTS,
        "shift": side // scenes.CELLS, "reach": 1, "things": [thing.names[0] for thing in things],
        "backgrounds": list(COLORS.values()),
        "prompts": [{"prompt": f"{things[thing].names[0]} on a {names[color]} background", "thing": thing,
                     "background": color} for thing, color in chosen]}))
    print(f"{len(things)} things, {len(chosen)} prompts: {options.folder}")


main()
