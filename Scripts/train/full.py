"""Trains the starter's autoencoder: AutoencoderKL's layout, factor 16, 32 latent channels.

    python Scripts/train/full.py FOLDER --teacher VAE --minutes 40

Its latents are the teacher's (autoencoder.py: factor 8, 8 channels), 2x2 of them in one: the decoder learns to decode
those, the encoder to compute them, so that a network trained on the teacher's latents needs no other. A 16-pixel patch
of an image is one position of the latents, which the network copies as a whole. A run continues from FOLDER; its files
are replaced at once, every two minutes.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import torch.nn.functional as functional
from diffusers import AutoencoderKL, AutoencoderTiny

import parallel
import scenes
from autoencoder import loss_of, pools, seed_all, write
from muon import make_optimizers, set_rate

WIDTHS, CHANNELS = (24, 32, 48, 64, 64), 32  # 2.4 MB in fp16; the decoder takes 2 GFLOP an image


def begin():
    levels = len(WIDTHS)
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=WIDTHS, layers_per_block=1, latent_channels=CHANNELS, norm_num_groups=8, sample_size=scenes.SIDE,
        scaling_factor=1.0, force_upcast=False, use_quant_conv=False, use_post_quant_conv=False,
        mid_block_add_attention=False)
    with torch.no_grad():  # a deviation of nearly nothing
        last = model.encoder.conv_out
        last.weight[CHANNELS:] = 0
        last.bias[CHANNELS:] = -14
    return model


def fold(teacher, pixels):
    """The teacher's scaled latents, 2x2 of them in one."""
    return functional.pixel_unshuffle(teacher.encoder(pixels) * teacher.config.scaling_factor, 2)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--teacher", required=True)
    arguments.add_argument("--minutes", type=float, default=40)
    arguments.add_argument("--rate", type=float, default=2e-3)
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--own", type=float, default=0.6, help="share of the minutes after which the decoder reads the encoder's latents too")
    arguments.add_argument("--pool", type=int, default=5000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    parallel.run(train, options, options.workers)


def train(options, team):
    seed_all(options.seed)
    teacher = AutoencoderTiny.from_pretrained(options.teacher).float().eval().requires_grad_(False)
    teacher = teacher.to(memory_format=torch.channels_last)
    resumed = (options.folder / "config.json").exists()
    model = AutoencoderKL.from_pretrained(options.folder).float() if resumed else begin()
    model = model.to(memory_format=torch.channels_last).train()
    parameters = list(model.parameters())
    inside = [p for p in parameters if p.ndim == 4 and 3 not in p.shape[:2] and p.shape[0] != 2 * CHANNELS]
    optimizers = make_optimizers(parameters, inside, options.rate, team, decay=0.0)
    test, images = pools(options, team)
    begun, saved, step, progress = time.time(), time.time(), 0, 0.0
    while progress < 1:
        set_rate(optimizers, options.rate * min(1, (step + 1) / 100) * (0.51 + 0.49 * np.cos(np.pi * progress)))
        rows = torch.randint(len(images), (options.batch // team.size,))
        pixels = (images[rows].float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            latents = fold(teacher, pixels)
        own = model.encoder(pixels)[:, :CHANNELS]
        read = latents + 0.05 * torch.rand(len(rows), 1, 1, 1) * torch.randn_like(latents)
        if progress > options.own and step % 2:
            read = own
        error = own - latents
        loss = loss_of(model.decoder(read), pixels) + 0.5 * error.square().mean() + 0.2 * error.abs().mean()
        progress = team.update(loss, parameters, optimizers, (time.time() - begun) / (60 * options.minutes))
        step += 1
        if team.leads and time.time() - saved > 60:
            told = measure(model, teacher, test)
            print(f"{step} {time.time() - begun:.0f} s loss {loss.item():.4f}; {told}", flush=True)
            write(model, options.folder)
            saved = time.time()
    if team.leads:
        print(f"{step} {measure(model, teacher, test)}")
        write(model, options.folder)


@torch.no_grad()
def measure(model, teacher, images):
    """Mean PSNR of whole images never trained on."""
    values = {"teacher": [], "decoder": [], "both": []}
    errors = []
    for part in images.split(10):
        pixels = part.float() / 127.5 - 1
        latents, own = fold(teacher, pixels), model.encoder(pixels)[:, :CHANNELS]
        errors.append((own - latents).square().mean().item())
        shown = {"teacher": teacher.decoder(functional.pixel_shuffle(latents, 2) / teacher.config.scaling_factor),
                 "decoder": model.decoder(latents), "both": model.decoder(own)}
        for name, made in shown.items():
            values[name].append(10 * torch.log10(4 / (made.clamp(-1, 1) - pixels).square().mean((1, 2, 3))))
    return f"latents' error {np.mean(errors):.4f}, dB: " + ", ".join(
        f"{name} {torch.cat(value).mean().item():.2f}" for name, value in values.items())


if __name__ == "__main__":
    main()
