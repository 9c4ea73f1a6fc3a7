"""The model card beside the weights."""

import torch
from torch.utils.flop_counter import FlopCounterMode

import scenes

TEXT = """# Starter: text to 128 px images, a small rectified flow

435 things and faces, one to four in an image, on colors and scenes: "an octopus in the sea", "a fox left of a pizza",
"three strawberries on a white background", "a tiny bee in the top left corner", "pixel art rocket on purple". A seed
decides what the prompt leaves open: position, upright or leaning, hue, shade, an open background. A prompt without a
known word gives the background alone.

| | |
|---|---|
| layout | diffusers `StableDiffusionPipeline` folder: CLIP tokenizer ({entries:,} entries) and `CLIPTextModel` ({width} wide, {layers} layers, {positions} positions), `UNet2DConditionModel` ({millions:.1f} M parameters, channels {channels}, {gflop:.2f} GFLOP a row), `{autoencoder}` (factor {factor}, {latents} channels, {decoder:.2f} GFLOP an image), 2x2 of whose latents are one of the network's (`patch_size`, channels first), `FlowMatchEulerDiscreteScheduler` (shift 1) |
| upscaler | `streamflow-upscaler.safetensors`, SRVGGNetCompact (12 convolutions of 40 channels), 128 to 512 px: `--upscale 4`, and the default of the web UI |
| convention | a sample is `(1 - sigma) * data + sigma * noise`, the network's output is `noise - data`, its timestep `1000 * sigma`; the noise's entries in the first corner are the numbers that decide what the prompt leaves open |
| data | glyphs of Noto Color Emoji (SIL Open Font License 1.1), drawn at many positions, sizes and angles on drawn backgrounds; names from Unicode, keywords from Unicode CLDR; words of the language that are no typing errors (`streamflow-vocabulary.json`) from SCOWL, copyright 2000-2018 by Kevin Atkinson, free to use, copy, modify and distribute with this notice |
| recipe | `Scripts/train/`; one pair of things, and one of thing and color, in ten is never trained on |
| cost | on two shared CPU cores: {draft:.0f} minutes for the text encoder alone, {minutes:.0f} minutes for the network ({step:,} updates of up to {batch} samples); the autoencoder's is in `Scripts/train/README.md` |
| limits | 435 names, their other names, keywords and plurals; at most two different things, or four of a kind; fine print is lost; weights of words (`(more)`) do little, since what the words mean together is in the states after them |
| license | weights MIT |

## Measures

Each thing is cut out where it should be, turned back, and compared with all 435 glyphs on the same background
(`Scripts/train/evaluate.py`), for scenes that were never trained on. Right: the nearest is the right one, for all
things of the image; 95 % error in brackets. Placed: each is also where the prompt puts it.

| scenes | steps | guidance | right | placed | PSNR to the drawn image |
|---|---|---|---|---|---|
{rows}

Variety: the mean PSNR between the images of eight seeds, {variety}. Less is more variety.
"""


def gflop(starter):
    """What one row of the velocity network costs, a multiplication and an addition counted as two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        empty = torch.zeros(1, starter.length, starter.unet.config.cross_attention_dim)
        starter.unet(torch.zeros(1, *starter.shape), torch.tensor([500.0]), empty)
    return counter.get_total_flops() / 1e9


def card(results, step, batch, seconds, draft_seconds, starter):
    rows, variety = [], []
    for result in results:
        if result["scenes"] == "variety":
            variety.append(f"{result['psnr_db']:.1f} dB for {result['count']} prompts and {result['fox_psnr_db']:.1f} dB for "
                           f"\"a fox on a blue background\" in {result['steps']} step{'s' if result['steps'] != 1 else ''}")
            continue
        error = f" ({100 * result['right_95_error']:.1f})" if "right_95_error" in result else ""
        placed = f"{100 * result['placed']:.1f} %" if "placed" in result else ""
        rows.append(f"| {result['count']} {result['scenes']} | {result['steps']} | {result['guidance']} "
                    f"| {100 * result['right']:.1f} %{error} | {placed} | {result['psnr_db']:.1f} dB |")
    text, unet, vae = starter.text.config, starter.unet, starter.vae
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        channels = vae.config.latent_channels
        side = starter.shape[1] * round((starter.shape[0] / channels) ** 0.5)
        vae.decoder(torch.zeros(1, channels, side, side))
    return TEXT.format(
        step=step, batch=batch, minutes=seconds / 60, draft=draft_seconds / 60, rows="\n".join(rows), entries=text.vocab_size,
        width=text.hidden_size, layers=text.num_hidden_layers, positions=text.max_position_embeddings,
        millions=sum(parameter.numel() for parameter in unet.parameters()) / 1e6, latents=channels,
        autoencoder=type(vae).__name__, factor=scenes.SIDE // side,
        decoder=counter.get_total_flops() / 1e9, variety=", ".join(variety) or "not measured",
        channels=", ".join(map(str, unet.config.block_out_channels)), gflop=gflop(starter))
