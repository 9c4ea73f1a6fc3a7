"""Times diffusers and `streamflow` on the starter model, interleaved in one run, at equal work.

    python Scripts/benchmarks/starter.py [--count 64] [--steps 4] [--rounds 5] [--precision f32|bf16] [--streamflow PATH]

Needs `pip install torch diffusers transformers`, and a release build. Prints a table: images per
second of each after warm-up, files not counted for diffusers and counted for streamflow, the
median over the rounds, and the ratio round by round. `diffusers, all at once` is what PyTorch
can do when the images are handed over as one batch; a user's loop makes them one by one.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import torch
import transformers
import diffusers
from diffusers import AutoencoderTiny, FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
STARTER = ROOT / "Sources/FlowModels/Resources/starter"
PROMPT = "a fox on a blue background"


class Peer:
    def __init__(self, steps, dtype):
        self.steps, self.dtype = steps, dtype
        self.tokenizer = CLIPTokenizer.from_pretrained(STARTER / "tokenizer")
        self.text = CLIPTextModel.from_pretrained(STARTER / "text_encoder").to(dtype).eval()
        self.unet = UNet2DConditionModel.from_pretrained(STARTER / "unet").to(dtype).eval()
        self.vae = AutoencoderTiny.from_pretrained(STARTER / "vae").to(dtype).eval()
        self.scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(STARTER / "scheduler")

    def encode(self, prompts):
        length = self.text.config.max_position_embeddings
        tokens = self.tokenizer(
            prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return self.text(tokens.input_ids)[0]

    @torch.inference_mode()
    def pictures(self, count, guidance, seed):
        prompts = ["", PROMPT] if guidance != 1 else [PROMPT]
        condition = self.encode(prompts).repeat_interleave(count, 0)
        generator = torch.Generator().manual_seed(seed)
        channels, side = self.unet.config.in_channels, self.unet.config.sample_size
        sample = torch.randn(count, channels, side, side, generator=generator).to(self.dtype)
        self.scheduler.set_timesteps(self.steps)
        for timestep in self.scheduler.timesteps:
            rows = torch.cat([sample] * len(prompts))
            velocity = self.unet(rows, timestep, condition).sample
            if guidance != 1:
                unprompted, prompted = velocity.chunk(2)
                velocity = unprompted + guidance * (prompted - unprompted)
            sample = self.scheduler.step(velocity, timestep, sample).prev_sample
        # One position of the network is a patch of the autoencoder's latents.
        patch = round((channels / self.vae.config.latent_channels) ** 0.5)
        sample = torch.nn.functional.pixel_shuffle(sample, patch)
        decoded = self.vae.decode(sample / self.vae.config.scaling_factor).sample
        return ((decoded / 2 + 0.5).clamp(0, 1).float() * 255).round().to(torch.uint8).numpy()

    def rate(self, count, guidance, together):
        start = time.perf_counter()
        for seed in range(0, count, together):
            self.pictures(together, guidance, seed)
        return count / (time.perf_counter() - start)


def streamflow_rate(binary, count, steps, guidance, precision):
    with tempfile.TemporaryDirectory() as folder:
        output = subprocess.run(
            [binary, "generate", PROMPT, "--count", str(count), "--steps", str(steps), "--seed", "0",
             "--guidance-scale", str(guidance), "--precision", precision, "--output", folder, "--json"],
            check=True, capture_output=True, text=True).stdout
    return json.loads(output)["images_per_second"]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--count", type=int, default=64)
    arguments.add_argument("--steps", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--precision", choices=["f32", "bf16"], default="f32", help="of both")
    arguments.add_argument("--streamflow", default=str(ROOT / ".build/release/streamflow"))
    options = arguments.parse_args()

    peer = Peer(options.steps, torch.bfloat16 if options.precision == "bf16" else torch.float32)
    contestants = {
        "streamflow, guidance 1": lambda: streamflow_rate(
            options.streamflow, options.count, options.steps, 1, options.precision),
        "diffusers, one by one, guidance 1": lambda: peer.rate(options.count, 1, 1),
        "diffusers, all at once, guidance 1": lambda: peer.rate(options.count, 1, options.count),
        "diffusers, one by one, guidance 7.5": lambda: peer.rate(options.count, 7.5, 1),
        "streamflow, guidance 7.5": lambda: streamflow_rate(
            options.streamflow, options.count, options.steps, 7.5, options.precision),
    }
    rates = {name: [] for name in contestants}
    for name, run in contestants.items():
        run()  # warm-up
    for _ in range(options.rounds):
        for name, run in contestants.items():
            rates[name].append(run())

    side = peer.pictures(1, 1, 0).shape[-1]
    print(f"{side} px, {options.precision}, {options.steps} steps, {options.count} images, median of {options.rounds} "
          f"interleaved rounds; torch {torch.__version__}, diffusers {diffusers.__version__}, "
          f"transformers {transformers.__version__}, {torch.get_num_threads()} threads")
    ours = rates["streamflow, guidance 1"]
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(ours, values)]
        print(f"{name:38} {statistics.median(values):7.2f} images/s "
              f"({min(values):.2f} to {max(values):.2f});  StreamFlow without guidance makes "
              f"{statistics.median(ratios):.2f} times as many")


main()
