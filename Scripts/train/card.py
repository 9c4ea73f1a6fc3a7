"""The model card beside the weights."""

import torch
from torch.utils.flop_counter import FlopCounterMode

TEXT = """# Starter: text to 64 px images, a small rectified flow

435 things and faces on ten backgrounds ("an octopus on a yellow background"); a prompt without a known word gives the
background alone.

| | |
|---|---|
| layout | diffusers `StableDiffusionPipeline` folder: CLIP tokenizer ({entries:,} entries) and `CLIPTextModel` ({width} wide, {layers} layers, {positions} positions), `UNet2DConditionModel` ({millions:.1f} M parameters, channels {channels}, {gflop:.2f} GFLOP a row at 16x16 latents), `AutoencoderTiny` (factor 4, 4 channels, scaling factor in its config), `FlowMatchEulerDiscreteScheduler` (shift 1) |
| convention | a sample is `(1 - sigma) * data + sigma * noise`, the network's output is `noise - data`, its timestep `1000 * sigma` |
| data | glyphs of Noto Color Emoji (SIL Open Font License 1.1), rendered; names from Unicode, keywords from Unicode CLDR |
| recipe | `Scripts/train/`: text encoder and network together on `velocity = noise - data`; before it the text encoder alone, which sketches each image in its states; one pair of glyph and background in ten is never trained on |
| cost | on two shared CPU cores: {draft:.0f} minutes for the text encoder alone, {minutes:.0f} minutes for both ({step:,} updates of {batch}), from a network trained 68 minutes before and an autoencoder 26 |
| limits | 435 names, their other names and some keywords; one subject per image, in its middle; no sizes, numbers or positions; the image of a prompt is the same for every seed but for a background that the prompt leaves open; weights of words (`(more)`) do little, since the sketch is in the states after them |
| license | weights MIT |

## Measures

The nearest of all 435 glyphs on the asked background is looked up (`Scripts/train/evaluate.py`); a share of prompts,
95 % error in brackets. Unseen: pairs of glyph and background that were never trained on. Unknown: no word that the
model knows. Open: a name alone, whose background may be any of the ten.

| prompts | steps | guidance | top-1 | top-5 | PSNR |
|---|---|---|---|---|---|
{rows}
"""


def gflop(starter):
    """What one row of the velocity network costs, a multiplication and an addition counted as two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        empty = torch.zeros(1, starter.length, starter.unet.config.cross_attention_dim)
        starter.unet(torch.zeros(1, *starter.shape), torch.tensor([500.0]), empty)
    return counter.get_total_flops() / 1e9


def card(results, step, batch, seconds, draft_seconds, starter):
    rows = []
    for result in results:
        first = f"| {result['count']} {result['pairs']} | {result['steps']} | {result['guidance']} "
        if result["pairs"] == "open":
            rows.append(first + f"| {100 * result['top1']:.1f} %, {result['backgrounds']} of 10 backgrounds | "
                                f"| {result['psnr_to_nearest_db']:.1f} dB |")
        elif "top1" in result:
            rows.append(first + f"| {100 * result['top1']:.1f} % ({100 * result['top1_95_error']:.1f}) "
                                f"| {100 * result['top5']:.1f} % | {result['psnr_db']:.1f} dB |")
        else:
            rows.append(first + f"| plain in {100 * result['plain_is_nearest']:.0f} % | "
                                f"| {result['psnr_to_plain_db']:.1f} dB |")
    text, unet = starter.text.config, starter.unet
    return TEXT.format(
        step=step, batch=batch, minutes=seconds / 60, draft=draft_seconds / 60, rows="\n".join(rows), entries=text.vocab_size,
        width=text.hidden_size, layers=text.num_hidden_layers, positions=text.max_position_embeddings,
        millions=sum(parameter.numel() for parameter in unet.parameters()) / 1e6,
        channels=", ".join(map(str, unet.config.block_out_channels)), gflop=gflop(starter))
