"""Scenes and their latents, made once: what draft.py and train.py learn from.

    python Scripts/train/dataset.py RUN --vae VAE --count 32000

RUN/scenes.pt holds, for each scene: what its caption says, its numbers z, the latent of its image, the latents of its
plain arrangements (nothing moved; upright and leaning), and which patch of which of them each position of
the image shows. Latents are folded: 2x2 of the autoencoder's in one.
"""

import argparse
import os
import random
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torch.nn.functional as functional
from diffusers import AutoencoderTiny

import glyphs as data
import parallel
import scenes
from painter import Painter

OPEN = (0.5, 0.45, 0.2)  # the colour of an open background in a plain arrangement


def plain_numbers(count, variant):
    """Nothing moved."""
    z = torch.zeros(count, scenes.K)
    z[:, [scenes.LEAN, scenes.LEAN2]] = 3.0 if variant else -3.0
    return z


class Maker:
    def __init__(self, vae, glyphs):
        self.vae, self.painter, self.count = vae, Painter(glyphs), len(glyphs)

    @torch.no_grad()
    def latents(self, images):
        images = images.contiguous(memory_format=torch.channels_last)
        return functional.pixel_unshuffle(self.vae.encoder(images) * self.vae.config.scaling_factor, 2)

    def plain(self, chosen):
        """Latents of the plain arrangements, each in all variants: (count, variants, channels, side, side)."""
        made = []
        for variant in range(scenes.VARIANTS):
            z = plain_numbers(len(chosen), variant)
            made.append(self.latents(self.painter.paint(chosen, z, scenes.layout(chosen, z), open_color=OPEN)))
        return torch.stack(made, 1)

    def make(self, chosen, z):
        placed = scenes.layout(chosen, z)
        return (self.latents(self.painter.paint(chosen, z, placed)), self.plain(chosen),
                scenes.patches_seen(chosen, z))


def load(folder):
    return torch.load(Path(folder) / "scenes.pt", weights_only=False)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--vae", required=True)
    arguments.add_argument("--count", type=int, default=32000)
    arguments.add_argument("--seed", type=int, default=11)
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    parallel.run(make, options, options.workers)
    parts = [torch.load(options.folder / f"part{rank}.pt", weights_only=False) for rank in range(options.workers)]
    joined = {"scenes": [one for part in parts for one in part["scenes"]]}
    for key in ("z", "latents", "plain", "seen"):
        joined[key] = torch.cat([part[key] for part in parts])
    torch.save(joined, options.folder / "scenes.new")
    os.replace(options.folder / "scenes.new", options.folder / "scenes.pt")
    for rank in range(options.workers):
        (options.folder / f"part{rank}.pt").unlink()


def make(options, team):
    """A part of the scenes, in a file of its own."""
    random.seed(options.seed + team.rank), torch.manual_seed(options.seed + team.rank)
    glyphs = data.load()
    vae = AutoencoderTiny.from_pretrained(options.vae).float().eval().to(memory_format=torch.channels_last)
    maker, made, begun = Maker(vae, glyphs), [], time.time()
    for start in range(0, options.count // team.size, 50):
        chosen = []
        while len(chosen) < 50:
            one = scenes.scene(len(glyphs))
            if not scenes.is_held_out(one):
                chosen.append(one)
        z = torch.randn(50, scenes.K)
        latents, plain, seen = maker.make(chosen, z)
        made.append((chosen, z, latents.half(), plain.half(), seen.to(torch.uint8)))
        if start % 1000 == 0 and team.leads:
            print(f"{start} {time.time() - begun:.0f} s", flush=True)
    joined = {"scenes": [one for part in made for one in part[0]]}
    for place, key in enumerate(("z", "latents", "plain", "seen"), 1):
        joined[key] = torch.cat([part[place] for part in made])
    torch.save(joined, options.folder / f"part{team.rank}.pt")


if __name__ == "__main__":
    main()
