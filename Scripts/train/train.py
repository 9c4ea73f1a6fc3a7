"""Trains the starter's velocity network, and at last the text encoder with it, on the scenes of dataset.py.

    python Scripts/train/train.py --minutes 60 --resume FOLDER                      after draft.py, or on where it stopped
    python Scripts/train/train.py --minutes 60 --resume FOLDER --start CHECKPOINT   from a checkpoint's weights
    python Scripts/train/train.py --export FOLDER/export --resume FOLDER            writes the checkpoint alone

Everything is in the folder: state.pt (weights, averaged weights, optimizers, random states; replaced at once), log.txt,
samples/, and export/, the newest checkpoint with its measures. It may be stopped at any moment.
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

import captions
import dataset
import evaluate
import glyphs as data
import look
import parallel
import scenes
from card import card
from model import Starter, exchange, export, patches, put
from muon import Muon, set_rate

SHEET = [
    "a fox on a blue background", "a fox on a blue background", "a slice of pizza on red", "a small penguin on grass",
    "a rocket at night", "an octopus in the sea", "a strawberry on green dots", "a unicorn", "a unicorn",
    "three strawberries on a white background", "a fox left of a pizza", "a cat face and a rocket on yellow",
    "a crown above a frog", "pixel art rocket on purple", "outline of a snail on white", "an upside down panda on pink",
    "a tiny bee in the top left corner", "a huge grinning face in the sky", "a stawberry on a yellow background",
    "a zorp on a red background",
]


def parse():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--minutes", type=float, default=0)
    arguments.add_argument("--resume", type=Path, required=True, help="the folder of the run")
    arguments.add_argument("--start", help="a checkpoint whose weights to begin with; else start/ in the folder")
    arguments.add_argument("--export", type=Path, help="where to write the checkpoint; else export/ in the folder")
    arguments.add_argument("--optimizer", choices=["adamw", "muon"], default="muon")
    arguments.add_argument("--rate", type=float, default=6e-4)
    arguments.add_argument("--text-share", type=float, default=0.3, help="of the rate, for the text encoder")
    arguments.add_argument("--text-from", type=float, default=0.5, help="share of the minutes after which it learns too")
    arguments.add_argument("--batch", type=int, default=24)
    arguments.add_argument("--cooldown", type=float, default=0.4, help="last share of the minutes, falling rate")
    arguments.add_argument("--empty", type=float, default=0.04, help="share of empty captions")
    arguments.add_argument("--loose", type=float, default=0.12, help="share whose noise is not the image's own, at low noise")
    arguments.add_argument("--look-minutes", type=float, default=120, help="of all stretches in which heads are shown where to look")
    arguments.add_argument("--look", type=float, default=1.0, help="weight of the attention loss")
    arguments.add_argument("--sketch", type=float, default=2.0, help="weight of the text encoder's sketch, while it learns too")
    arguments.add_argument("--bf16", action="store_true", help="on CPUs with AMX, where it is faster")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--workers", type=int, default=2)
    return arguments.parse_args()


class Run:
    def __init__(self, options, team):
        self.options, self.team, self.folder, self.progress = options, team, options.resume, 0.0
        (self.folder / "samples").mkdir(parents=True, exist_ok=True)
        random.seed(options.seed), np.random.seed(options.seed), torch.manual_seed(options.seed)
        self.glyphs = data.load()
        self.unknown = data.other_names(self.glyphs)[1]
        source = self.folder / "start"
        self.starter = Starter.load(source)
        self.starter.unet.to(memory_format=torch.channels_last)
        self.parameters = [*self.starter.unet.parameters(), *self.starter.text.parameters(), *self.starter.head.parameters()]
        if options.bf16:
            self.starter.attend_plainly()
        self.watch = look.Watch(self.starter.unet)
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.optimizers = self.make_optimizers()
        made = dataset.load(self.folder)
        self.scenes, self.z, self.latents, self.seen = made["scenes"], made["z"], made["latents"], made["seen"]
        self.plain = made["plain"]
        self.step, self.seconds, self.text_learns = 0, 0.0, False
        self.draft_seconds = 0.0
        if (source / "training.json").exists():  # of the stretches before
            known = json.loads((source / "training.json").read_text())
            self.step, self.seconds, self.draft_seconds = known["step"], known["seconds"], known["draft_seconds"]
        if (self.folder / "state.pt").exists():
            self.restore()
        seed = options.seed + 1000 * team.rank + self.step
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)

    def make_optimizers(self):
        """Muon for the matrices inside, AdamW for the rest, or AdamW for all; the text encoder at a share of the rate."""
        groups = {"adamw": [], "muon": []}
        share = self.options.text_share
        for part, share in ((self.starter.unet, 1.0), (self.starter.text, share), (self.starter.head, share)):
            kinds = {"adamw": [], "muon": []}
            for name, parameter in part.named_parameters():
                inside = parameter.ndim >= 2 and "embedding.weight" not in name and not name.startswith(("conv_in", "conv_out"))
                kinds[self.options.optimizer if inside else "adamw"].append(parameter)
            for kind, parameters in kinds.items():
                if parameters:
                    groups[kind].append({"params": parameters, "share": share})
        made = [torch.optim.AdamW(groups["adamw"], lr=self.options.rate, betas=(0.9, 0.98), weight_decay=0.0)]
        return made + ([Muon(groups["muon"], lr=self.options.rate, team=self.team, bf16=self.options.bf16)] if groups["muon"] else [])

    # State

    def save(self):
        state = {
            "step": self.step, "seconds": self.seconds, "parameters": [p.detach() for p in self.parameters],
            "average": self.average, "optimizers": [o.state_dict() for o in self.optimizers],
            "kind": self.options.optimizer}
        torch.save(state, self.folder / "state.new")
        os.replace(self.folder / "state.new", self.folder / "state.pt")

    def restore(self):
        state = torch.load(self.folder / "state.pt", weights_only=False)
        self.step, self.seconds = state["step"], state["seconds"]
        put(self.parameters, state["parameters"])
        self.average = state["average"]
        if state["kind"] == self.options.optimizer:
            for optimizer, saved in zip(self.optimizers, state["optimizers"]):
                shares = [group["share"] for group in optimizer.param_groups]  # those of this stretch
                optimizer.load_state_dict(saved)
                for group, share in zip(optimizer.param_groups, shares):
                    group["share"] = share

    def log(self, text):
        line = f"{time.strftime('%H:%M:%S')} {text}"
        print(line, flush=True)
        with open(self.folder / "log.txt", "a") as file:
            file.write(line + "\n")

    # Training

    def sigmas(self, count):
        """Four in ten at pure noise, where caption and numbers tell all; the others lean to it."""
        leaning = 1 - 0.98 * torch.rand(count) ** 1.5
        return torch.where(torch.rand(count) < 0.4, torch.ones(count), leaning)

    def batch(self):
        """Rows of scenes, their latents, noise, noise levels and captions."""
        count = self.options.batch // self.team.size
        rows = torch.randint(len(self.scenes), (count,))
        latents, sigma = self.latents[rows].float(), self.sigmas(count)
        noise = torch.randn(count, *self.starter.shape)
        loose = torch.rand(count) < self.options.loose
        sigma = torch.where(loose, 0.05 + 0.6 * torch.rand(count), sigma)
        noise = torch.where(loose[:, None, None, None], noise, scenes.couple(noise, self.z[rows]))
        texts = ["" if random.random() < self.options.empty else
                 captions.caption(self.scenes[row], self.glyphs, self.unknown) for row in rows.tolist()]
        return rows, latents, noise, sigma, texts

    def update(self, factor, progress):
        set_rate(self.optimizers, self.options.rate * factor)
        rows, latents, noise, sigma, texts = self.batch()
        said = torch.tensor([bool(text) for text in texts])
        wide = sigma[:, None, None, None]
        sample = ((1 - wide) * latents + wide * noise).contiguous(memory_format=torch.channels_last)
        with torch.set_grad_enabled(self.text_learns), parallel.precision(self.options.bf16):
            condition = self.starter.encode(texts).float()
        shown_for = 1 - self.seconds / 60 / max(self.options.look_minutes, 1e-3)
        self.watch.seen = self.seen[rows].long() if shown_for > 0 else None
        with parallel.precision(self.options.bf16):
            velocity = self.starter.unet(sample, sigma * 1000, condition).sample.float()
        errors = (velocity - (noise - latents)).square().flatten(1).mean(1)
        loss, beside = errors.mean(), float("nan")
        if shown_for > 0:
            looking = self.watch.loss()
            loss, beside = loss + self.options.look * min(1.0, 2 * shown_for) * looking, looking.item()
        if self.text_learns:  # it keeps what it was taught, and learns more of it
            wanted = patches(self.plain[rows].float()).flatten(1, 2)
            sketched = (self.starter.sketch(condition) - wanted).square().mean((1, 2))
            loss = loss + self.options.sketch * (sketched * said).mean()
        self.progress = self.team.update(loss, self.parameters, self.optimizers, progress)
        self.step += 1
        pure = (sigma == 1) & said
        decay = min(0.995, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)
        return errors.mean().item(), beside, errors[pure].mean().item() if pure.any() else float("nan")

    def train(self):
        begun, budget = time.time(), self.options.minutes * 60
        last = {"state": begun, "sheet": begun, "export": begun, "log": begun}
        losses, pures, first = [], [], self.step
        if self.team.leads:
            signal.signal(signal.SIGTERM, lambda *_: (self.save(), os._exit(0)))
        due = lambda name, seconds: time.time() - last[name] > seconds and last.update({name: time.time()}) is None
        while self.progress < 1:
            moment = time.time()
            self.text_learns = self.progress >= self.options.text_from
            factor = min(1.0, (self.step - first + 1) / 50, (1 - self.progress) / max(self.options.cooldown, 1e-3))
            loss, beside, pure = self.update(max(factor, 0.01), (moment - begun) / budget)
            losses.append(loss), pures.append(pure)
            self.seconds += time.time() - moment
            if not self.team.leads:
                continue
            if due("log", 30):
                self.log(f"step {self.step} {self.seconds / 60:.1f} min loss {np.mean(losses[-100:]):.4f} "
                         f"at pure noise {np.nanmean(pures[-100:]):.4f} looking {beside:.2f} rate {self.options.rate * factor:.2e}")
            if due("state", 120):
                self.save()
            if due("sheet", 300):
                self.sheet()
            if due("export", 2400):
                self.export(quick=True)
        if not self.team.leads:
            return
        torch.set_num_threads(self.team.size)
        self.save()
        self.sheet()
        self.export(quick=False)

    def sheet(self):
        """One step above, four below."""
        exchange(self.parameters, self.average)
        self.watch.seen = None
        noise = evaluate.noise(self.starter, len(SHEET), seed=4)
        made = [self.starter.decode(self.starter.latents(SHEET, noise, steps)) for steps in (1, 4)]
        evaluate.write_sheet(np.concatenate(made), self.folder / "samples" / f"{self.step:06}.png", columns=10)
        exchange(self.parameters, self.average)

    def export(self, quick):
        """Measures and writes the averaged weights. A quick one measures less."""
        exchange(self.parameters, self.average)
        self.watch.seen = None
        self.starter.unet.eval(), self.starter.text.eval()
        judge, results = evaluate.Judge(self.starter, self.glyphs), []
        for result in judge.quick() if quick else judge.everything():
            results.append(result)
            self.log(json.dumps(result))
        folder = self.options.export or self.folder / "export"
        text = card(results, self.step, self.options.batch, self.seconds, self.draft_seconds, self.starter)
        export(self.starter, folder, text)
        (folder / "training.json").write_text(json.dumps(
            {"step": self.step, "seconds": round(self.seconds), "draft_seconds": round(self.draft_seconds)}) + "\n")
        self.starter.unet.train(), self.starter.text.train()
        exchange(self.parameters, self.average)


def work(options, team):
    run = Run(options, team)
    if team.leads:
        run.log(f"{vars(options)}")
    run.starter.unet.train(), run.starter.text.train()
    run.train() if options.minutes else run.export(quick=False)


def begin(options):
    """Puts what the run begins with into its folder, before there are several processes."""
    source = options.resume / "start"
    if source.exists():
        return
    if not options.start:
        raise SystemExit(f"{source} is missing: run draft.py first, or name a checkpoint by --start")
    export(Starter.load(options.start), source, "The weights that the training began with.\n")
    if (known := Path(options.start) / "training.json").exists():
        (source / "training.json").write_bytes(known.read_bytes())


def main():
    options = parse()
    begin(options)
    parallel.run(work, options, options.workers if options.minutes else 1)


if __name__ == "__main__":
    main()
