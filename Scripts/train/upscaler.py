"""Trains the starter's upscaler: SRVGGNetCompact (Wang et al., arXiv:2107.10833), four times larger, for drawn images.

    python Scripts/train/upscaler.py FILE.safetensors --minutes 15

Targets are scenes at 128 px, whose glyphs are drawn at or below their own resolution; inputs are the same at 32 px,
some of them slightly blurred, as an autoencoder leaves them. Edges of flat shapes look alike at every scale, so the
network enlarges 128 px to 512. Prints the PSNR on scenes never trained on, beside Lanczos.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import torch.nn.functional as functional
from PIL import Image
from safetensors.torch import load_file, save_file

import autoencoder
import parallel
import scenes
from muon import make_optimizers, set_rate

WIDTH, CONVOLUTIONS, FACTOR = 40, 12, 4


class Upscaler(torch.nn.Module):
    """Convolutions at the input's size; the last one's channels become pixels, added to the enlarged input."""

    def __init__(self):
        super().__init__()
        layers = []
        for index in range(CONVOLUTIONS - 1):
            layers += [torch.nn.Conv2d(WIDTH if index else 3, WIDTH, 3, padding=1), torch.nn.PReLU(WIDTH)]
        self.body = torch.nn.ModuleList([*layers, torch.nn.Conv2d(WIDTH, 3 * FACTOR ** 2, 3, padding=1)])

    def forward(self, image):
        hidden = image
        for layer in self.body:
            hidden = layer(hidden)
        return functional.pixel_shuffle(hidden, FACTOR) + functional.interpolate(image, scale_factor=FACTOR, mode="nearest")


def smaller(images):
    """A quarter of the size, a third of them blurred before."""
    soft = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    amount = torch.rand(len(images), 1, 1, 1) * (torch.rand(len(images), 1, 1, 1) < 0.35)
    images = torch.lerp(images, soft, amount)
    return functional.interpolate(images, scale_factor=1 / FACTOR, mode="bicubic", antialias=True).clamp(0, 1)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--minutes", type=float, default=15)
    arguments.add_argument("--rate", type=float, default=1e-3)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--pool", type=int, default=5000)
    arguments.add_argument("--bf16", action="store_true", help="on CPUs with AMX, where it is faster")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    parallel.run(train, options, options.workers)


def train(options, team):
    autoencoder.seed_all(options.seed)
    model = Upscaler()
    if options.file.exists():
        model.load_state_dict({name: value.float() for name, value in load_file(options.file).items()})
    model = model.to(memory_format=torch.channels_last)
    parameters = list(model.parameters())
    inside = [layer.weight for layer in model.body if isinstance(layer, torch.nn.Conv2d)]
    optimizers = make_optimizers(parameters, inside, options.rate, team, decay=0.0)
    test, images = autoencoder.pools(options, team)
    test = test.float() / 255
    begun, said, step, progress = time.time(), time.time(), 0, 0.0
    while progress < 1:
        set_rate(optimizers, options.rate * min(1, (step + 1) / 100) * (0.51 + 0.49 * np.cos(np.pi * progress)))
        rows = torch.randint(len(images), (options.batch // team.size,))
        wanted = images[rows].float() / 255
        with parallel.precision(options.bf16):
            made = model(smaller(wanted).contiguous(memory_format=torch.channels_last)).float()
        error = made - wanted
        loss = error.abs().mean() + 0.5 * (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean())
        progress = team.update(loss, parameters, optimizers, (time.time() - begun) / (60 * options.minutes))
        step += 1
        if team.leads and time.time() - said > 60:
            print(f"{step} loss {loss.item():.4f} {decibels(model, test)}", flush=True)
            write(model, options.file)
            said = time.time()
    if team.leads:
        print(f"{step} {decibels(model, test)}")
        write(model, options.file)


@torch.no_grad()
def decibels(model, images):
    """Mean PSNR of the network and of Lanczos."""
    small = functional.interpolate(images, scale_factor=1 / FACTOR, mode="bicubic", antialias=True).clamp(0, 1)
    made = torch.cat([model(part).clamp(0, 1) for part in small.split(10)])
    side = images.shape[-1]
    lanczos = [np.asarray(Image.fromarray((one.permute(1, 2, 0) * 255).round().byte().numpy()).resize((side, side), Image.LANCZOS))
               for one in small]
    other = torch.from_numpy(np.stack(lanczos)).permute(0, 3, 1, 2).float() / 255
    mine, theirs = (-10 * torch.log10((each - images).square().mean((1, 2, 3))).mean().item() for each in (made, other))
    return f"{mine:.2f} dB, Lanczos {theirs:.2f} dB"


def write(model, file):
    new = file.with_suffix(".new")
    save_file({name: value.half().contiguous() for name, value in model.state_dict().items()}, new)
    os.replace(new, file)


if __name__ == "__main__":
    main()
