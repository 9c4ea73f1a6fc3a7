"""The transformer of a Stable Diffusion 3 folder in diffusers' layout as one file in the original names, which
stable-diffusion.cpp recognizes (the other parts it reads as they are).

    python original_names_sd3.py FOLDER FILE.safetensors
"""

import argparse
import json
import pathlib
import re

import torch
from safetensors import safe_open
from safetensors.torch import save_file

FIXED = {
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "pos_embed.proj": "x_embedder.proj", "context_embedder": "context_embedder",
    "norm_out.linear": "final_layer.adaLN_modulation.1", "proj_out": "final_layer.linear"}
BLOCK = {
    "norm1.linear": "x_block.adaLN_modulation.1", "norm1_context.linear": "context_block.adaLN_modulation.1",
    "attn.norm_q": "x_block.attn.ln_q", "attn.norm_k": "x_block.attn.ln_k",
    "attn.norm_added_q": "context_block.attn.ln_q", "attn.norm_added_k": "context_block.attn.ln_k",
    "attn2.norm_q": "x_block.attn2.ln_q", "attn2.norm_k": "x_block.attn2.ln_k",
    "attn.to_out.0": "x_block.attn.proj", "attn.to_add_out": "context_block.attn.proj", "attn2.to_out.0": "x_block.attn2.proj",
    "ff.net.0.proj": "x_block.mlp.fc1", "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1", "ff_context.net.2": "context_block.mlp.fc2"}
FUSED = {
    "attn.to_{}": "x_block.attn.qkv", "attn.add_{}_proj": "context_block.attn.qkv", "attn2.to_{}": "x_block.attn2.qkv"}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("file", type=pathlib.Path)
    options = arguments.parse_args()
    layers = json.loads((options.folder / "transformer/config.json").read_text())["num_layers"]
    out, used = {}, set()
    with safe_open(options.folder / "transformer/diffusion_pytorch_model.safetensors", "pt") as source:
        names = set(source.keys())

        def take(name):
            used.add(name)
            return source.get_tensor(name)

        def swapped(value):  # diffusers keeps scale before shift, the original shift before scale
            scale, shift = value.chunk(2)
            return torch.cat([shift, scale])

        out["pos_embed"] = take("pos_embed.pos_embed")
        for name in sorted(names):
            stem, _, kind = name.rpartition(".")
            if stem in FIXED:
                value = take(name)
                out[f"{FIXED[stem]}.{kind}"] = swapped(value) if stem == "norm_out.linear" else value
            elif (match := re.fullmatch(r"transformer_blocks\.(\d+)\.(.+)", stem)) and match[2] in BLOCK:
                value = take(name)
                if match[2] == "norm1_context.linear" and int(match[1]) == layers - 1:
                    value = swapped(value)
                out[f"joint_blocks.{match[1]}.{BLOCK[match[2]]}.{kind}"] = value
        for layer in range(layers):
            for pattern, target in FUSED.items():
                for kind in ["weight", "bias"]:
                    parts = [f"transformer_blocks.{layer}.{pattern.format(letter)}.{kind}" for letter in "qkv"]
                    if parts[0] in names:
                        out[f"joint_blocks.{layer}.{target}.{kind}"] = torch.cat([take(part) for part in parts])
    assert used == names, sorted(names - used)
    save_file(out, options.file)
    print(f"{len(out)} tensors, {sum(value.numel() for value in out.values()):,} parameters")


main()
