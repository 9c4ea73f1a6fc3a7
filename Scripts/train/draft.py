"""Teaches a text encoder to sketch: its states after the prompt tell the plain arrangements' latents, patch by patch.

    python Scripts/train/draft.py RUN --vae VAE --minutes 60 [--start CHECKPOINT]   with a new network
    python Scripts/train/draft.py RUN --start CHECKPOINT --keep --minutes 25        with the checkpoint's own
    ... --wide 2048                                                                 and a wider text encoder, which begins as the same

The states of the last 128 positions, by one linear map, are to be the 8x8 patches of the latents that the caption alone
tells, upright and leaning (dataset.py), and by another which patch each stands for (keys.py). So the network need not find out from its own errors what each word looks like: it reads a sketch,
as unCLIP's decoder reads its prior's image embedding (Ramesh et al., arXiv:2204.06125). It costs a prompt, not a step.
RUN/start is the checkpoint that train.py continues from; RUN/draft.pt, replaced at once every minute, is where a
stopped run continues.
"""

import argparse
import json
import os
import random
import signal
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import torch.nn.functional as functional

import captions
import dataset
import glyphs as data
import keys
import look
import parallel
import scenes
from model import PATCHES, VARIANTS, WIDTH, WORDS, Starter, exchange, export, patches, put
from muon import make_optimizers, set_rate


@torch.no_grad()
def widen(text, width):
    """More hidden units in each feed-forward layer; the new ones have no effect yet."""
    for layer in text.get_submodule("text_model.encoder.layers" if hasattr(text, "text_model") else "encoder.layers"):
        first, last = layer.mlp.fc1, layer.mlp.fc2
        count = width - first.out_features
        more = torch.nn.Linear(first.in_features, count)
        first.weight = torch.nn.Parameter(torch.cat([first.weight, first.weight.std() * torch.randn_like(more.weight)]))
        first.bias = torch.nn.Parameter(torch.cat([first.bias, torch.zeros(count)]))
        last.weight = torch.nn.Parameter(torch.cat([last.weight, torch.zeros(last.out_features, count)], 1))
        first.out_features = last.in_features = width
    text.config.intermediate_size = width


def telling(wanted, count):
    """Some of each latent's patches (rows, count), in ascending order: first those that differ from the first patch, the background's."""
    differs = (wanted - wanted[:, :1]).square().mean(-1) > 0.05
    return (differs + torch.rand(differs.shape)).topk(count, 1).indices.sort(1).values


