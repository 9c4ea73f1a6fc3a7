"""A peer for `streamflow benchmark --peers "python Scripts/benchmarks/peer.py"`.

    peer.py --peer KIND --model FOLDER --width W --height H --steps N

It speaks as a worker of the benchmark does: one line of JSON when it is ready (after a warm-up), then for each
line `run N` on standard input what N images cost. KIND is one of

- diffusers-vanilla: a loop over steps, guidance 7.5 (two rows a step), the full autoencoder, one image
  after another: the paper's baseline;
- diffusers: the same without guidance and with the tiny autoencoder: equal work;
- diffusers-batch: equal work, all images of a run handed over as one batch;
- optimum: optimum-intel's OpenVINO pipeline without guidance, with the full autoencoder, since its
  exporter knows no tiny one (a Python of its own may be needed, since it wants
  older transformers: STREAMFLOW_OPTIMUM_PYTHON);
- stable-diffusion-cpp: stable-diffusion.cpp through its package on PyPI at equal work, Euler.

Needs `pip install torch diffusers transformers stable-diffusion-cpp-python`, for optimum
`pip install "optimum-intel[openvino]" "transformers<5"`. Prompts are encoded once, before anything is timed.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import resource
import sys
import tempfile
import time

PROMPT = "a castle on a hill"


def folder_of(model, tiny):
    own = pathlib.Path(model) / "vae"
    beside = pathlib.Path(model) / "vae_tiny"
    return beside if tiny and beside.exists() else own


class Diffusers:
    """A loop of a model's parts, as its pipeline has it."""

    def __init__(self, options, guidance, tiny, batched=False):
        import torch
        from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTokenizer

        self.torch, self.steps, self.guidance, self.batched = torch, options.steps, guidance, batched
        model = pathlib.Path(options.model)
        place = folder_of(model, tiny)
        name = json.loads((place / "config.json").read_text())["_class_name"]
        kind = dict(AutoencoderKL=AutoencoderKL, AutoencoderTiny=AutoencoderTiny)[name]
        self.unet = UNet2DConditionModel.from_pretrained(model / "unet").float().eval()
        self.vae = kind.from_pretrained(place).float().eval()
        tokenizer = CLIPTokenizer.from_pretrained(model / "tokenizer")
        text = CLIPTextModel.from_pretrained(model / "text_encoder").float().eval()
        length = text.config.max_position_embeddings
        with torch.inference_mode():
            prompts = ["", PROMPT] if guidance != 1 else [PROMPT]
            tokens = tokenizer(
                prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
            self.condition = text(tokens.input_ids)[0]
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        if name == "AutoencoderTiny":
            factor = 2 ** (len(self.vae.config.decoder_block_out_channels) - 1)
        self.shape = (self.unet.config.in_channels, options.height // factor, options.width // factor)

    def pictures(self, count, steps=None):
        size = count if self.batched else 1
        for _ in range(count // size):
            self.picture(size, steps or self.steps)

    def picture(self, size, steps):
        torch = self.torch
        with torch.inference_mode():
            sample = torch.randn(size, *self.shape)
            rows = self.condition.repeat_interleave(size, 0)
            sigmas = torch.linspace(1, 0, steps + 1)
            for index in range(steps):
                timestep = sigmas[index] * 1000
                repeated = torch.cat([sample] * len(self.condition))
                output = self.unet(repeated, timestep, rows).sample
                if self.guidance != 1:
                    empty, prompted = output.chunk(2)
                    output = empty + self.guidance * (prompted - empty)
                sample = sample + (sigmas[index + 1] - sigmas[index]) * output
            decoded = self.vae.decode(sample / self.vae.config.scaling_factor).sample
            return ((decoded / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).numpy()


class Optimum:
    """optimum-intel's pipeline for OpenVINO, of fixed shapes, in float32."""

    def __init__(self, options):
        from diffusers import (
            AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel)
        from optimum.intel import OVStableDiffusionPipeline
        from transformers import CLIPTextModel, CLIPTokenizer

        self.options = options
        model = pathlib.Path(options.model).resolve()
        kept = pathlib.Path.home() / ".cache/streamflow-benchmark" / hashlib.sha256(str(model).encode()).hexdigest()[:16]
        if not (kept / "model_index.json").exists():
            # Its exporter knows no tiny autoencoder.
            pipeline = StableDiffusionPipeline(
                vae=AutoencoderKL.from_pretrained(model / "vae"),
                text_encoder=CLIPTextModel.from_pretrained(model / "text_encoder"),
                tokenizer=CLIPTokenizer.from_pretrained(model / "tokenizer"),
                unet=UNet2DConditionModel.from_pretrained(model / "unet"), scheduler=EulerDiscreteScheduler(),
                safety_checker=None, feature_extractor=None, requires_safety_checker=False)
            with tempfile.TemporaryDirectory() as scratch:
                pipeline.save_pretrained(scratch)
                del pipeline
                OVStableDiffusionPipeline.from_pretrained(
                    scratch, export=True, compile=False, load_in_8bit=False).save_pretrained(kept)
        self.pipeline = OVStableDiffusionPipeline.from_pretrained(
            kept, compile=False, ov_config={"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"})
        # A fixed batch would be that of guidance, twice as many rows.
        self.pipeline.reshape(
            batch_size=-1, height=options.height, width=options.width, num_images_per_prompt=1)
        self.pipeline.compile()
        self.pipeline.set_progress_bar_config(disable=True)

    def pictures(self, count, steps=None):
        for _ in range(count):
            self.pipeline(
                PROMPT, guidance_scale=1.0, num_inference_steps=steps or self.options.steps,
                height=self.options.height, width=self.options.width)


class StableDiffusionCpp:
    """stable-diffusion.cpp on the folder's own weights, all cores."""

    def __init__(self, options):
        from stable_diffusion_cpp import StableDiffusion

        self.options = options
        model = pathlib.Path(options.model)
        tiny = folder_of(model, True) / "diffusion_pytorch_model.safetensors"
        with tempfile.TemporaryDirectory() as scratch:
            file = self.single_file(model, scratch)
            self.model = StableDiffusion(
                model_path=file, taesd_path=str(tiny), n_threads=os.cpu_count(), wtype="default",
                vae_decode_only=True, verbose="STREAMFLOW_BENCHMARK_LOG" in os.environ)

    @staticmethod
    def single_file(model, scratch):
        """The folder's weights in one file under the original names, by which it knows a model."""
        from safetensors.torch import load_file, save_file

        sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fixtures"))
        import ldm

        unet = json.loads((model / "unet/config.json").read_text())
        vae = json.loads((model / "vae/config.json").read_text())
        attending = ["Attn" in name for name in unet["up_block_types"]]
        weights = "diffusion_pytorch_model.safetensors"
        tensors = {f"model.diffusion_model.{ldm.unet(name, unet['layers_per_block'], attending)}": tensor
                   for name, tensor in load_file(model / "unet" / weights).items()}
        for name, tensor in load_file(model / "vae" / weights).items():
            name = ldm.vae(name, len(vae["block_out_channels"]))
            if "attn_1" in name and tensor.ndim == 2:
                tensor = tensor[:, :, None, None]
            tensors[f"first_stage_model.{name}"] = tensor
        for name, tensor in load_file(model / "text_encoder/model.safetensors").items():
            name = name.removeprefix("text_model.")
            tensors[f"cond_stage_model.transformer.text_model.{name}"] = tensor
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, f"{scratch}/model.safetensors")
        return f"{scratch}/model.safetensors"

    def pictures(self, count, steps=None):
        for seed in range(count):
            self.model.generate_image(
                PROMPT, width=self.options.width, height=self.options.height, cfg_scale=1.0,
                sample_method="euler", sample_steps=steps or self.options.steps, seed=seed)


def make(options):
    return {
        "diffusers-vanilla": lambda: Diffusers(options, 7.5, False),
        "diffusers": lambda: Diffusers(options, 1, True),
        "diffusers-batch": lambda: Diffusers(options, 1, True, batched=True),
        "optimum": lambda: Optimum(options),
        "stable-diffusion-cpp": lambda: StableDiffusionCpp(options),
    }[options.peer]()


def say(answer, **values):
    print(json.dumps(values), file=answer, flush=True)


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--peer", required=True)
    arguments.add_argument("--model", required=True)
    for name in ["width", "height", "steps"]:
        arguments.add_argument(f"--{name}", type=int, required=True)
    options = arguments.parse_args()
    other = os.environ.get("STREAMFLOW_OPTIMUM_PYTHON")
    if options.peer == "optimum" and other and os.path.realpath(sys.prefix) != os.path.realpath(
            pathlib.Path(other).parent.parent):
        os.execv(other, [other, *sys.argv])
    # What libraries print must not stand between the answers.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    start = time.perf_counter()
    try:
        peer = make(options)
        peer.pictures(1, steps=1)
    except Exception as error:  # whatever a library throws, the benchmark continues without this peer
        say(answer, error=f"{type(error).__name__}: {error}"[:300])
        raise SystemExit(1) from error
    say(answer, ready=time.perf_counter() - start)
    for line in sys.stdin:
        if not line.startswith("run "):
            break
        count, begin, used = int(line[4:]), time.perf_counter(), cpu()
        peer.pictures(count)
        say(answer, pictures=count, seconds=time.perf_counter() - begin, cpuSeconds=cpu() - used,
            peakBytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


with contextlib.suppress(KeyboardInterrupt):
    main()
