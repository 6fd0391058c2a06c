"""A module's parameters in, the two optimisers of all recipes out: Muon for the matrices of blocks, AdamW for the rest.

torch.optim.Muon orthogonalises in bfloat16, which takes several times longer than float32 on processors without
bfloat16 instructions; this one works in float32 and on all matrices of one shape at once.
Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024 (kellerjordan.github.io/posts/muon).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer


def orthogonalised(matrices: Tensor, *, steps: int = 4) -> Tensor:
    """Nearest semi-orthogonal matrices, about, by a quintic Newton-Schulz iteration; float32 [n, rows, columns]."""
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    x = wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    return x if matrices.shape[1] <= matrices.shape[2] else x.mT


class Muon(Optimizer):
    """Momentum whose update is orthogonalised, for matrices and, as [outputs, rest], convolutions."""

    def __init__(
        self, params: Iterable[Tensor], *, lr: float, weight_decay: float = 0.02, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for parameters in by_shape.values():
                self._update(parameters, group)

    def _update(self, parameters: list[Tensor], group: dict[str, float]) -> None:
        directions = []
        for parameter in parameters:
            assert parameter.grad is not None  # noqa: S101
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            state["momentum_buffer"].lerp_(parameter.grad, 1 - group["momentum"])
            directions.append(parameter.grad.lerp(state["momentum_buffer"], group["momentum"]).flatten(1))
        rows, columns = directions[0].shape
        rate = group["lr"] * max(1.0, rows / columns) ** 0.5
        for parameter, update in zip(parameters, orthogonalised(torch.stack(directions)), strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update.view_as(parameter), alpha=-rate)


def muon_and_adamw(module: nn.Module, *, blocks: Sequence[str], muon_rate: float, adamw_rate: float) -> list[Optimizer]:
    """Muon on the matrices whose name contains one of `blocks`, AdamW on every other trainable parameter."""
    matrices, rest = [], []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            in_block = parameter.ndim >= 2 and any(block in name for block in blocks)
            (matrices if in_block else rest).append(parameter)
    return [Muon(matrices, lr=muon_rate), AdamW(rest, lr=adamw_rate, weight_decay=0.01, betas=(0.9, 0.98))]


def warm_hold_decay(iterations: int, *, warm: int = 50, decay: float = 0.35) -> Callable[[int], float]:
    """Rate factor: linear rise over `warm` updates, 1, then linear fall to 0.02 over the last share `decay`."""

    def rate(iteration: int) -> float:
        left = (iterations - iteration) / max(iterations * decay, 1)
        return min((iteration + 1) / warm, 1.0, max(left, 0.02))

    return rate