class Draft:
    def __init__(self, options, team):
        self.options, self.team, self.folder = options, team, options.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        random.seed(options.seed), np.random.seed(options.seed), torch.manual_seed(options.seed)
        self.progress = 0.0
        self.glyphs = data.load()
        self.unknown = data.other_names(self.glyphs)[1]
        self.starter = Starter.load(options.start) if options.keep else Starter.begin(
            self.folder / f"new{team.rank}", self.glyphs, options.start, options.vae)
        if options.bf16:
            self.starter.attend_plainly()
        if options.wide:
            widen(self.starter.text, options.wide)
        self.text = self.starter.text.train()
        self.head = self.starter.head.requires_grad_(not options.keep)  # a network that is kept reads what it reads
        self.code, self.codes = torch.nn.Linear(WIDTH, keys.codes().shape[1]), keys.codes()
        made = dataset.load(self.folder)
        self.scenes, self.targets = made["scenes"], made["plain"]
        self.alike = {}  # rows of two things that differ in the things alone
        for row, one in enumerate(self.scenes):
            if one.relation in ("left", "above"):
                self.alike.setdefault((one.backdrop, one.color, one.relation), []).append(row)
        self.parameters = [*self.text.parameters(), *self.code.parameters()]
        self.parameters += [] if options.keep else list(self.head.parameters())
        inside = [parameter for name, parameter in self.text.named_parameters()
                  if parameter.ndim == 2 and "embedding" not in name]
        self.optimizers = make_optimizers(self.parameters, inside, options.rate, team, bf16=options.bf16)
        self.average = [parameter.detach().clone() for parameter in self.parameters]
        self.step, self.seconds = 0, 0.0
        self.tests = self.make_tests()
        random.seed(options.seed + 1000 * team.rank), torch.manual_seed(options.seed + 1000 * team.rank)
        if (self.folder / "draft.pt").exists():
            self.restore()

    @torch.no_grad()
    def make_tests(self, count=24):
        """Scenes never trained on, and their plain latents with each glyph in the place of the first."""
        rng = random.Random(0)
        maker = dataset.Maker(self.starter.vae.eval(), self.glyphs)
        tests = {"one": [], "two": []}
        for key, total in (("one", 1), ("two", 2)):
            while len(tests[key]) < count:
                made = scenes.Scene(glyphs=[rng.randrange(len(self.glyphs)) for _ in range(total)], backdrop="plain",
                                    color=rng.randrange(len(data.COLORS)), relation="left" if total == 2 else "")
                if not scenes.is_held_out(made):
                    continue
                others = rng.sample(range(len(self.glyphs)), 30)
                variants = [scenes.Scene(**{**vars(made), "glyphs": [other, *made.glyphs[1:]]})
                            for other in [made.glyphs[0], *(other for other in others if other != made.glyphs[0])]]
                latents = patches(maker.plain(variants)).flatten(1, 2)
                tests[key].append((self.plain_caption(made), latents))
        return tests

    def plain_caption(self, made):
        names = [data.article(self.glyphs[index].names[0]) for index in made.glyphs]
        return f"{' left of '.join(names)} on a {data.COLOR_NAMES[made.color]} background"

    def save(self):
        torch.save({"step": self.step, "seconds": self.seconds, "parameters": [p.detach() for p in self.parameters],
                    "average": self.average, "optimizers": [o.state_dict() for o in self.optimizers]}, self.folder / "draft.new")
        os.replace(self.folder / "draft.new", self.folder / "draft.pt")

    def restore(self):
        state = torch.load(self.folder / "draft.pt", weights_only=False)
        self.step, self.seconds, self.average = state["step"], state["seconds"], state["average"]
        put(self.parameters, state["parameters"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        seed = self.options.seed + 1000 * self.team.rank + self.step
        torch.manual_seed(seed), random.seed(seed)

    def batch(self, count):
        """Captions and the latents they tell. Halves of two scenes of two things make a third."""
        rows = torch.randint(len(self.scenes), (count,))
        chosen, targets = [self.scenes[row] for row in rows.tolist()], self.targets[rows].float()
        for index, one in enumerate(chosen):
            if one.relation not in ("left", "above") or random.random() < 0.2:
                continue
            other = random.choice(self.alike[one.backdrop, one.color, one.relation])
            mixed = scenes.Scene(**{**vars(one), "glyphs": [one.glyphs[0], self.scenes[other].glyphs[1]]})
            if scenes.is_held_out(mixed):
                continue
            half = self.targets.shape[-1] // 2
            part = (..., slice(half, None)) if one.relation == "left" else (..., slice(half, None), slice(None))
            targets[index][part] = self.targets[other].float()[part]
            chosen[index] = mixed
        return [captions.caption(one, self.glyphs, self.unknown) for one in chosen], targets

    def update(self, factor, progress):
        set_rate(self.optimizers, self.options.rate * factor)
        count, whole = self.options.batch // self.team.size, self.progress >= self.options.whole_from
        texts, targets = self.batch(max(2, count * 2 // 3) if whole else count)
        wanted = patches(targets).flatten(1, 2)
        if whole:
            with parallel.precision(self.options.bf16):
                states = self.starter.encode(texts)[:, WORDS:].float()
            codes = self.codes.expand(len(texts), -1, -1)
        else:  # some of the patches, which takes half of the time
            chosen = telling(wanted, self.options.positions)
            with parallel.precision(self.options.bf16):
                states = self.starter.partial_states(texts, chosen).float()
            wanted, codes = wanted.gather(1, chosen[..., None].expand(-1, -1, wanted.shape[-1])), self.codes[chosen]
        self.blind = functional.mse_loss(self.code(states), codes) / self.codes.var()
        loss = functional.mse_loss(self.head(states), wanted) + self.options.codes * self.blind
        self.progress = self.team.update(loss, self.parameters, self.optimizers, progress)
        self.step += 1
        decay = min(0.99, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)
        return loss.item()

    @torch.no_grad()
    def measure(self):
        """Share of sketches nearest to the right one of 31, and their mean squared error, for unseen scenes."""
        said = []
        for key, rows in self.tests.items():
            made = self.starter.sketch(self.starter.encode([text for text, _ in rows]))
            errors = [(latents - sketch).square().mean((1, 2)) for sketch, (_, latents) in zip(made, rows)]
            right = np.mean([error.argmin().item() == 0 for error in errors])
            said.append(f"{key}: {100 * right:.0f} % right, error {np.mean([error[0].item() for error in errors]):.4f}")
        return "; ".join(said)

    @torch.no_grad()
    def show(self):
        """The values that the shown heads read are, to begin with, the sketch itself."""
        for name, parameter in self.starter.unet.named_parameters():
            if name.endswith("attn2.to_v.weight"):
                parameter[:look.HEADS * len(self.head.weight)].copy_(self.head.weight.repeat(look.HEADS, 1))

    def train(self):
        begun, budget = time.time(), self.options.minutes * 60
        if self.team.leads:
            signal.signal(signal.SIGTERM, lambda *_: (self.save(), os._exit(0)))
        saved, losses = begun, []
        while self.progress < 1:
            moment, rate = time.time(), min(1.0, (self.step + 1) / 50, (1 - self.progress) / self.options.cooldown)
            losses.append(self.update(max(0.01, rate), (moment - begun) / budget))
            self.seconds += time.time() - moment
            if self.team.leads and time.time() - saved > 60:
                self.save()
                saved = time.time()
                exchange(self.parameters, self.average)
                print(f"{time.strftime('%H:%M:%S')} step {self.step} {self.seconds / 60:.1f} min loss "
                      f"{np.mean(losses[-60:]):.4f} codes {self.blind.item():.3f}; {self.measure()}", flush=True)
                exchange(self.parameters, self.average)
        if not self.team.leads:
            return
        self.save()
        exchange(self.parameters, self.average)
        self.text.eval()
        print(self.measure())
        if not self.options.keep:
            self.show()
            self.begin_keys()
        start, known = self.folder / "start", {"step": 0, "seconds": 0, "draft_seconds": 0}
        if self.options.start and (file := Path(self.options.start) / "training.json").exists():
            known.update(json.loads(file.read_text()))
        if not self.options.keep:
            known.update(step=0, seconds=0)
        export(self.starter, start, "The weights that the training began with.\n")
        known["draft_seconds"] += round(self.seconds)
        (start / "training.json").write_text(json.dumps(known) + "\n")

    def begin_keys(self):
        rows = random.choices(self.scenes, k=400)
        keys.begin(self.starter, [captions.caption(one, self.glyphs, self.unknown) for one in rows])


def work(options, team):
    Draft(options, team).train()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path, help="the folder of the run")
    arguments.add_argument("--start", help="a checkpoint whose text encoder to begin with; else a new one")
    arguments.add_argument("--vae", help="the autoencoder of the dataset")
    arguments.add_argument("--keep", action="store_true", help="continue with the checkpoint's own network and autoencoder")
    arguments.add_argument("--wide", type=int, help="the width of the text encoder's feed-forward layers, if it is to grow")
    arguments.add_argument("--positions", type=int, default=56, help="patches of both variants that are read at first")
    arguments.add_argument("--minutes", type=float, default=22)
    arguments.add_argument("--rate", type=float, default=2e-3)
    arguments.add_argument("--batch", type=int, default=64)
    arguments.add_argument("--whole-from", type=float, default=0.5, help="share of the minutes after which all patches are read together")
    arguments.add_argument("--cooldown", type=float, default=0.6, help="last share of the minutes, falling rate")
    arguments.add_argument("--codes", type=float, default=0.1, help="weight of telling which patch a state stands for")
    arguments.add_argument("--bf16", action="store_true", help="on CPUs with AMX, where it is faster")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    parallel.run(work, options, options.workers)


if __name__ == "__main__":
    main()
