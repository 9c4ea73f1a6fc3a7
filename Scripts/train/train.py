"""Trains the starter: text encoder and velocity network together, on latents of a fixed autoencoder.

    python Scripts/train/train.py --minutes 60 --resume FOLDER                      after draft.py, or on where it stopped
    python Scripts/train/train.py --minutes 60 --resume FOLDER --start CHECKPOINT   from a checkpoint's weights
    python Scripts/train/train.py --export FOLDER/export --resume FOLDER            writes the checkpoint alone

Everything is in the folder: state.pt (weights, averaged weights, optimizers, random states; replaced at once), log.txt,
samples/, and export/, the newest good checkpoint with its measures. It may be stopped at any moment.
"""

import argparse
import json
import os
import random
import signal
import time
from pathlib import Path

# Two workers that wait for each other by sleeping bear a busy machine better than two that spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

import evaluate
import glyphs as data
import look
from card import card
from model import Starter, exchange, export, put
from muon import Muon

SHEET = [
    "fox on a blue background", "a slice of pizza on red", "penguin on a yellow background", "rocket",
    "octopus on purple", "strawberry on a green background", "unicorn on pink", "cat face on black", "sushi",
    "grinning face on a blue background", "bear on orange", "a zorp on a red background",
]


def parse():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--minutes", type=float, default=0)
    arguments.add_argument("--resume", type=Path, required=True, help="the folder of the run")
    arguments.add_argument("--start", help="a checkpoint whose weights to begin with; else start/ in the folder")
    arguments.add_argument("--export", type=Path, help="where to write the checkpoint; else export/ in the folder")
    arguments.add_argument("--optimizer", choices=["adamw", "muon"], default="adamw")
    arguments.add_argument("--rate", type=float, default=5e-4)
    arguments.add_argument("--text-share", type=float, default=0.3, help="of the rate, for the text encoder")
    arguments.add_argument("--batch", type=int, default=24)
    arguments.add_argument("--cooldown", type=float, default=0.35, help="last share of the minutes, falling rate")
    arguments.add_argument("--empty", type=float, default=0.05, help="share of empty captions")
    arguments.add_argument("--unknown", type=float, default=0.04, help="share of plain images")
    arguments.add_argument("--look-minutes", type=float, default=5, help="of the run in which heads are trained where to look")
    arguments.add_argument("--look", type=float, default=0.1, help="weight of the attention loss")
    arguments.add_argument("--pairs", type=Path, help="pairs from reflow.py to train on besides")
    arguments.add_argument("--pair-share", type=float, default=0.5)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=2)
    return arguments.parse_args()


