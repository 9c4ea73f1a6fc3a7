"""Exports a Stable Diffusion 3 folder in diffusers' layout to OpenVINO GenAI's layout, with 8-bit weights.

    python export_genai_sd3.py FOLDER OUT [--weights int8|f16] [--zeros]

It does without optimum-intel, whose releases need an older transformers: the same files and tensor names, and what
`optimum-cli export openvino --weight-format int8` does to the matrices, which is NNCF's INT8_ASYM (a scale and a zero point for
each row). The transformer and the text encoders are compressed; the decoder keeps 16-bit floats. Weights stay in
bfloat16 until they are compressed, so that it takes about twice the checkpoint's memory.

Without T5, GenAI gives the transformer 77 tokens of zeros; diffusers and StreamFlow give it 256. With --zeros, a
text_encoder_3 is written that gives 256 tokens of zeros, and the pipeline does the same work as they do.

Needs torch, diffusers, transformers, openvino, openvino_tokenizers and nncf.
"""

import argparse
import gc
import json
import pathlib
import shutil
import time

import nncf
import openvino as ov
import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel
from openvino import opset13 as op
from openvino.frontend.pytorch import patch_model
from openvino_tokenizers import convert_tokenizer
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

MAKE_TRACEABLE = getattr(patch_model, "__make_16bit_traceable")


class Transformer(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, hidden_states, timestep, encoder_hidden_states, pooled_projections):
        return self.model(
            hidden_states=hidden_states, timestep=timestep, encoder_hidden_states=encoder_hidden_states,
            pooled_projections=pooled_projections, return_dict=False)[0]


class Text(torch.nn.Module):
    """The order of the outputs is the one that GenAI counts on: it takes the hidden states by their index."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        output = self.model(input_ids, output_hidden_states=True)
        return output.text_embeds, output.last_hidden_state, *output.hidden_states


class Decoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, latent_sample):
        return self.model.decode(latent_sample, return_dict=False)[0]


def save(module, example, shapes, inputs, outputs, folder, config, weights):
    """Traces a module, compresses its matrices if weights is int8, and writes it with its configuration."""
    begin = time.perf_counter()
    MAKE_TRACEABLE(module.eval())
    model = ov.convert_model(module, example_input=example, input=shapes)
    for ports, names in [(model.inputs, inputs), (model.outputs, outputs)]:
        assert len(ports) == len(names), (len(ports), len(names))
        for port, name in zip(ports, names):
            port.get_tensor().set_names({name})
    model.validate_nodes_and_infer_types()
    if weights == "int8":
        model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, folder / "openvino_model.xml", compress_to_fp16=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    size = (folder / "openvino_model.bin").stat().st_size / 1e9
    print(f"{folder.name}: {size:.2f} GB, {time.perf_counter() - begin:.0f} s", flush=True)


def configuration(folder):
    return json.loads((folder / "config.json").read_text())


def transformer(source, out, weights):
    model = SD3Transformer2DModel.from_pretrained(source / "transformer", torch_dtype=torch.bfloat16)
    width, pooled, channels = (
        model.config.joint_attention_dim, model.config.pooled_projection_dim, model.config.in_channels)
    save(
        Transformer(model),
        (torch.randn(2, channels, 16, 16), torch.tensor([500.0]), torch.randn(2, 154, width), torch.randn(2, pooled)),
        [[-1, channels, -1, -1], [-1], [-1, -1, width], [-1, pooled]],
        ["hidden_states", "timestep", "encoder_hidden_states", "pooled_projections"], ["out_hidden_states"],
        out / "transformer", configuration(source / "transformer"), weights)


def text_encoder(source, out, name, weights):
    model = CLIPTextModelWithProjection.from_pretrained(source / name, torch_dtype=torch.bfloat16)
    layers = model.config.num_hidden_layers
    save(
        Text(model), (torch.ones(1, 77, dtype=torch.long),), [[-1, 77]], ["input_ids"],
        ["text_embeds", "last_hidden_state", *(f"hidden_states.{index}" for index in range(layers + 1))],
        out / name, configuration(source / name), weights)


def decoder(source, out):
    model = AutoencoderKL.from_pretrained(source / "vae", torch_dtype=torch.bfloat16)
    channels = model.config.latent_channels
    save(
        Decoder(model), (torch.randn(1, channels, 8, 8),), [[-1, channels, -1, -1]], ["latent_sample"], ["sample"],
        out / "vae_decoder", configuration(source / "vae"), "f16")


def zeros(out, width):
    """A text_encoder_3 that answers zeros for every token."""
    tokens = op.parameter([-1, -1], ov.Type.i64, name="input_ids")
    shape = op.concat([op.shape_of(tokens), op.constant([width], ov.Type.i64)], 0)
    output = op.broadcast(op.constant(0.0, ov.Type.f32), shape)
    tokens.output(0).get_tensor().set_names({"input_ids"})
    output.output(0).get_tensor().set_names({"last_hidden_state"})
    (out / "text_encoder_3").mkdir(parents=True, exist_ok=True)
    ov.save_model(ov.Model([output], [tokens], "zeros"), out / "text_encoder_3/openvino_model.xml")
    (out / "text_encoder_3/config.json").write_text("{}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--weights", choices=["int8", "f16"], default="int8")
    arguments.add_argument("--zeros", action="store_true", help="write a text_encoder_3 that answers 256 tokens of zeros")
    options = arguments.parse_args()
    torch.set_grad_enabled(False)
    source, out = options.folder, options.out
    for name in ["text_encoder", "text_encoder_2"]:
        text_encoder(source, out, name, options.weights)
    decoder(source, out)
    gc.collect()
    transformer(source, out, options.weights)
    index = json.loads((source / "model_index.json").read_text())
    tokenizers = ["tokenizer", "tokenizer_2"]
    if options.zeros:
        zeros(out, configuration(source / "transformer")["joint_attention_dim"])
        tokenizers.append("tokenizer_3")
        index["text_encoder_3"] = ["transformers", "T5EncoderModel"]
        index["tokenizer_3"] = ["transformers", "T5TokenizerFast"]
    for name in tokenizers:
        tokenizer = CLIPTokenizer.from_pretrained(source / "tokenizer", model_max_length=77)
        (out / name).mkdir(parents=True, exist_ok=True)
        ov.save_model(convert_tokenizer(tokenizer, with_detokenizer=False), out / name / "openvino_tokenizer.xml")
    shutil.copytree(source / "scheduler", out / "scheduler", dirs_exist_ok=True)
    (out / "model_index.json").write_text(json.dumps(index, indent=2))


main()
