"""How well a checkpoint follows prompts: the nearest of all glyphs on the asked background is looked up.

    python Scripts/train/evaluate.py CHECKPOINT [--count 500] [--steps 4] [--guidance 1] [--pairs all|seen|unseen|unknown|open]
    python Scripts/train/evaluate.py CHECKPOINT --all     every measure of the model card

Prints top-1 and top-5 with the binomial error, and the mean PSNR to the right picture.
"""

import argparse
import json
import random

import numpy as np
import torch
from PIL import Image

import glyphs as data
from model import Starter


def cases(count, glyphs, pairs, seed=0):
    random.seed(seed)
    if pairs == "all":
        return [(random.randrange(len(glyphs)), random.randrange(len(data.COLORS))) for _ in range(count)]
    wanted = [(glyph, color) for glyph in range(len(glyphs)) for color in range(len(data.COLORS))
              if data.is_held_out(glyph, color) == (pairs == "unseen")]
    return random.sample(wanted, min(count, len(wanted)))


def noise(starter, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([torch.randn(min(20, count - start), *starter.shape, generator=generator)
                      for start in range(0, count, 20)])


def retrieval(starter, glyphs, count=500, steps=4, guidance=1.0, pairs="all", sheet=None, references=None):
    references = data.pictures(glyphs, 64) if references is None else references
    chosen = cases(count, glyphs, pairs)
    prompts = [f"{glyphs[glyph].names[0]} on a {data.COLOR_NAMES[color]} background" for glyph, color in chosen]
    pictures = starter.decode(starter.latents(prompts, noise(starter, len(chosen)), steps, guidance))
    ranks, decibels = [], []
    for picture, (glyph, color) in zip(pictures, chosen):
        errors = ((references[:len(glyphs), color] - picture) ** 2).mean((1, 2, 3))
        ranks.append(int((errors < errors[glyph]).sum()))
        decibels.append(10 * np.log10(255 ** 2 / errors[glyph]))
    ranks, total = np.array(ranks), len(chosen)
    top1 = float((ranks == 0).mean())
    if sheet:
        write_sheet(pictures[:96], sheet)
    return {
        "pairs": pairs, "count": total, "steps": steps, "guidance": guidance, "top1": round(top1, 3),
        "top1_95_error": round(1.96 * (top1 * (1 - top1) / total) ** 0.5, 3),
        "top5": round(float((ranks < 5).mean()), 3), "psnr_db": round(float(np.mean(decibels)), 2)}


def unknown(starter, glyphs, count=100, steps=4, guidance=1.0, references=None, sheet=None):
    """Prompts without a known word, none of them trained on: how near is the image to the plain background?"""
    references = data.pictures(glyphs, 64) if references is None else references
    random.seed(0)
    others = data.other_names(glyphs)[0]
    chosen = [(random.choice(others), random.randrange(len(data.COLORS))) for _ in range(count)]
    prompts = [f"{name} on a {data.COLOR_NAMES[color]} background" for name, color in chosen]
    pictures = starter.decode(starter.latents(prompts, noise(starter, count), steps, guidance))
    if sheet:
        write_sheet(pictures[:96], sheet)
    errors = [((references[:, color] - picture) ** 2).mean((1, 2, 3)) for picture, (_, color) in zip(pictures, chosen)]
    return {
        "pairs": "unknown", "count": count, "steps": steps, "guidance": guidance,
        "plain_is_nearest": round(float(np.mean([error.argmin() == len(glyphs) for error in errors])), 3),
        "psnr_to_plain_db": round(float(np.mean([10 * np.log10(255 ** 2 / error[-1]) for error in errors])), 2)}


def undecided(starter, glyphs, count=200, steps=4, guidance=1.0, references=None, sheet=None):
    """Prompts that leave the background open: is the image the glyph on one of the ten, or on a mixture?"""
    references = data.pictures(glyphs, 64) if references is None else references
    random.seed(0)
    chosen = [random.randrange(len(glyphs)) for _ in range(count)]
    pictures = starter.decode(starter.latents(
        [glyphs[glyph].names[0] for glyph in chosen], noise(starter, count), steps, guidance))
    if sheet:
        write_sheet(pictures[:96], sheet)
    right, decibels, colors = 0, [], set()
    for picture, glyph in zip(pictures, chosen):
        errors = np.stack([((references[:len(glyphs), color] - picture) ** 2).mean((1, 2, 3))
                           for color in range(len(data.COLORS))])
        color, nearest = np.unravel_index(errors.argmin(), errors.shape)
        right += nearest == glyph
        colors.add(data.COLOR_NAMES[color])
        decibels.append(10 * np.log10(255 ** 2 / errors[:, glyph].min()))
    return {
        "pairs": "open", "count": count, "steps": steps, "guidance": guidance, "top1": round(right / count, 3),
        "backgrounds": len(colors), "psnr_to_nearest_db": round(float(np.mean(decibels)), 2)}


def everything(starter, glyphs, count=500):
    """The measures of the model card, in sequence."""
    references = data.pictures(glyphs, 64)
    common = dict(references=references)
    yield retrieval(starter, glyphs, count, 4, 1.0, **common)
    yield retrieval(starter, glyphs, count, 1, 1.0, **common)
    yield retrieval(starter, glyphs, count, 4, 1.5, **common)
    yield retrieval(starter, glyphs, count, 4, 2.0, **common)
    yield retrieval(starter, glyphs, count, 4, 1.0, "seen", **common)
    yield retrieval(starter, glyphs, count, 4, 1.0, "unseen", **common)
    yield unknown(starter, glyphs, **common)
    for steps in (1, 2, 4, 8):
        yield undecided(starter, glyphs, steps=steps, **common)


def write_sheet(pictures, path, columns=12):
    rows = [np.concatenate(list(pictures[start:start + columns]), 1)
            for start in range(0, len(pictures) // columns * columns, columns)]
    sheet = Image.fromarray(np.concatenate(rows, 0).astype(np.uint8))
    sheet.resize((sheet.width * 2, sheet.height * 2), Image.LANCZOS).save(path)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("checkpoint")
    arguments.add_argument("--count", type=int, default=500)
    arguments.add_argument("--steps", type=int, default=4)
    arguments.add_argument("--guidance", type=float, default=1.0)
    arguments.add_argument("--pairs", choices=["all", "seen", "unseen", "unknown", "open"], default="all")
    arguments.add_argument("--sheet")
    arguments.add_argument("--all", action="store_true")
    options = arguments.parse_args()
    torch.set_num_threads(2)
    starter, glyphs = Starter.load(options.checkpoint), data.load()
    if options.all:
        for result in everything(starter, glyphs, options.count):
            print(json.dumps(result), flush=True)
    elif options.pairs in ("unknown", "open"):
        measure = unknown if options.pairs == "unknown" else undecided
        print(json.dumps(measure(
            starter, glyphs, min(100, options.count), options.steps, options.guidance, sheet=options.sheet)))
    else:
        print(json.dumps(retrieval(
            starter, glyphs, options.count, options.steps, options.guidance, options.pairs, options.sheet)))


if __name__ == "__main__":
    main()
