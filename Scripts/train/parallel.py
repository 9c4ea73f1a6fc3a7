"""Trains with as many processes as cores, each of one thread.

Two made 250 updates of the autoencoder a minute where one with two threads made 127.
"""

import multiprocessing
import tempfile
from datetime import timedelta

import torch
import torch.distributed as distributed


def precision(bf16):
    """A context of bfloat16 arithmetic, or of the precision that everything has."""
    return torch.autocast("cpu", torch.bfloat16, enabled=bf16)


class Team:
    """The processes of a training; the first one logs, measures and saves."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size

    @property
    def leads(self):
        return self.rank == 0

    def update(self, loss, parameters, optimizers, progress):
        """One step of the optimizers with the gradients' means; gives the first process's progress."""
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        progress = self.mean(parameters, progress)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        return progress

    def mean(self, parameters, progress):
        """Replaces gradients by their means over all processes; gives the first one's progress."""
        grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.size == 1:
            return progress
        flat = torch.cat([*(grad.flatten() for grad in grads), torch.tensor([self.size * progress if self.leads else 0.0])])
        distributed.all_reduce(flat)
        flat /= self.size
        place = 0
        for grad in grads:
            grad.copy_(flat[place:place + grad.numel()].view_as(grad))
            place += grad.numel()
        return flat[-1].item()


def enter(work, options, rank, size, store):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=size, timeout=timedelta(hours=1))
    work(options, Team(rank, size))


def run(work, options, size):
    """Runs `work(options, team)` in `size` processes, the first of which is this one."""
    if size == 1:
        return work(options, Team(0, 1))
    store = tempfile.mktemp(prefix="starter-")
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=enter, args=(work, options, rank, size, store), daemon=True) for rank in range(1, size)]
    for other in others:
        other.start()
    enter(work, options, 0, size, store)
    for other in others:
        other.join()
