"""How well a checkpoint follows prompts: each thing is cut out of the image and the nearest of all glyphs is looked up.

    python Scripts/train/evaluate.py CHECKPOINT [--count 300] [--quick] [--sheet FILE]

The noise of an image tells its numbers (scenes.py), so where each thing should be, how large and how turned, is known:
that part of the image is turned back and compared with the 435 glyphs on the same background. Scenes are those that
were never trained on. Prints shares with 95 % errors, and the mean PSNR to the painted image.
"""

import argparse
import json
import random

import numpy as np
import torch
import torch.nn.functional as functional
from PIL import Image

import captions
import glyphs as data
import scenes
from model import Starter
from painter import Painter

SIDE = 48  # of a part that is compared


def noise(starter, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([torch.randn(min(20, count - start), *starter.shape, generator=generator)
                      for start in range(0, count, 20)])


def cut(images, place):
    """The parts of images (count, 3, side, side) where things are, turned back: (count, 3, SIDE, SIDE)."""
    c, s = torch.cos(place[:, 3]), torch.sin(place[:, 3])
    size = place[:, 2]
    matrix = torch.zeros(len(images), 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = c * size, -s * size
    matrix[:, 1, 0], matrix[:, 1, 1] = s * size, c * size
    matrix[:, 0, 2], matrix[:, 1, 2] = 2 * place[:, 0] - 1, 2 * place[:, 1] - 1
    grid = functional.affine_grid(matrix, (len(images), 1, SIDE, SIDE), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False, padding_mode="border")


class Judge:
    def __init__(self, starter, glyphs, count=300):
        self.starter, self.glyphs, self.count = starter, glyphs, count
        self.painter = Painter(glyphs)
        self.unknown = data.other_names(glyphs)[0]
        self.candidates = functional.interpolate(self.painter.levels[0], SIDE, mode="area")

    def nearest(self, image, ground, place, z, wanted):
        """How many glyphs are nearer than the right one where a thing should be."""
        part = cut(image[None], place[None])[0]
        under = cut(ground[None], place[None])[0]
        things = self.painter.styled(self.candidates, [""] * len(self.candidates), z[None].expand(len(self.candidates), -1))
        made = under * (1 - things[:, 3:]) + things[:, :3] * 2 - things[:, 3:]
        errors = (made - part).square().mean((1, 2, 3))
        return int((errors < errors[wanted]).sum())

    @torch.no_grad()
    def judge(self, name, chosen, texts, steps, guidance=1.0):
        """Shares of scenes all whose things are right, and where the caption puts them; PSNR to the painted images."""
        start = noise(self.starter, len(chosen), seed=1)
        z = scenes.numbers(start)
        pixels = self.starter.decode(self.starter.latents(texts, start, steps, guidance))
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        index, place = scenes.layout(chosen, z)
        painted, grounds = self.painter.paint(chosen, z), self.painter.backdrops(chosen, z) * 2 - 1
        right, placed = [], []
        for row, scene in enumerate(chosen):
            count = len(scene.glyphs)
            ranks = [self.nearest(images[row], grounds[row], place[row, slot], z[row], scene.glyphs[slot])
                     for slot in range(count)]
            ok = all(rank == 0 for rank in ranks)
            other = False
            if count == 2 and not ok:  # both there, but exchanged
                other = all(self.nearest(images[row], grounds[row], place[row, slot], z[row], scene.glyphs[1 - slot]) == 0
                            for slot in range(2))
            right.append(ok or other), placed.append(ok)
        errors = (images - painted).square().mean((1, 2, 3))
        share = float(np.mean(right))
        return {"scenes": name, "count": len(chosen), "steps": steps, "guidance": guidance, "right": round(share, 3),
                "right_95_error": round(1.96 * (share * (1 - share) / len(chosen)) ** 0.5, 3),
                "placed": round(float(np.mean(placed)), 3),
                "psnr_db": round(float((10 * torch.log10(4 / errors)).mean()), 2)}

    def scenes_of(self, kind, count):
        """Scenes that were never trained on, and their captions."""
        rng, chosen, texts = random.Random(f"{kind} {count}"), [], []
        while len(chosen) < count:
            two = kind.startswith("two")
            made = scenes.Scene(
                glyphs=[rng.randrange(len(self.glyphs)) for _ in range(2 if two else 1)], backdrop="plain",
                color=rng.randrange(len(data.COLORS)), relation=rng.choice(["left", "above"]) if two else "")
            if not scenes.is_held_out(made) or (two and made.glyphs[0] == made.glyphs[1]):
                continue
            glyph = self.glyphs[made.glyphs[0]]
            names = [self.glyphs[one].names[0] for one in made.glyphs]
            if kind == "synonyms":
                others = glyph.names[1:] + glyph.keywords
                if not others:
                    continue
                names = [rng.choice(others)]
            elif kind == "small":
                made.size, names = "small", ["small " + names[0]]
            elif kind == "places":
                made.place = rng.choice([place for place in scenes.PLACES if place])
            elif kind == "three":
                made.glyphs, made.relation = made.glyphs * 3, "row"
            phrase = data.article(names[0])
            if two:
                phrase = scenes.RELATIONS[made.relation][0].format(a=phrase, b=data.article(names[1]))
            elif kind == "places":
                phrase += " " + scenes.PLACE_WORDS[made.place][0]
            elif kind == "three":
                phrase = "three " + captions.plural(names[0])
            elif kind == "typing":
                phrase = data.article(captions.mistyped(names[0], rng))
            chosen.append(made)
            texts.append(f"{phrase} on a {data.COLOR_NAMES[made.color]} background")
        return chosen, texts

    def measure(self, kind, steps, count=None, guidance=1.0):
        return self.judge(kind, *self.scenes_of(kind, count or self.count), steps, guidance)

    @torch.no_grad()
    def unknown_words(self, steps, count=100):
        """Prompts without a known word: PSNR to the background that the numbers tell."""
        rng = random.Random(0)
        chosen = [scenes.Scene(backdrop="plain", color=rng.randrange(len(data.COLORS))) for _ in range(count)]
        texts = [f"{data.article(rng.choice(self.unknown))} on a {data.COLOR_NAMES[made.color]} background" for made in chosen]
        start = noise(self.starter, count, seed=2)
        pixels = self.starter.decode(self.starter.latents(texts, start, steps))
        painted = self.painter.paint(chosen, scenes.numbers(start))
        errors = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1 - painted).square().mean((1, 2, 3))
        decibels = 10 * torch.log10(4 / errors)
        return {"scenes": "unknown words", "count": count, "steps": steps, "guidance": 1.0,
                "right": round(float((decibels > 24).float().mean()), 3), "psnr_db": round(float(decibels.mean()), 2)}

    @torch.no_grad()
    def variety(self, steps, prompts=50, seeds=8):
        """Mean PSNR between the images of a prompt with eight seeds; less is more variety."""
        rng, means = random.Random(3), []
        for number in range(prompts):
            glyph = self.glyphs[rng.randrange(len(self.glyphs))]
            text = f"{data.article(glyph.names[0])} on a {rng.choice(data.COLOR_NAMES)} background"
            text = "a fox on a blue background" if number == 0 else text
            made = torch.from_numpy(self.starter.decode(
                self.starter.latents([text] * seeds, noise(self.starter, seeds, seed=100 + number), steps)))
            errors = torch.stack([(made[a] - made[b]).square().mean() for a in range(seeds) for b in range(a)])
            means.append((10 * torch.log10(255 ** 2 / errors)).mean().item())
        return {"scenes": "variety", "count": prompts, "steps": steps, "guidance": 1.0,
                "fox_psnr_db": round(means[0], 2), "psnr_db": round(float(np.mean(means)), 2)}

    def quick(self):
        for kind in ("one", "two"):
            for steps in (4, 1):
                yield self.measure(kind, steps, 100)

    def everything(self):
        """The measures of the model card, in sequence."""
        for steps in (4, 1):
            for kind in ("one", "two", "synonyms", "typing", "small", "places", "three"):
                yield self.measure(kind, steps)
            yield self.unknown_words(steps)
            yield self.variety(steps)
        yield self.measure("one", 2)
        yield self.measure("one", 8)
        yield self.measure("one", 4, guidance=1.5)


def write_sheet(pictures, path, columns=12):
    rows = [np.concatenate(list(pictures[start:start + columns]), 1)
            for start in range(0, len(pictures) // columns * columns, columns)]
    Image.fromarray(np.concatenate(rows, 0).astype(np.uint8)).save(path)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("checkpoint")
    arguments.add_argument("--count", type=int, default=300)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--sheet", help="where to write images of unseen scenes, those painted below them")
    options = arguments.parse_args()
    torch.set_num_threads(2)
    starter, glyphs = Starter.load(options.checkpoint), data.load()
    judge = Judge(starter, glyphs, options.count)
    if options.sheet:
        made = []
        for kind in ("one", "two", "small", "three"):
            chosen, texts = judge.scenes_of(kind, 12)
            start = noise(starter, 12, seed=1)
            made += [starter.decode(starter.latents(texts, start, steps)) for steps in (1, 4)]
            painted = judge.painter.paint(chosen, scenes.numbers(start))
            made.append(((painted + 1) * 127.5).round().permute(0, 2, 3, 1).numpy())
        write_sheet(np.concatenate(made), options.sheet)
        return
    for result in judge.quick() if options.quick else judge.everything():
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
