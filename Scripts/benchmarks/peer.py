"""A peer for `streamflow benchmark --peers "python Scripts/benchmarks/peer.py"`.

    peer.py --peer KIND --model FOLDER --width W --height H --steps N

It speaks as a worker of the benchmark does: one line of JSON when it is ready (after a warm-up), then for each
line `run N` on standard input what N images cost. KIND is one of

- diffusers-vanilla: a loop over steps, guidance 7.5 (two rows a step), the full autoencoder, one image
  after another: the paper's baseline;
- diffusers: the same without guidance and with the tiny autoencoder: equal work;
- diffusers-batch: equal work, all images of a run handed over as one batch;
- diffusers-vanilla-bf16, diffusers-bf16: the two loops in bfloat16, for CPUs that multiply it in hardware;
- genai, genai-bf16: OpenVINO GenAI's Text2ImagePipeline at equal work, of fixed shapes, in float32 or bfloat16;
- genai-default: the same as it is by default: guidance 7.5, the full autoencoder, any shape, its own precision;
- optimum: optimum-intel's OpenVINO pipeline without guidance, with the full autoencoder, since its
  exporter knows no tiny one (a Python of its own may be needed, since it wants
  older transformers: STREAMFLOW_OPTIMUM_PYTHON);
- stable-diffusion-cpp: stable-diffusion.cpp through its package on PyPI at equal work, Euler.

Needs `pip install torch diffusers transformers stable-diffusion-cpp-python`, for GenAI
`pip install openvino-genai openvino-tokenizers` and a model's own tokenizer, for optimum
`pip install "optimum-intel[openvino]" "transformers<5"`. Prompts are encoded once, before anything is timed; optimum
and GenAI encode them in every call.
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


def cached(model, kind):
    """Where what is exported from a model is kept."""
    place = hashlib.sha256(str(model).encode()).hexdigest()[:16]
    return pathlib.Path.home() / ".cache/streamflow-benchmark" / f"{kind}{place}"


def apart(work):
    """Does something in a process of its own, whose memory is not counted."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError("the export failed; STREAMFLOW_BENCHMARK_LOG=1 shows why")


def folder_of(model, tiny):
    own = pathlib.Path(model) / "vae"
    beside = pathlib.Path(model) / "vae_tiny"
    return beside if tiny and beside.exists() else own


