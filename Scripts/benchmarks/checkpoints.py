"""Full-size transformer checkpoints in diffusers' layout with seeded weights.

    python Scripts/benchmarks/checkpoints.py klein|sd35-medium FOLDER --tokenizer FOLDER

Speed and memory do not depend on what the weights say, so a block of seeded normal numbers is repeated and scaled by
the inputs of each layer. Models are built without memory (torch's meta device), and weights written one by one:
4 billion take a minute or two and 8 GB of disk. A tokenizer is copied, since its file cannot be made up.
"""

import argparse
import json
import pathlib
import shutil
import struct

import torch
from diffusers import AutoencoderKL, AutoencoderKLFlux2, Flux2Transformer2DModel, SD3Transformer2DModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, Qwen3Config, Qwen3ForCausalLM

SCHEDULER = dict(_class_name="FlowMatchEulerDiscreteScheduler", num_train_timesteps=1000)
CLIP = dict(vocab_size=49408, max_position_embeddings=77, eos_token_id=49407, bos_token_id=49406)


def klein():
    """FLUX.2 klein 4B with Qwen3-4B and the 32-channel autoencoder."""
    transformer = lambda: Flux2Transformer2DModel(
        num_layers=5, num_single_layers=20, num_attention_heads=24, joint_attention_dim=7680, guidance_embeds=False)
    text = lambda: Qwen3ForCausalLM(Qwen3Config(
        vocab_size=151936, hidden_size=2560, intermediate_size=9728, num_hidden_layers=36, num_attention_heads=32,
        num_key_value_heads=8, head_dim=128, tie_word_embeddings=True, max_position_embeddings=40960,
        rope_parameters=dict(rope_type="default", rope_theta=1000000.0)))
    return dict(
        index=dict(_class_name="Flux2KleinPipeline", is_distilled=True,
                   scheduler=["diffusers", "FlowMatchEulerDiscreteScheduler"], tokenizer=["transformers", "Qwen2TokenizerFast"],
                   text_encoder=["transformers", "Qwen3ForCausalLM"],
                   transformer=["diffusers", "Flux2Transformer2DModel"], vae=["diffusers", "AutoencoderKLFlux2"]),
        scheduler=dict(SCHEDULER, shift=3.0, use_dynamic_shifting=True),
        parts=dict(transformer=transformer, text_encoder=text, vae=lambda: AutoencoderKLFlux2()))


def sd35_medium():
    """Stable Diffusion 3.5 medium without T5."""
    transformer = lambda: SD3Transformer2DModel(
        sample_size=128, num_layers=24, num_attention_heads=24, joint_attention_dim=4096, caption_projection_dim=1536,
        pooled_projection_dim=2048, pos_embed_max_size=384, dual_attention_layers=tuple(range(13)), qk_norm="rms_norm")
    clip = lambda **sizes: lambda: CLIPTextModelWithProjection(CLIPTextConfig(**CLIP, **sizes))
    return dict(
        index=dict(_class_name="StableDiffusion3Pipeline", scheduler=["diffusers", "FlowMatchEulerDiscreteScheduler"],
                   text_encoder=["transformers", "CLIPTextModelWithProjection"],
                   text_encoder_2=["transformers", "CLIPTextModelWithProjection"], text_encoder_3=[None, None],
                   tokenizer=["transformers", "CLIPTokenizer"], tokenizer_2=["transformers", "CLIPTokenizer"],
                   tokenizer_3=[None, None], transformer=["diffusers", "SD3Transformer2DModel"],
                   vae=["diffusers", "AutoencoderKL"]),
        scheduler=dict(SCHEDULER, shift=3.0),
        parts=dict(
            transformer=transformer,
            text_encoder=clip(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
                              projection_dim=768, hidden_act="quick_gelu"),
            text_encoder_2=clip(hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20,
                                projection_dim=1280, hidden_act="gelu"),
            vae=lambda: AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=16, sample_size=1024,
                scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False)))


def write(model, folder, block):
    """Writes a model's configuration, and its weights as bfloat16 without holding them."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder) if hasattr(model.config, "save_pretrained") else model.save_config(folder)
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    tensors = {name: value for name, value in model.state_dict().items() if name not in tied and value.is_floating_point()}
    header, offset = {}, 0
    for name, value in tensors.items():
        count = 2 * value.numel()
        header[name] = dict(dtype="BF16", shape=list(value.shape), data_offsets=[offset, offset + count])
        offset += count
    stem = "model" if model.__class__.__module__.startswith("transformers") else "diffusion_pytorch_model"
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / f"{stem}.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for index, (name, value) in enumerate(tensors.items()):
            left, start = value.numel(), index * 7919 % (block.numel() // 2)
            flat = value.dim() < 2
            scale = 0.1 if flat else value[0].numel() ** -0.5
            centre = 1.0 if flat and name.endswith(("weight", "running_var")) else 0.0
            while left:
                part = block[start:start + left] * scale + centre
                if name.endswith("running_var"):
                    part = part.abs() + 0.1
                file.write(part.to(torch.bfloat16).view(torch.uint8).numpy().tobytes())
                left, start = left - part.numel(), 0
    print(f"{folder.name}: {sum(value.numel() for value in tensors.values()):,} parameters")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("family", choices=["klein", "sd35-medium"])
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--tokenizer", type=pathlib.Path, required=True, help="a folder with the tokenizer's files")
    options = arguments.parse_args()
    made = {"klein": klein, "sd35-medium": sd35_medium}[options.family]()
    block = torch.randn(1 << 24, generator=torch.Generator().manual_seed(0))
    for name, build in made["parts"].items():
        with torch.device("meta"):
            model = build()
        write(model, options.folder / name, block)
    for name, part in made["index"].items():
        if name.startswith("tokenizer") and part[0]:
            shutil.copytree(options.tokenizer, options.folder / name, dirs_exist_ok=True)
    (options.folder / "scheduler").mkdir(exist_ok=True)
    (options.folder / "scheduler/scheduler_config.json").write_text(json.dumps(made["scheduler"], indent=2))
    (options.folder / "model_index.json").write_text(json.dumps(made["index"], indent=2))


if __name__ == "__main__":
    main()
