"""The checkpoint: a StableDiffusionPipeline folder; how to begin one, read one, sample from it and write it."""

import json
import os
import random
import shutil
from pathlib import Path

import torch
import torch.nn.functional as functional
from diffusers import AutoencoderKL, AutoencoderTiny, FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import captions
import glyphs as data
import scenes

WORDS = 32  # positions for the prompt
PATCHES = 8  # the positions after it: one for each of 8x8 patches of a variant's latent
VARIANTS = scenes.VARIANTS
POSITIONS = WORDS + VARIANTS * PATCHES ** 2
WIDTH, LAYERS = 256, 3  # of the text encoder
CHANNELS, NETWORK_WIDTH = 32, 128
HEAD = "sketch.safetensors"  # beside the checkpoint's parts
ENTRIES = 3000  # enough that every word of a name is one token
START, END = "<|startoftext|>", "<|endoftext|>"
PIPELINE = {
    "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1", "feature_extractor": [None, None],
    "requires_safety_checker": False, "safety_checker": [None, None],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderTiny"],
}


@torch.no_grad()
def put(parameters, values):
    for parameter, value in zip(parameters, values):
        parameter.copy_(value)


def load_autoencoder(folder):
    name = json.loads((Path(folder) / "config.json").read_text())["_class_name"]
    return {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}[name].from_pretrained(folder).float().eval()


def exchange(parameters, average):
    """Exchanges the weights and their average."""
    kept = [parameter.detach().clone() for parameter in parameters]
    put(parameters, average)
    put(average, kept)


def patches(latents):
    """(..., channels, 8, 8) as (..., 64 patches, channels)."""
    return latents.flatten(-2).mT


