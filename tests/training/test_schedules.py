"""Learning rates over a training, against the published ones and against torch's own schedules."""

from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.training.schedules import cosine, hold_min_lr, poly, sawtooth


def test_poly_is_the_published_schedule(shared: Path) -> None:
    golden = np.load(shared / "reference/golden/misc.npz")["poly_lr_5e-5_20000_at_0_1_1000_10000_19000_19900_20000"]
    rate = poly(20_000)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=5e-5)
    hold_min_lr(optimiser, 1e-6)
    ours = []
    for iteration in (0, 1, 1000, 10_000, 19_000, 19_900, 20_000):
        optimiser.param_groups[0]["lr"] = 5e-5 * rate(iteration)
        optimiser.step()
        ours.append(optimiser.param_groups[0]["lr"])
    assert np.allclose(ours, golden, rtol=1e-12, atol=0)


def test_poly__beyond_the_end() -> None:
    assert poly(10)(12) == 0


def test_sawtooth_swings_twice_an_epoch_and_never_decays() -> None:
    rate = sawtooth(1200, per_epoch=100)
    factors = [rate(iteration) for iteration in range(1200)]
    assert max(factors) == 1
    assert min(factors) == pytest.approx((1 - 98 / 1200) ** 0.9)
    assert factors[:50] == factors[50:100] == factors[-50:]


def test_cosine_is_that_of_torch() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=10)
    for iteration in range(10):
        assert cosine(10)(iteration) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        annealing.step()
