"""Trains the starter's autoencoder: AutoencoderTiny's layout, factor 8, 8 latent channels, 128 px scenes.

    python Scripts/train/autoencoder.py FOLDER --minutes 20 [--start VAE]

A mirror image's latents learn to be the mirrored latents, as in EQ-VAE (Kouzelis et al., arXiv:2502.09509).

`--start` is an autoencoder of fewer levels whose weights its outer levels begin with. A run continues from FOLDER. Most of
it is on crops: as many pixels of more images. The folder's files are replaced at once, every two minutes.
"""

import argparse
import os
import random
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from diffusers import AutoencoderTiny

import glyphs as data
import parallel
import scenes
from muon import make_optimizers, set_rate
from painter import Painter

WIDTH, LEVELS, CHANNELS = 32, 4, 8


def begin(start):
    model = AutoencoderTiny(
        encoder_block_out_channels=(WIDTH,) * LEVELS, decoder_block_out_channels=(WIDTH,) * LEVELS,
        num_encoder_blocks=(0, 1, 2, 4), num_decoder_blocks=(5, 3, 2, 1), latent_channels=CHANNELS,
        upsampling_scaling_factor=2)
    if start:
        # The decoder's last layers are those of the smaller one; what comes before is new.
        old = AutoencoderTiny.from_pretrained(start).float()
        own, given = list(model.decoder.layers), list(old.decoder.layers)
        for mine, theirs in zip(reversed(own), reversed(given)):
            if [p.shape for p in mine.parameters()] != [p.shape for p in theirs.parameters()]:
                break
            mine.load_state_dict(theirs.state_dict())
    return model


def pool(painter, glyph_count, count):
    """Images of scenes as bytes, a batch at a time."""
    made = []
    for _ in range(count // 50):
        chosen = [scenes.scene(glyph_count) for _ in range(50)]
        images = painter.paint(chosen, torch.randn(50, scenes.K))
        made.append(((images + 1) * 127.5).round().to(torch.uint8))
    return torch.cat(made)


def pools(options, team):
    """Test images, the same in every process, and the training images of this one."""
    glyphs = data.load()
    painter = Painter(glyphs)
    seed_all(options.seed)
    test = pool(painter, len(glyphs), 100)
    seed_all(options.seed + 1000 * team.rank + 1)
    return test, pool(painter, len(glyphs), options.pool // team.size)


def seed_all(seed):
    for part in (torch.manual_seed, random.seed, np.random.seed):
        part(seed)


def batch(images, count, side):
    rows = torch.randint(len(images), (count,))
    made = []
    for row in rows.tolist():
        x, y = (random.randrange(0, scenes.SIDE - side + 1) for _ in range(2))
        made.append(images[row, :, y:y + side, x:x + side])
    pixels = torch.stack(made).float() / 127.5 - 1
    return pixels.contiguous(memory_format=torch.channels_last)


def loss_of(made, pixels):
    """Absolute and squared errors, and those of neighbours' differences, which keep edges sharp."""
    error = made - pixels
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + error.square().mean() + 0.7 * edges


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--minutes", type=float, default=20)
    arguments.add_argument("--start")
    arguments.add_argument("--rate", type=float, default=2e-3)
    arguments.add_argument("--crops", type=float, default=0.8, help="share of the minutes on crops of 64 px")
    arguments.add_argument("--batch", type=int, default=8, help="crops of a step; a quarter as many whole images")
    arguments.add_argument("--pool", type=int, default=6000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    parallel.run(train, options, options.workers)


def train(options, team):
    seed_all(options.seed)
    resumed = (options.folder / "config.json").exists()
    model = AutoencoderTiny.from_pretrained(options.folder).float() if resumed else begin(options.start)
    model = model.to(memory_format=torch.channels_last).train()
    parameters = list(model.parameters())
    inside = [p for p in parameters if p.ndim == 4 and 3 not in p.shape[:2]]
    optimizers = make_optimizers(parameters, inside, options.rate, team, decay=0.0)
    test, images = pools(options, team)
    begun, saved, step, progress = time.time(), time.time(), 0, 0.0
    while progress < 1:
        set_rate(optimizers, options.rate * min(1, (step + 1) / 100) * (0.51 + 0.49 * np.cos(np.pi * progress)))
        whole, count = progress > options.crops, options.batch // team.size
        pixels = batch(images, max(1, count // 4) if whole else count, scenes.SIDE if whole else 64)
        latents = model.encoder(pixels)
        mirrored, flipped = latents.flip(-1), pixels.flip(-1)
        alike = (model.encoder(flipped) - mirrored).square().mean() if step % 2 else 0.0
        spread = (latents.square().mean() - 1).square() + latents.mean((0, 2, 3)).square().mean()
        turned = random.random() < 0.5
        read, wanted = (mirrored, flipped) if turned else (latents, pixels)
        made = model.decoder(read + 0.03 * torch.randn_like(latents))
        loss = loss_of(made, wanted) + 0.01 * spread + 0.5 * alike
        progress = team.update(loss, parameters, optimizers, (time.time() - begun) / (60 * options.minutes))
        step += 1
        if team.leads and time.time() - saved > 60:
            print(f"{step} {time.time() - begun:.0f} s loss {loss.item():.4f} {decibels(model, test)}", flush=True)
            write(model, options.folder)
            saved = time.time()
    if not team.leads:
        return
    with torch.no_grad():
        shown = torch.cat([model.encoder(batch(images, 8, scenes.SIDE)) for _ in range(50)])
    model.register_to_config(scaling_factor=float(1 / shown.std()))
    print(f"{step} {decibels(model, test)}, scaling factor {model.config.scaling_factor:.4f}, "
          f"means {shown.mean((0, 2, 3)).tolist()}, deviations {shown.std((0, 2, 3)).tolist()}")
    write(model, options.folder)


@torch.no_grad()
def decibels(model, images):
    """Mean PSNR of whole images never trained on, and of their mirror images, decoded from mirrored latents."""
    values, mirrored, errors = [], [], []
    for part in images.split(10):
        pixels = part.float() / 127.5 - 1
        latents = model.encoder(pixels)
        for read, wanted, found in ((latents, pixels, values), (latents.flip(-1), pixels.flip(-1), mirrored)):
            made = model.decoder(read).clamp(-1, 1)
            found.append(10 * torch.log10(4 / (made - wanted).square().mean((1, 2, 3))))
        errors.append((model.encoder(pixels.flip(-1)) - latents.flip(-1)).square().mean() / latents.var())
    return (f"{torch.cat(values).mean().item():.2f} dB, mirrored {torch.cat(mirrored).mean().item():.2f} dB, "
            f"mirrored latents' error {torch.stack(errors).mean().item():.3f}")


def write(model, folder):
    """Puts each file in place at once."""
    new = folder.with_name(folder.name + ".new")
    model.save_pretrained(new)
    folder.mkdir(parents=True, exist_ok=True)
    for file in new.iterdir():
        os.replace(file, folder / file.name)
    new.rmdir()


if __name__ == "__main__":
    main()
