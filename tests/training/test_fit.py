"""A training that was killed and started again ends with the same weights as one that was not."""

import json
import multiprocessing
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from namesake.errors import ConfigError, WeightsError
from namesake.training.fit import FitConfig, fit, forget, parameter_groups

ITERATIONS = 60


class Sums(Dataset[dict[str, Tensor]]):
    """Four numbers and their sum, by index."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        numbers = torch.randn(4, generator=torch.Generator().manual_seed(index))
        return {"numbers": numbers, "sum": numbers.sum()[None]}


class KilledError(Exception):
    pass


def error_of_sum(module: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"loss": (module(batch["numbers"]) - batch["sum"]).square().mean()}


def train(
    out: Path,
    *,
    killed_at: int | None = None,
    iterations: int = ITERATIONS,
    width: int = 8,
    num_workers: int = 0,
    dropout: float = 0.1,
    pieces: int = 1,
):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, width), nn.Dropout(dropout), nn.Linear(width, 1))

    def after(iteration: int) -> None:
        if iteration == killed_at:
            raise KilledError

    return fit(
        module,
        Sums(),
        FitConfig(
            iterations=iterations,
            batch_size=8,
            gradient_accumulation_steps=pieces,
            checkpoint_every=20,
            num_workers=num_workers,
        ),
        loss=error_of_sum,
        optimizers=[torch.optim.Adam(module.parameters(), 1e-2)],
        out=out,
        rate=lambda iteration: 1 - iteration / iterations,
        after_step=after,
    )


def test_fit__killed_and_resumed_gives_the_same_bytes(tmp_path: Path):
    whole = train(tmp_path / "whole")
    with pytest.raises(KilledError):
        train(tmp_path / "killed", killed_at=47)
    resumed = train(tmp_path / "killed")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    assert (tmp_path / "whole/metrics.jsonl").read_text() == (tmp_path / "killed/metrics.jsonl").read_text()


def test_fit__worker_processes_change_nothing(tmp_path: Path):
    here, elsewhere = train(tmp_path / "0", num_workers=0), train(tmp_path / "2", num_workers=2)
    assert all(torch.equal(a, b) for a, b in zip(here.parameters(), elsewhere.parameters(), strict=True))


def test_fit__learns(tmp_path: Path):
    torch.manual_seed(0)
    module = nn.Linear(4, 1)
    fit(
        module,
        Sums(),
        FitConfig(iterations=300, batch_size=8, num_workers=0),
        loss=error_of_sum,
        optimizers=[torch.optim.Adam(module.parameters(), 0.05)],
        out=tmp_path,
        rate=lambda _: 1.0,
    )
    assert torch.allclose(module.weight, torch.ones(1, 4), atol=0.02)


def test_parameter_groups__every_weight_once_and_the_backbone_slower():
    backbone = nn.Linear(4, 8)
    network = nn.Sequential(backbone, nn.Linear(8, 8), nn.Linear(8, 1))
    inner, others = parameter_groups(network, backbone, learning_rate=5e-5, backbone_lr_factor=0.1)
    assert (inner["lr"], others["lr"]) == (pytest.approx(5e-6), 5e-5)
    assert [*map(id, (*inner["params"], *others["params"]))] == [*map(id, network.parameters())]


def test_fit__finished_training_is_not_repeated(tmp_path: Path):
    train(tmp_path)
    with_checkpoint = (tmp_path / "checkpoint.pt").stat().st_mtime_ns
    train(tmp_path, killed_at=0)
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns == with_checkpoint
    forget(tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_fit__checkpoint_of_another_network(tmp_path: Path):
    train(tmp_path)
    with pytest.raises(WeightsError, match="does not fit"):
        train(tmp_path, width=9)


def test_fit__truncated_checkpoint(tmp_path: Path):
    train(tmp_path)
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])
    with pytest.raises(WeightsError, match="Delete"):
        train(tmp_path)


def test_fit__loss_not_finite(tmp_path: Path):
    module = nn.Linear(4, 1)
    with pytest.raises(ConfigError, match="finite"):
        fit(
            module,
            Sums(),
            FitConfig(iterations=40, batch_size=2, num_workers=0),
            loss=lambda module, batch: {"loss": module(batch["numbers"]).mean() * float("nan")},
            optimizers=[torch.optim.SGD(module.parameters(), 0.1)],
            out=tmp_path,
            rate=lambda _: 1.0,
        )


@pytest.mark.parametrize("num_workers", [0, 2])
def test_fit__a_batch_in_parts_is_the_batch(tmp_path: Path, num_workers: int):
    whole = train(tmp_path / "whole", dropout=0.0)
    parts = train(tmp_path / "parts", dropout=0.0, pieces=4, num_workers=num_workers)
    assert_same(tmp_path / "whole", tmp_path / "parts")
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def train_shared(number: int, count: int, out: Path, port: int, changes: dict[str, Any]) -> None:
    """One of several processes that share every batch of 8; without dropout, whose noise they draw apart."""
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(count)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    with suppress(KilledError):
        train(out, dropout=0.0, **changes)
    if count > 1:
        torch.distributed.destroy_process_group()


def launch(count: int, out: Path, **changes: Any) -> None:
    """Train in several processes, until all have ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=train_shared, args=(number, count, out, port, changes)) for number in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0] * count


@pytest.mark.parametrize(("count", "pieces"), [(2, 1), (4, 1), (2, 2)])
def test_fit__processes_share_a_batch(tmp_path: Path, count: int, pieces: int):
    train(tmp_path / "one", dropout=0.0)
    launch(count, tmp_path / "several", pieces=pieces)
    assert_same(tmp_path / "one", tmp_path / "several")


@pytest.mark.parametrize(("before", "after"), [(1, 2), (4, 1), (2, 4)])
def test_fit__resumed_by_another_number_of_processes(tmp_path: Path, before: int, after: int):
    train(tmp_path / "one", dropout=0.0)
    launch(before, tmp_path / "changed", killed_at=47)
    launch(after, tmp_path / "changed")
    assert_same(tmp_path / "one", tmp_path / "changed")


def assert_same(one: Path, other: Path) -> None:
    """Losses and weights of two trainings are the same but for the order of sums."""
    curves = [losses(one), losses(other)]
    assert len(curves[0]) == len(curves[1]) == ITERATIONS // 20
    assert curves[0] == pytest.approx(curves[1], abs=1e-4)
    first, second = (torch.load(each / "checkpoint.pt", weights_only=True)["module"] for each in (one, other))
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, atol=1e-4, rtol=1e-3)


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_fit__batch_that_cannot_be_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError, match="8 cannot be shared by 1 processes in 3 parts"):
        train(tmp_path, pieces=3)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="8 cannot be shared by 3"):
        train(tmp_path)
