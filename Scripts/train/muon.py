"""Muon: momentum whose every matrix is made nearly orthogonal before it is applied.

Jordan et al., 2024; the scale by the matrix's larger side is Liu et al.'s, 2025 (arXiv:2502.16982), so that one
learning rate suits Muon and AdamW alike.
"""

import torch


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
    def __init__(self, parameters, lr=1e-3, momentum=0.95, weight_decay=0.01, steps=5):
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
                updates = orthogonal(torch.stack([update for _, update in pairs]), group["steps"])
                scale = 0.2 * max(rows, columns) ** 0.5
                for (parameter, _), update in zip(pairs, updates):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update.view_as(parameter), alpha=-group["lr"] * scale)
