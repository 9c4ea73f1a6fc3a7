"""Makes pairs of noise and the model's own many-step images, to straighten its paths (Liu et al., 2022).

    python Scripts/train/reflow.py RUN/export PAIRS --count 2000 --steps 12
    python Scripts/train/train.py --minutes 15 --resume RUN --pairs PAIRS

Where a caption leaves nothing open, its paths are straight already; so half of the captions leave the background open.
Only pairs whose image shows the asked glyph are kept, so that mistakes are not learned again.
"""

import argparse
import os
import random
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import glyphs as data
from model import Starter


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("checkpoint")
    arguments.add_argument("pairs", type=Path)
    arguments.add_argument("--count", type=int, default=2000)
    arguments.add_argument("--steps", type=int, default=12)
    arguments.add_argument("--open", type=float, default=0.5, help="share of captions without a background")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    torch.set_num_threads(2)
    random.seed(options.seed), torch.manual_seed(options.seed)
    starter, glyphs = Starter.load(options.checkpoint), data.load()
    references = torch.stack([starter.encode_pictures(row) for row in data.pictures(glyphs, 64)])[:-1]
    seen = [(glyph, color) for glyph in range(len(glyphs)) for color in range(len(data.COLORS))
            if not data.is_held_out(glyph, color)]
    kept = {"noise": [], "latents": [], "captions": []}
    for start in range(0, options.count, 20):
        chosen, captions = random.choices(seen, k=20), []
        for glyph, color in chosen:
            name = random.choice(glyphs[glyph].names)
            open_one = random.choice([name, data.article(name)])
            captions.append(open_one if random.random() < options.open else data.caption(glyphs[glyph], color))
        noise = torch.randn(20, *starter.shape)
        made = starter.latents(captions, noise, options.steps)
        for row, (glyph, _) in enumerate(chosen):
            errors = (references - made[row]).square().mean((2, 3, 4))
            if errors.min(1).values.argmin() == glyph:
                kept["noise"].append(noise[row]), kept["latents"].append(made[row])
                kept["captions"].append(captions[row])
        if start % 200 == 180:
            print(f"{start + 20} made, {len(kept['noise'])} kept", flush=True)
    kept["noise"], kept["latents"] = torch.stack(kept["noise"]), torch.stack(kept["latents"])
    new = options.pairs.with_name(options.pairs.name + ".new")
    torch.save(kept, new)
    os.replace(new, options.pairs)


if __name__ == "__main__":
    main()
