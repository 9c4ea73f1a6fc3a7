"""Teaches a new text encoder to sketch: its states after the prompt tell the latent, patch by patch.

    python Scripts/train/draft.py RUN --start CHECKPOINT --minutes 12

The states of the last 16 positions, by one linear map, are to be the 4x4 patches of the image's latent. So the
network need not find out from its own errors what each word looks like: it reads a sketch, as unCLIP's decoder reads
its prior's image embedding (Ramesh et al., arXiv:2204.06125). It costs a prompt, not a step. RUN/start is the
checkpoint that train.py continues from; RUN/draft.pt, replaced at once every minute, is where a stopped run continues.
"""

import argparse
import os
import random
import signal
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import torch.nn.functional as functional

import glyphs as data
from model import PATCHES, WIDTH, WORDS, Starter, exchange, export, put
from muon import Muon


def patches(latents):
    """(count, channels, 16, 16) as (count, 16 patches, their values)."""
    return functional.pixel_unshuffle(latents, latents.shape[-1] // PATCHES).flatten(2).mT


class Draft:
    def __init__(self, options):
        self.options, self.folder = options, options.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        random.seed(options.seed), np.random.seed(options.seed), torch.manual_seed(options.seed)
        self.glyphs = data.load()
        self.unknown = data.other_names(self.glyphs)[1]
        self.starter = Starter.begin(self.folder / "new", self.glyphs, options.start)
        self.text = self.starter.text.train()
        values = self.starter.shape[0] * (self.starter.shape[1] // PATCHES) ** 2
        self.head = torch.nn.Linear(WIDTH, values)
        self.latents = torch.stack([self.starter.encode_pictures(row) for row in data.pictures(self.glyphs, 64)])
        self.targets = torch.stack([patches(row) for row in self.latents])
        self.pairs = [(glyph, color) for glyph in range(len(self.glyphs)) for color in range(len(data.COLORS))
                      if not data.is_held_out(glyph, color)]
        self.parameters = [*self.text.parameters(), *self.head.parameters()]
        inside = [parameter for name, parameter in self.text.named_parameters()
                  if parameter.ndim == 2 and "embedding" not in name]
        taken = {id(parameter) for parameter in inside}
        rest = [parameter for parameter in self.parameters if id(parameter) not in taken]
        self.optimizers = [torch.optim.AdamW(rest, lr=options.rate, betas=(0.9, 0.98), weight_decay=0.0),
                           Muon(inside, lr=options.rate)]
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.step, self.seconds = 0, 0.0
        if (self.folder / "draft.pt").exists():
            self.restore()

    def save(self):
        torch.save({"step": self.step, "seconds": self.seconds, "parameters": [p.detach() for p in self.parameters],
                    "average": self.average, "optimizers": [o.state_dict() for o in self.optimizers],
                    "torch": torch.get_rng_state(), "python": random.getstate()}, self.folder / "draft.new")
        os.replace(self.folder / "draft.new", self.folder / "draft.pt")

    def restore(self):
        state = torch.load(self.folder / "draft.pt", weights_only=False)
        self.step, self.seconds, self.average = state["step"], state["seconds"], state["average"]
        put(self.parameters, state["parameters"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["torch"]), random.setstate(state["python"])

    def batch(self):
        captions, targets = [], []
        for _ in range(self.options.batch):
            glyph, color = random.choice(self.pairs)
            if random.random() < self.options.unknown:
                glyph, color = len(self.glyphs), random.randrange(len(data.COLORS))
                captions.append(data.unknown_caption(self.unknown, color))
            else:
                captions.append(data.caption(self.glyphs[glyph], color))
            targets.append(self.targets[glyph, color])
        return captions, torch.stack(targets)

    def sketch(self, captions):
        return self.head(self.starter.encode(captions)[:, WORDS:])

    def update(self, factor):
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.options.rate * factor
        captions, targets = self.batch()
        loss = functional.mse_loss(self.sketch(captions), targets)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        decay = min(0.99, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)
        return loss.item()

    @torch.no_grad()
    def measure(self, unseen, count=400):
        """Share of sketches nearest to the right glyph, and their mean squared error, of pairs (not) trained on."""
        chosen = [(glyph, color) for glyph in range(len(self.glyphs)) for color in range(len(data.COLORS))
                  if data.is_held_out(glyph, color) == unseen]
        chosen = random.Random(0).sample(chosen, min(count, len(chosen)))
        made = self.sketch([f"{self.glyphs[glyph].names[0]} on a {data.COLOR_NAMES[color]} background"
                            for glyph, color in chosen])
        right, error = 0, 0.0
        for row, (glyph, color) in zip(made, chosen):
            errors = (self.targets[:-1, color] - row).square().mean((1, 2))
            right, error = right + int(errors.argmin() == glyph), error + errors[glyph].item()
        return f"{100 * right / len(chosen):.1f} % right, error {error / len(chosen):.4f}"

    @torch.no_grad()
    def show(self):
        """Half of the values that each attention to the text reads are, to begin with, the sketch itself."""
        for name, parameter in self.starter.unet.named_parameters():
            if name.endswith("attn2.to_v.weight"):
                rows = min(len(parameter) // 2, len(self.head.weight))
                parameter[:rows].copy_(self.head.weight[:rows])

    def train(self):
        begun, budget = time.time(), self.options.minutes * 60
        signal.signal(signal.SIGTERM, lambda *_: (self.save(), os._exit(0)))
        saved, losses = begun, []
        while (elapsed := time.time() - begun) < budget:
            progress, moment = elapsed / budget, time.time()
            losses.append(self.update(max(0.01, min(1.0, self.step / 50, (1 - progress) / self.options.cooldown))))
            self.seconds += time.time() - moment
            if time.time() - saved > 60:
                self.save()
                saved = time.time()
                exchange(self.parameters, self.average)
                print(f"{time.strftime('%H:%M:%S')} step {self.step} {self.seconds / 60:.1f} min loss "
                      f"{np.mean(losses[-200:]):.4f}; seen pairs {self.measure(False)}; unseen {self.measure(True)}",
                      flush=True)
                exchange(self.parameters, self.average)
        self.save()
        exchange(self.parameters, self.average)
        self.text.eval()
        self.show()
        print(f"seen pairs {self.measure(False)}; unseen {self.measure(True)}")
        export(self.starter, self.folder / "start", "The weights that the training began with.\n")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path, help="the folder of the run")
    arguments.add_argument("--start", required=True, help="a checkpoint, for its network and autoencoder")
    arguments.add_argument("--minutes", type=float, default=12)
    arguments.add_argument("--rate", type=float, default=2e-3)
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--cooldown", type=float, default=0.6, help="last share of the minutes, falling rate")
    arguments.add_argument("--unknown", type=float, default=0.06, help="share of plain images")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    Draft(options).train()


if __name__ == "__main__":
    main()