class Diffusers:
    """A loop of a model's parts, as its pipeline has it."""

    def __init__(self, options, guidance, tiny, batched=False, precision="float32"):
        import torch
        from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTokenizer

        self.torch, self.steps, self.guidance, self.batched = torch, options.steps, guidance, batched
        self.dtype = getattr(torch, precision)
        model = pathlib.Path(options.model)
        place = folder_of(model, tiny)
        name = json.loads((place / "config.json").read_text())["_class_name"]
        kind = dict(AutoencoderKL=AutoencoderKL, AutoencoderTiny=AutoencoderTiny)[name]
        self.unet = UNet2DConditionModel.from_pretrained(model / "unet").to(self.dtype).eval()
        self.vae = kind.from_pretrained(place).to(self.dtype).eval()
        tokenizer = CLIPTokenizer.from_pretrained(model / "tokenizer")
        text = CLIPTextModel.from_pretrained(model / "text_encoder").to(self.dtype).eval()
        length = text.config.max_position_embeddings
        with torch.inference_mode():
            prompts = ["", PROMPT] if guidance != 1 else [PROMPT]
            tokens = tokenizer(
                prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
            self.condition = text(tokens.input_ids)[0]
        factor = 2 ** (len(self.vae.config.block_out_channels) - 1)
        if name == "AutoencoderTiny":
            factor = 2 ** (len(self.vae.config.decoder_block_out_channels) - 1)
        # One position of the network may be a patch of the autoencoder's latents, as the starter's is.
        self.patch = round((self.unet.config.in_channels / self.vae.config.latent_channels) ** 0.5)
        factor *= self.patch
        self.shape = (self.unet.config.in_channels, options.height // factor, options.width // factor)

    def pictures(self, count, steps=None):
        size = count if self.batched else 1
        for _ in range(count // size):
            self.picture(size, steps or self.steps)

    def picture(self, size, steps):
        torch = self.torch
        with torch.inference_mode():
            sample = torch.randn(size, *self.shape, dtype=self.dtype)
            rows = self.condition.repeat_interleave(size, 0)
            sigmas = torch.linspace(1, 0, steps + 1)
            for index in range(steps):
                timestep = (sigmas[index] * 1000).to(self.dtype)
                repeated = torch.cat([sample] * len(self.condition))
                output = self.unet(repeated, timestep, rows).sample
                if self.guidance != 1:
                    empty, prompted = output.chunk(2)
                    output = empty + self.guidance * (prompted - empty)
                sample = sample + (sigmas[index + 1] - sigmas[index]) * output
            sample = torch.nn.functional.pixel_shuffle(sample, self.patch)
            decoded = self.vae.decode(sample / self.vae.config.scaling_factor).sample
            return ((decoded / 2 + 0.5).clamp(0, 1).float() * 255).round().to(torch.uint8).numpy()


class GenAI:
    """OpenVINO GenAI's Text2ImagePipeline."""

    def __init__(self, options, tiny, guidance, precision=None):
        self.options, self.guidance = options, guidance
        model = pathlib.Path(options.model).resolve()
        kept = cached(model, "genai-tiny-" if tiny else "genai-")
        if not (kept / "model_index.json").exists():
            apart(lambda: self.export(model, kept, folder_of(model, tiny)))
        import openvino_genai

        self.pipeline = openvino_genai.Text2ImagePipeline(str(kept))
        if precision:  # else as it is by default
            self.pipeline.reshape(1, options.height, options.width, guidance)
        self.pipeline.compile("CPU", **({"INFERENCE_PRECISION_HINT": precision} if precision else {}))

    @staticmethod
    def export(model, kept, autoencoder):
        """Its layout, with weights in 16 bits, as `optimum-cli export openvino` writes it."""
        import openvino
        import torch
        from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
        from openvino_tokenizers import convert_tokenizer
        from transformers import CLIPTextModel, CLIPTokenizer

        class Call(torch.nn.Module):
            def __init__(self, part, call):
                super().__init__()
                self.part, self.call = part, call

            def forward(self, *inputs):
                return self.call(self.part, *inputs)

        def write(part, call, example, shapes, inputs, outputs):
            made = openvino.convert_model(
                Call(part.eval(), call), example_input=tuple(example), input=[openvino.PartialShape(one) for one in shapes])
            for ports, names in ((made.inputs, inputs), (made.outputs, outputs)):
                for port, name in zip(ports, names):
                    port.set_names({name})
            made.validate_nodes_and_infer_types()
            return made

        def save(name, made, config):
            (kept / name).mkdir(parents=True, exist_ok=True)
            openvino.save_model(made, kept / name / "openvino_model.xml", compress_to_fp16=True)
            (kept / name / "config.json").write_text(json.dumps(config))

        def config(folder):
            return json.loads((folder / "config.json").read_text())

        with torch.no_grad():
            unet = UNet2DConditionModel.from_pretrained(model / "unet").float()
            width = unet.config.cross_attention_dim
            save("unet", write(
                unet, lambda part, *inputs: part(*inputs, return_dict=False)[0],
                (torch.randn(2, 4, 8, 8), torch.tensor([5]), torch.randn(2, 77, width)),
                ([-1, 4, -1, -1], [-1], [-1, -1, width]), ["sample", "timestep", "encoder_hidden_states"], ["out_sample"]),
                config(model / "unet"))
            values = config(autoencoder)
            kind = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}[values["_class_name"]]
            values = {"scaling_factor": 1.0, "block_out_channels": [64] * 4, **values}
            save("vae_decoder", write(
                kind.from_pretrained(autoencoder).float(), lambda part, latent: part.decode(latent, return_dict=False)[0],
                (torch.randn(1, 4, 8, 8),), ([-1, 4, -1, -1],), ["latent_sample"], ["sample"]), values)
            save("text_encoder", write(
                CLIPTextModel.from_pretrained(model / "text_encoder").float(),
                lambda part, ids: (lambda made: (made.last_hidden_state, made.pooler_output))(part(ids)),
                (torch.ones(1, 77, dtype=torch.long),), ([-1, 77],), ["input_ids"], ["last_hidden_state", "pooler_output"]),
                config(model / "text_encoder"))
        tokenizer = CLIPTokenizer.from_pretrained(model / "tokenizer", model_max_length=77)
        (kept / "tokenizer").mkdir(exist_ok=True)
        openvino.save_model(convert_tokenizer(tokenizer, with_detokenizer=False), kept / "tokenizer/openvino_tokenizer.xml")
        (kept / "scheduler").mkdir(exist_ok=True)
        (kept / "scheduler/scheduler_config.json").write_text(json.dumps({
            "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
            "clip_sample": False, "num_train_timesteps": 1000, "prediction_type": "epsilon", "set_alpha_to_one": False,
            "steps_offset": 1}))
        parts = {"scheduler": "DDIMScheduler", "text_encoder": "CLIPTextModel", "tokenizer": "CLIPTokenizer",
                 "unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}
        (kept / "model_index.json").write_text(json.dumps({
            "_class_name": "StableDiffusionPipeline",
            **{name: ["transformers" if "CLIP" in kind else "diffusers", kind] for name, kind in parts.items()}}))

    def pictures(self, count, steps=None):
        for seed in range(count):
            self.pipeline.generate(
                PROMPT, width=self.options.width, height=self.options.height, guidance_scale=self.guidance,
                num_inference_steps=steps or self.options.steps, num_images_per_prompt=1, rng_seed=seed)


class Optimum:
    """optimum-intel's pipeline for OpenVINO, of fixed shapes, in float32."""

    def __init__(self, options):
        from diffusers import (
            AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel)
        from optimum.intel import OVStableDiffusionPipeline
        from transformers import CLIPTextModel, CLIPTokenizer

        self.options = options
        model = pathlib.Path(options.model).resolve()
        kept = cached(model, "")
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
        "diffusers-vanilla-bf16": lambda: Diffusers(options, 7.5, False, precision="bfloat16"),
        "diffusers-bf16": lambda: Diffusers(options, 1, True, precision="bfloat16"),
        "genai": lambda: GenAI(options, True, 1.0, "f32"),
        "genai-bf16": lambda: GenAI(options, True, 1.0, "bf16"),
        "genai-default": lambda: GenAI(options, False, 7.5),
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