class Run:
    def __init__(self, options):
        self.options, self.folder = options, options.resume
        (self.folder / "samples").mkdir(parents=True, exist_ok=True)
        random.seed(options.seed), np.random.seed(options.seed), torch.manual_seed(options.seed)
        self.glyphs = data.load()
        self.unknown = data.other_names(self.glyphs)[1]
        source = self.folder / "start"
        if not source.exists():
            if not options.start:
                raise SystemExit(f"{source} is not there: run draft.py first, or name a checkpoint by --start")
            export(Starter.load(options.start), source, "The weights that the training began with.\n")
        self.starter = Starter.load(source)
        self.starter.unet.to(memory_format=torch.channels_last)
        self.parameters = [*self.starter.unet.parameters(), *self.starter.text.parameters()]
        self.looking = look.watch(self.starter.unet)
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.optimizers = self.make_optimizers()
        self.latents = self.load_latents()
        self.pairs = [(glyph, color) for glyph in range(len(self.glyphs)) for color in range(len(data.COLORS))
                      if not data.is_held_out(glyph, color)]
        self.colors = [[color for color in range(len(data.COLORS)) if not data.is_held_out(glyph, color)]
                       for glyph in range(len(self.glyphs))]
        self.difficulty = torch.ones(len(self.glyphs))
        self.straight = torch.load(options.pairs) if options.pairs else None
        self.step, self.seconds, self.best = 0, 0.0, -1.0
        draft = self.folder / "draft.pt"
        self.draft_seconds = torch.load(draft, weights_only=False)["seconds"] if draft.exists() else 0.0
        if (self.folder / "state.pt").exists():
            self.restore()

    def make_optimizers(self):
        """Muon for the matrices inside, AdamW for the rest, or AdamW for all; the text encoder at a share of the rate."""
        groups = {"adamw": [], "muon": []}
        for part, share in ((self.starter.unet, 1.0), (self.starter.text, self.options.text_share)):
            kinds = {"adamw": [], "muon": []}
            for name, parameter in part.named_parameters():
                inside = parameter.ndim >= 2 and "embedding.weight" not in name and not name.startswith(("conv_in", "conv_out"))
                kinds[self.options.optimizer if inside else "adamw"].append(parameter)
            for kind, parameters in kinds.items():
                if parameters and share:
                    groups[kind].append({"params": parameters, "share": share})
        made = [torch.optim.AdamW(groups["adamw"], lr=self.options.rate, betas=(0.9, 0.98), weight_decay=0.0)]
        return made + ([Muon(groups["muon"], lr=self.options.rate)] if groups["muon"] else [])

    def load_latents(self):
        path = self.folder / "latents.pt"
        if not path.exists():
            shown = data.pictures(self.glyphs, 64)
            torch.save(torch.stack([self.starter.encode_pictures(row) for row in shown]), path)
        return torch.load(path)

    # State

    def save(self):
        state = {
            "step": self.step, "seconds": self.seconds, "best": self.best,
            "parameters": [p.detach() for p in self.parameters],
            "average": self.average, "optimizers": [o.state_dict() for o in self.optimizers],
            "kind": self.options.optimizer, "difficulty": self.difficulty, "torch": torch.get_rng_state(),
            "python": random.getstate(), "numpy": np.random.get_state()}
        torch.save(state, self.folder / "state.new")
        os.replace(self.folder / "state.new", self.folder / "state.pt")

    def restore(self):
        state = torch.load(self.folder / "state.pt", weights_only=False)
        self.step, self.seconds, self.difficulty = state["step"], state["seconds"], state["difficulty"]
        put(self.parameters, state["parameters"])
        self.average, self.best = state["average"], state.get("best", -1.0)
        if state["kind"] == self.options.optimizer:
            for optimizer, saved in zip(self.optimizers, state["optimizers"]):
                optimizer.load_state_dict(saved)
        torch.set_rng_state(state["torch"]), random.setstate(state["python"]), np.random.set_state(state["numpy"])

    def log(self, text):
        line = f"{time.strftime('%H:%M:%S')} {text}"
        print(line, flush=True)
        with open(self.folder / "log.txt", "a") as file:
            file.write(line + "\n")

    # Training

    def sigmas(self, count):
        """Four in ten at pure noise, where the caption tells all; the others lean to it."""
        leaning = 1 - 0.98 * torch.rand(count) ** 1.5
        return torch.where(torch.rand(count) < 0.4, torch.ones(count), leaning)

    def batch(self):
        """Latents of data, noise, captions, and the glyph of each (-1: none)."""
        count = self.options.batch
        weights = 0.5 * self.difficulty / self.difficulty.sum() + 0.5 / len(self.glyphs)
        shown, captions = torch.multinomial(weights, count, replacement=True).tolist(), []
        latents, noise = torch.empty(count, *self.starter.shape), torch.randn(count, *self.starter.shape)
        for row, glyph in enumerate(shown):
            color = random.choice(self.colors[glyph])
            kind = random.random()
            if kind < self.options.unknown:
                color = random.randrange(len(data.COLORS))
                latents[row], shown[row] = self.latents[-1, color], -1
                captions.append(data.unknown_caption(self.unknown, color))
            elif self.straight is not None and kind < self.options.unknown + self.options.pair_share:
                pick = random.randrange(len(self.straight["noise"]))
                latents[row], noise[row] = self.straight["latents"][pick], self.straight["noise"][pick]
                captions.append(self.straight["captions"][pick])
                shown[row] = -1
            else:
                latents[row] = self.latents[glyph, color]
                empty = random.random() < self.options.empty
                captions.append("" if empty else data.caption(self.glyphs[glyph], color))
                shown[row] = -1 if empty else glyph
        return latents, noise, captions, torch.tensor(shown)

    def update(self, factor):
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.options.rate * factor * group["share"]
        latents, noise, captions, shown = self.batch()
        sigma = self.sigmas(len(latents))
        wide = sigma[:, None, None, None]
        sample = ((1 - wide) * latents + wide * noise).contiguous(memory_format=torch.channels_last)
        velocity = self.starter.unet(sample, sigma * 1000, self.starter.encode(captions)).sample
        errors = (velocity - (noise - latents)).square().flatten(1).mean(1)
        loss = errors.mean()
        beside = torch.stack([processor.loss for processor in self.looking]).mean()
        if (shown_for := 1 - self.seconds / 60 / max(self.options.look_minutes, 1e-3)) > 0:
            loss = loss + self.options.look * min(1.0, 2 * shown_for) * beside
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        pure = (shown >= 0) & (sigma > 0.9)
        self.difficulty[shown[pure]] = 0.7 * self.difficulty[shown[pure]] + 0.3 * errors.detach()[pure]
        decay = min(0.995, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)
        return errors.mean().item(), beside.item(), errors[pure].mean().item() if pure.any() else float("nan")

    def train(self):
        begun, budget = time.time(), self.options.minutes * 60
        last = {"state": begun, "sheet": begun, "export": begun, "log": begun}
        losses, pures, first = [], [], self.step
        signal.signal(signal.SIGTERM, lambda *_: (self.save(), os._exit(0)))
        due = lambda name, seconds: time.time() - last[name] > seconds and last.update({name: time.time()}) is None
        while (elapsed := time.time() - begun) < budget:
            progress, moment = elapsed / budget, time.time()
            factor = min(1.0, (self.step - first + 1) / 50, (1 - progress) / max(self.options.cooldown, 1e-3))
            loss, beside, pure = self.update(max(factor, 0.01))
            losses.append(loss), pures.append(pure)
            self.seconds += time.time() - moment
            if due("log", 30):
                recent = losses[-100:]
                self.log(f"step {self.step} {self.seconds / 60:.1f} min loss {np.mean(recent):.4f} "
                         f"at pure noise {np.nanmean(pures[-100:]):.4f} looking {beside:.2f} rate {self.options.rate * factor:.2e}")
            if due("state", 120):
                self.save()
            if due("sheet", 300):
                self.sheet()
            if due("export", 720):
                self.export(quick=True)
        self.save()
        self.sheet()
        self.export(quick=False)

    def sheet(self):
        exchange(self.parameters, self.average)
        pictures = self.starter.decode(self.starter.latents(SHEET, evaluate.noise(self.starter, len(SHEET))))
        evaluate.write_sheet(pictures, self.folder / "samples" / f"{self.step:06}.png", columns=6)
        exchange(self.parameters, self.average)

    def export(self, quick):
        """Measures the averaged weights; writes them unless better ones were written. A quick one asks less."""
        exchange(self.parameters, self.average)
        self.starter.unet.eval(), self.starter.text.eval()
        references = data.pictures(self.glyphs, 64)
        common, results = dict(references=references), []
        quick_ones = (evaluate.retrieval(self.starter, self.glyphs, 200, steps, **common) for steps in (4, 1))
        for result in quick_ones if quick else evaluate.everything(self.starter, self.glyphs):
            results.append(result)
            self.log(json.dumps(result))
        if results[0]["top1"] >= self.best - results[0]["top1_95_error"]:
            self.best = max(self.best, results[0]["top1"])
            export(self.starter, self.options.export or self.folder / "export",
                   card(results, self.step, self.options.batch, self.seconds, self.draft_seconds, self.starter))
        else:
            self.log(f"not written: {self.best} was reached before")
        self.starter.unet.train(), self.starter.text.train()
        exchange(self.parameters, self.average)


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    run = Run(options)
    run.log(f"{vars(options)}")
    run.starter.unet.train(), run.starter.text.train()
    run.train() if options.minutes else run.export(quick=False)


if __name__ == "__main__":
    main()
