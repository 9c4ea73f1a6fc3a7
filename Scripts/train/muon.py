"""Muon: momentum whose every matrix is made nearly orthogonal before it is applied.

Jordan et al., 2024; the scale by the matrix's larger side is Liu et al.'s, 2025 (arXiv:2502.16982), so that one
learning rate suits Muon and AdamW alike.
"""

import torch
import torch.distributed as distributed


def orthogonal(matrices, steps):
    """Newton-Schulz iterations towards the nearest orthogonal matrices, of a stack of them."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    def __init__(self, parameters, lr=1e-3, momentum=0.95, weight_decay=0.01, steps=5, team=None, bf16=False):
        self.team = team  # whose processes share the work
        self.dtype = torch.bfloat16 if bf16 else torch.float32  # of the iterations
        super().__init__(parameters, dict(lr=lr, momentum=momentum, weight_decay=weight_decay, steps=steps))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(state["momentum"], group["momentum"]).flatten(1)
                by_shape.setdefault(tuple(update.shape), []).append((parameter, update))
            for (rows, columns), pairs in by_shape.items():
                updates = self.shared(torch.stack([update for _, update in pairs]).to(self.dtype), group["steps"]).float()
                scale = 0.2 * max(rows, columns) ** 0.5
                for (parameter, _), update in zip(pairs, updates):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update.view_as(parameter), alpha=-group["lr"] * scale)

    def shared(self, updates, steps):
        """Each process makes some of the matrices orthogonal; a single one or a small one each makes itself."""
        team = self.team
        if team is None or team.size == 1 or len(updates) < 2 or updates[0].numel() < 20000:
            return orthogonal(updates, steps)
        places = [len(updates) * rank // team.size for rank in range(team.size + 1)]
        own = slice(places[team.rank], places[team.rank + 1])
        made = torch.zeros_like(updates, dtype=torch.float32)  # what processes exchange
        made[own] = orthogonal(updates[own], steps)
        distributed.all_reduce(made)
        return made


def make_optimizers(parameters, inside, rate, team, decay=0.01, bf16=False):
    """AdamW for parameters, but Muon for those `inside`."""
    rest = [parameter for parameter in parameters if not any(parameter is other for other in inside)]
    return [torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
            Muon(inside, lr=rate, weight_decay=decay, team=team, bf16=bf16)]


def set_rate(optimizers, rate):
    """Sets the learning rate; groups with a share get that share of it."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("share", 1.0)