class Starter:
    """Tokenizer, text encoder, velocity network and autoencoder, in 32 bits.

    `head` reads the sketch from the text encoder's states; only training needs it.
    """

    def __init__(self, tokenizer, text, unet, vae, head=None):
        self.tokenizer, self.text, self.unet, self.vae = tokenizer, text, unet, vae
        self.head = torch.nn.Linear(WIDTH, unet.config.in_channels)
        if head and Path(head).exists():
            self.head.load_state_dict({name: value.float() for name, value in load_file(head).items()})
        self.length = text.config.max_position_embeddings
        self.shape = (unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)

    @staticmethod
    def load(folder):
        folder = str(folder)
        return Starter(
            CLIPTokenizer.from_pretrained(folder + "/tokenizer"),
            CLIPTextModel.from_pretrained(folder + "/text_encoder").float().eval(),
            UNet2DConditionModel.from_pretrained(folder + "/unet").float().eval(),
            load_autoencoder(folder + "/vae"), f"{folder}/{HEAD}")

    @staticmethod
    def begin(folder, glyphs, source, vae):
        """A new network, and a text encoder that begins as that of a checkpoint, or a new one with a tokenizer in a folder."""
        if source:
            tokenizer = CLIPTokenizer.from_pretrained(f"{source}/tokenizer")
            text = CLIPTextModel.from_pretrained(f"{source}/text_encoder").float()
        else:
            tokenizer = train_tokenizer(Path(folder) / "tokenizer", glyphs)
            count = len(tokenizer)
            text = CLIPTextModel(CLIPTextConfig(
                vocab_size=count, hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=LAYERS,
                num_attention_heads=4, max_position_embeddings=POSITIONS, hidden_act="quick_gelu", projection_dim=WIDTH,
                bos_token_id=count - 2, eos_token_id=count - 1, pad_token_id=count - 1))
        unet = UNet2DConditionModel(
            sample_size=PATCHES, in_channels=CHANNELS, out_channels=CHANNELS, block_out_channels=(NETWORK_WIDTH,),
            down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",), layers_per_block=2,
            cross_attention_dim=WIDTH, attention_head_dim=4, norm_num_groups=32)
        return Starter(tokenizer, text, unet, load_autoencoder(vae), source and f"{source}/{HEAD}")

    def attend_plainly(self):
        """Attention by products and a soft-max: the gradient of PyTorch's fused kernel in bfloat16 takes a third of an update."""
        self.text.set_attn_implementation("eager")
        self.unet.set_attn_processor(AttnProcessor())

    def tokens(self, prompts):
        return self.tokenizer(
            prompts, padding="max_length", max_length=self.length, truncation=True, return_tensors="pt").input_ids

    def encode(self, prompts):
        return self.text(self.tokens(prompts))[0]

    def sketch(self, states):
        """The plain arrangements that the text encoder's states tell: (count, variants * patches, channels)."""
        return self.head(states[:, WORDS:])

    def partial_states(self, prompts, chosen):
        """The states of some of the patches (rows, count), as if there were no others: (rows, count, width)."""
        positions = torch.cat([torch.arange(WORDS).expand(len(chosen), -1), WORDS + chosen], 1)
        return self.text(self.tokens(prompts).gather(1, positions), position_ids=positions)[0][:, WORDS:]

    @torch.no_grad()
    def latents(self, prompts, noise, steps=4, guidance=1.0):
        """Euler steps of equal length from noise to data; `velocity` is noise minus data."""
        sigmas = torch.linspace(1, 0, steps + 1)
        made = []
        for start in range(0, len(prompts), 20):
            condition, x = self.encode(prompts[start:start + 20]), noise[start:start + 20]
            empty = self.encode([""]).expand(len(x), -1, -1)
            for step in range(steps):
                time = (sigmas[step] * 1000).expand(len(x))
                velocity = self.unet(x, time, condition).sample
                if guidance != 1:
                    other = self.unet(x, time, empty).sample
                    velocity = other + guidance * (velocity - other)
                x = x + (sigmas[step + 1] - sigmas[step]) * velocity
            made.append(x)
        return torch.cat(made)

    @torch.no_grad()
    def decode(self, latents):
        """8-bit images, but as floating-point numbers: (count, height, width, 3)."""
        fine = functional.pixel_shuffle(latents, 2) if latents.shape[1] == 4 * self.vae.config.latent_channels else latents
        made = [self.vae.decode(part / self.vae.config.scaling_factor).sample.clamp(-1, 1) for part in fine.split(20)]
        return ((torch.cat(made) + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()


def export(starter, folder, card):
    """Writes the checkpoint in 16 bits; the folder changes at once or not at all."""
    folder = Path(folder)
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    source = Path(starter.tokenizer.name_or_path)
    (new / "tokenizer").mkdir()
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"):
        (new / "tokenizer" / name).write_bytes((source / name).read_bytes())
    settings = json.loads((new / "tokenizer" / "tokenizer_config.json").read_text())
    (new / "tokenizer" / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": starter.length}, indent=1))
    for name, part in (("text_encoder", starter.text), ("unet", starter.unet), ("vae", starter.vae)):
        copy = type(part).from_config(part.config) if name != "text_encoder" else type(part)(part.config)
        copy.load_state_dict(part.state_dict())
        copy.half().save_pretrained(new / name)
        config = json.loads((new / name / "config.json").read_text())
        config.pop("_name_or_path", None)  # a place on this machine
        (new / name / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    if starter.unet.config.in_channels != starter.vae.config.latent_channels:  # one position is a patch of latents
        place = new / "vae/config.json"
        place.write_text(json.dumps({**json.loads(place.read_text()), "patch_size": [2, 2]}, indent=2) + "\n")
    FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0).save_pretrained(new / "scheduler")
    index = {**PIPELINE, "vae": ["diffusers", type(starter.vae).__name__]}
    (new / "model_index.json").write_text(json.dumps(index, indent=1))
    (new / "README.md").write_text(card)
    save_file({name: value.detach().clone() for name, value in starter.head.state_dict().items()}, new / HEAD)
    for file in new.rglob("*.safetensors"):
        file.chmod(0o644)
    if folder.exists():
        os.rename(folder, old)
    os.rename(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def train_tokenizer(folder, glyphs):
    """CLIP's byte-level pair encoding, learned from the names and the backgrounds."""
    rng, others = random.Random(1), data.other_names(glyphs)[1]
    names = [name for glyph in glyphs for name in glyph.names + glyph.keywords]
    phrases = [name for name in names for _ in range(6)] + [captions.plural(name) for name in names for _ in range(3)]
    phrases += [captions.caption(scenes.scene(len(glyphs), rng), glyphs, others, rng, typing=False) for _ in range(20000)]
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(phrases, trainers.BpeTrainer(
        vocab_size=ENTRIES, end_of_word_suffix="</w>", initial_alphabet=alphabet, show_progress=False))
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    entries = alphabet + [letter + "</w>" for letter in alphabet] + [merge.replace(" ", "") for merge in merges]
    entries = list(dict.fromkeys(entries)) + [START, END]
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {entry: index for index, entry in enumerate(entries)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=1))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "add_prefix_space": False, **special, "do_lower_case": True, "errors": "replace",
        "model_max_length": POSITIONS, "tokenizer_class": "CLIPTokenizer"}, indent=1))
    return CLIPTokenizer.from_pretrained(folder)
