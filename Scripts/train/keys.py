"""Begins the attentions to the text with keys that tell which patch they stand for.

The keys of the shown heads (look.py) are, to begin with, a code of a patch: its column, its row, its variant. They are
fitted to the text encoder's states by least squares. So a query learns three small choices, not one among 128. The
network's output begins as its sample (`carry_noise`).
"""

import torch

from model import PATCHES, VARIANTS, WORDS
from look import HEADS

SCALE = 16.0  # large, since updates of all matrices have the same size


def codes():
    """(variants * patches, code): the column, the row and the variant of each position, one-hot."""
    line = torch.arange(VARIANTS * PATCHES ** 2)
    parts = [(line % PATCHES, PATCHES), (line // PATCHES % PATCHES, PATCHES), (line // PATCHES ** 2, VARIANTS)]
    return torch.cat([torch.nn.functional.one_hot(index, count) for index, count in parts], 1).float()


@torch.no_grad()
def fit(starter, texts):
    """The linear map from states to codes, (code, width), and how much of the codes' variance it leaves."""
    states = torch.cat([starter.encode(texts[start:start + 20]) for start in range(0, len(texts), 20)])
    wanted = codes()
    wanted = wanted - wanted.mean(0)
    inputs, outputs = states[:, WORDS:].flatten(0, 1), wanted.repeat(len(states), 1)
    words = states[:, :WORDS].flatten(0, 1)
    inputs, outputs = torch.cat([inputs, words]), torch.cat([outputs, torch.zeros(len(words), wanted.shape[1])])
    gram = inputs.T @ inputs + 1e-3 * len(inputs) * torch.eye(inputs.shape[1])
    weight = torch.linalg.solve(gram, inputs.T @ outputs).T
    left = (inputs @ weight.T - outputs).square().mean() / outputs.square().mean()
    return weight, left.item()


@torch.no_grad()
def begin(starter, texts):
    weight, left = fit(starter, texts)
    print(f"keys: {100 * left:.1f} % of the codes' variance is left")
    for name, parameter in starter.unet.named_parameters():
        if not name.endswith("attn2.to_k.weight"):
            continue
        width = parameter.shape[0] // 4
        for head in range(HEADS):
            parameter[head * width:(head + 1) * width] = 0
            parameter[head * width:head * width + len(weight)] = SCALE * weight
    carry_noise(starter.unet)


@torch.no_grad()
def carry_noise(unet):
    """The network's output begins as its sample: at pure noise, what is left to learn is the image alone.

    The first layer's outputs reach the last one by a skip connection. They are the sample and its negative, since
    silu(x) - silu(-x) = x. A plane without noise in some channels lets convolutions tell how far the border is, since zeros
    surround it.
    """
    count = unet.config.in_channels
    both, eye = slice(0, 2 * count), torch.eye(count)
    first, last, block = unet.conv_in, unet.conv_out, unet.up_blocks[0]
    sign = torch.cat([eye, -eye])
    first.weight[both], first.bias[both] = 0, 0
    first.weight[both, :, 1, 1] = sign
    first.weight[2 * count::8], first.bias[2 * count::8] = 0, 1
    resnet, attention = block.resnets[-1], block.attentions[-1]
    resnet.conv_shortcut.weight[both], resnet.conv_shortcut.bias[both] = 0, 0
    width = first.weight.shape[0]
    resnet.conv_shortcut.weight[both, width:width + 2 * count, 0, 0] = torch.eye(2 * count)
    for layer in (resnet.conv2, attention.proj_out):
        layer.weight[both], layer.bias[both] = 0, 0
    last.weight *= 0.1
    last.weight[:, both] = 0
    last.weight[:, both, 1, 1] = sign.T
    last.bias.zero_()
