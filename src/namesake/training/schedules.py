"""Learning-rate schedules: the factor on the learning rate at each iteration, counted from 0."""

from collections.abc import Callable
from math import cos, pi
from typing import Any

from torch.optim import Optimizer

MIN_LR = 1e-6
"""Lowest learning rate of the published code of NamedMask and ZUTIS."""


def poly(iterations: int, *, power: float = 0.9) -> Callable[[int], float]:
    """The factor (1 - iteration / iterations) ** power.

    DeepLab, https://arxiv.org/abs/1606.00915, section 4.1.1.
    """
    return lambda iteration: float(max(1 - iteration / iterations, 0.0) ** power)


def sawtooth(iterations: int, *, per_epoch: int, power: float = 0.9) -> Callable[[int], float]:
    """Learning-rate factor of SelfMask's released code: `poly` whose clock runs twice as fast and restarts.

    The clock goes on by two a step and is set back each time it has counted one epoch, so the factor falls only to
    (1 - per_epoch / iterations) ** power, twice an epoch.
    """
    falling = poly(iterations, power=power)
    return lambda iteration: falling(2 * iteration % per_epoch)


def cosine(iterations: int) -> Callable[[int], float]:
    """The factor that falls from 1 to 0 along half a cosine.

    SGDR, https://arxiv.org/abs/1608.03983, Eq. 5, without restarts.
    """
    return lambda iteration: (1 + cos(pi * iteration / iterations)) / 2


def hold_min_lr(optimizer: Optimizer, floor: float = MIN_LR) -> None:
    """Keep every learning rate of an optimiser at `floor` or above, whatever factor `fit` puts on it."""

    def hold(stepped: Optimizer, *_: Any) -> None:  # noqa: ANN401
        for group in stepped.param_groups:
            group["lr"] = max(group["lr"], floor)

    optimizer.register_step_pre_hook(hold)
