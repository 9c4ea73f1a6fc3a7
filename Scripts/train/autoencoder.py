"""Trains the autoencoder, or its decoder alone so that latents stay as they are.

    python Scripts/train/autoencoder.py FOLDER --minutes 26 [--start AUTOENCODER] [--decoder-only]

The folder holds the newest weights, which a further call continues from.
"""

import argparse
import os
import random
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import torch.nn.functional as functional
from diffusers import AutoencoderTiny

import glyphs as data


def begin():
    return AutoencoderTiny(
        encoder_block_out_channels=(32, 32, 32), decoder_block_out_channels=(32, 32, 32), num_encoder_blocks=(1, 2, 3),
        num_decoder_blocks=(3, 2, 1), latent_channels=4, upsampling_scaling_factor=2)


def batch(glyphs, count):
    """Glyphs of many sizes and places on named and on random backgrounds."""
    made = []
    for _ in range(count):
        named = random.random() < 0.7
        color = random.choice(list(data.COLORS.values())) if named else tuple(np.random.randint(0, 256, 3))
        inner = random.randint(40, 64)
        room = (64 - inner) // 2
        shift = [random.randint(-room, room) for _ in range(2)]
        made.append(data.render(random.choice(glyphs).picture, color, 64, inner, *shift))
    pixels = torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return pixels.contiguous(memory_format=torch.channels_last)


def loss_of(made, pixels):
    """Absolute and squared errors, and those of neighbours' differences, which keep edges sharp."""
    error = made - pixels
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + error.square().mean() + 0.7 * edges


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--minutes", type=float, default=26)
    arguments.add_argument("--start")
    arguments.add_argument("--decoder-only", action="store_true")
    arguments.add_argument("--rate", type=float, default=1.2e-3)
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(options.seed), random.seed(options.seed), np.random.seed(options.seed)
    source = options.folder if (options.folder / "config.json").exists() else options.start
    model = AutoencoderTiny.from_pretrained(source).float() if source else begin()
    model = model.to(memory_format=torch.channels_last)
    model.encoder.requires_grad_(not options.decoder_only)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=options.rate, weight_decay=0.0)
    glyphs, begun, saved, step = data.load(), time.time(), time.time(), 0
    while (progress := (time.time() - begun) / (60 * options.minutes)) < 1:
        optimizer.param_groups[0]["lr"] = options.rate * min(1, (step + 1) / 100) * (0.51 + 0.49 * np.cos(np.pi * progress))
        pixels = batch(glyphs, options.batch)
        latents = model.encoder(pixels)
        made = model.decoder(latents + 0.03 * torch.randn_like(latents))
        spread = (latents.square().mean() - 1).square() + latents.mean((0, 2, 3)).square().mean()
        loss = loss_of(made, pixels) + 0.01 * spread
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            decibels = 10 * np.log10(4 / functional.mse_loss(made, pixels).item())
            print(f"{step} {time.time() - begun:.0f} s loss {loss.item():.4f} {decibels:.1f} dB", flush=True)
        if time.time() - saved > 120:
            write(model, options.folder)
            saved = time.time()
    if not options.decoder_only:
        with torch.no_grad():
            shown = torch.cat([model.encoder(batch(glyphs, options.batch)) for _ in range(50)])
        model.register_to_config(scaling_factor=float(1 / shown.std()))
    write(model, options.folder)


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
