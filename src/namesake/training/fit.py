"""The training loop: a module, samples by number and a loss go in, the trained module comes out; it knows no system.

Everything random in a step is a function of the seed and the step's number, so a run that was killed and started again
ends with the same weights as one that was not.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from namesake.errors import ConfigError, WeightsError
from namesake.progress import Meter
from namesake.workspace import write_atomically

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
LOG_EVERY = 20

Loss = Callable[[nn.Module, Any], Mapping[str, Tensor]]


def fit(
    module: nn.Module,
    samples: Dataset[Any],
    *,
    loss: Loss,
    optimisers: Sequence[Optimizer],
    iterations: int,
    batch_size: int,
    out: Path,
    rate: Callable[[int], float],
    seed: int = 0,
    precision: Literal["no", "bf16"] = "no",
    workers: int = 1,
    threads: int = 0,
    checkpoint_every: int = 500,
    device: str = "auto",
    collate: Callable[[list[Any]], Any] | None = None,
    after_step: Callable[[int], None] | None = None,
    what: str = "training",
) -> nn.Module:
    """Train `module` in place; resumes from `out/checkpoint.pt` when an interrupted run left one.

    Args:
        module: What is trained and checkpointed. A teacher that follows it by averaging belongs inside it.
        samples: `samples[i]` for i in 0 .. iterations * batch_size - 1 is the i-th sample and depends on i alone.
        loss: `loss(module, batch)` gives named scalars; "loss" is minimised, the others are logged.
        optimisers: All are stepped in order; each group's initial `lr` is what `rate` scales.
        iterations: Number of updates.
        batch_size: Samples an update, over all processes together.
        out: Folder of the checkpoint and of `metrics.jsonl`.
        rate: Factor on every learning rate, by iteration (0-based).
        seed: Of everything random inside the module (dropout, ...).
        precision: "bf16" runs the loss under autocast; weights stay float32.
        workers: Processes that prepare samples; 0 prepares them in this one.
        threads: Cores that share an operation on the CPU, 0 for all; a small network is faster with one.
        checkpoint_every: Updates between two checkpoints.
        device: "auto", "cpu" or "cuda"; several processes started by `accelerate launch` share the batch.
        collate: How samples become a batch; torch's default if None.
        after_step: Called with the iteration after each update (averaging a teacher).
        what: Words for the progress bar.

    Returns:
        The trained module, on the device it was trained on. The checkpoint stays until the caller, having saved its
        result, calls `forget`.

    Raises:
        ConfigError: The loss is not a finite number.
        WeightsError: The checkpoint belongs to another network.
    """
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=device == "cpu" or not torch.cuda.is_available(), split_batches=True)
    start = _resume(module, optimisers, out)
    base_rates = [
        [group.setdefault("initial_lr", group["lr"]) for group in optimiser.param_groups] for optimiser in optimisers
    ]
    trained, loader, *stepped = accelerator.prepare(
        module,
        _loader(
            samples, range(start * batch_size, iterations * batch_size), batch_size, workers=workers, collate=collate
        ),
        *optimisers,
    )
    trained.train()
    with _threads(threads), Meter(what, total=iterations, done=start) as meter, _Metrics(out, keep=start) as metrics:
        for iteration, batch in zip(range(start, iterations), loader, strict=False):
            torch.manual_seed(seed * 1_000_003 + iteration)
            for optimiser, rates in zip(optimisers, base_rates, strict=True):
                for group, base in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = base * rate(iteration)
            with torch.autocast(accelerator.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
                parts = loss(trained, batch)
            accelerator.backward(parts["loss"])
            for optimiser in stepped:
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            if after_step is not None:
                after_step(iteration)
            done = iteration + 1
            if done % LOG_EVERY == 0 or done == iterations:
                meter.detail = metrics.write(done, parts)
            if done % checkpoint_every == 0 and done < iterations and accelerator.is_main_process:
                _save(module, optimisers, done, out)
            meter.advance()
        if start < iterations and accelerator.is_main_process:
            _save(module, optimisers, iterations, out)
    return module


def hold_floor(optimiser: Optimizer, floor: float) -> None:
    """Keep every learning rate of an optimiser at `floor` or above, whatever factor `fit` puts on it."""

    def hold(stepped: Optimizer, *_: Any) -> None:  # noqa: ANN401
        for group in stepped.param_groups:
            group["lr"] = max(group["lr"], floor)

    optimiser.register_step_pre_hook(hold)


def forget(out: Path) -> None:
    """Delete the checkpoint of a training whose result is saved."""
    (out / CHECKPOINT).unlink(missing_ok=True)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _loader(
    samples: Dataset[Any], order: Sized, batch_size: int, *, workers: int, collate: Callable[..., Any] | None
) -> DataLoader[Any]:
    """Batches of the samples that `order` lists, in that order."""
    return DataLoader(
        samples,
        batch_size=batch_size,
        sampler=order,  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=collate,
        drop_last=True,
        multiprocessing_context="fork" if workers else None,
        prefetch_factor=4 if workers else None,
    )


def _save(module: nn.Module, optimisers: Sequence[Optimizer], iteration: int, out: Path) -> None:
    state = {
        "iteration": iteration,
        "module": module.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
    }
    with write_atomically(out / CHECKPOINT) as unfinished:
        torch.save(state, unfinished)


def _resume(module: nn.Module, optimisers: Sequence[Optimizer], out: Path) -> int:
    """Load the checkpoint, if there is one; returns how many updates it holds."""
    path = out / CHECKPOINT
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(state["module"])
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
    except (RuntimeError, ValueError, KeyError, EOFError) as error:
        raise WeightsError(
            f"{path} does not fit this training ({error}). Delete {out} to train from the start."
        ) from error
    return int(state["iteration"])


class _Metrics:
    """`metrics.jsonl`: one line every LOG_EVERY updates; lines after the checkpoint resumed from are dropped."""

    def __init__(self, out: Path, *, keep: int) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._path, self._keep = out / METRICS, keep

    def __enter__(self) -> "_Metrics":
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.is_file() else []
        kept = [line for line in lines if _iteration_of(line) <= self._keep]
        with write_atomically(self._path) as unfinished:
            unfinished.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, iteration: int, parts: Mapping[str, Tensor]) -> str:
        """Append one line; returns it in words for the progress bar."""
        values = {name: float(value.detach()) for name, value in parts.items()}
        if not math.isfinite(values["loss"]):
            raise ConfigError(
                f"the loss is {values['loss']} after {iteration} updates, expected a finite number. "
                "Lower the learning rate, or use precision=no."
            )
        self._file.write(
            json.dumps({"iteration": iteration} | {name: round(value, 6) for name, value in values.items()}) + "\n"
        )
        self._file.flush()
        return " ".join(f"{name} {value:.3f}" for name, value in values.items())


def _iteration_of(line: str) -> int:
    """Iteration of a line; a line cut off by a kill counts as after everything."""
    try:
        return int(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):
        return 2**62
