"""The training loop, which every training uses: minimise a loss over samples that are drawn by number.

Everything random in a step is a function of the seed and the step's number, so a run that was killed and started again
ends with the same weights as one that was not. Processes launched together share each batch and average gradients.
"""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TextIO

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from namesake.config import Rule, option
from namesake.encoders.devices import pick_device
from namesake.encoders.loading import first_line
from namesake.errors import ConfigError, WeightsError
from namesake.processes import leave, sharing
from namesake.progress import Meter
from namesake.segmenter import Segmenter, SegmenterFolder
from namesake.training.schedules import poly
from namesake.training.watching import show_losses, show_predictions
from namesake.workspace import write_atomically, write_bytes

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
LOG_EVERY = 20

Loss = Callable[[nn.Module, Any], Mapping[str, Tensor]]


@dataclass(frozen=True)
class FitConfig:
    """What every training is told; each has defaults of its own."""

    iterations: int = option(20_000, "Updates.", at_least=1)
    batch_size: int = option(8, "Samples an update.", at_least=1)
    learning_rate: float = option(1e-3, "Learning rate.", above=0)
    weight_decay: float = option(0.01, "Weight decay of AdamW.", at_least=0)
    seed: int = option(0, "Seed of the samples, of first weights and of all else that is random.", at_least=0)
    precision: Literal["no", "bf16"] = option(
        "no", "Arithmetic of the forward pass.", paper='float32 ("no")', where="code"
    )
    gradient_accumulation_steps: int = option(
        1,
        "Parts in which a batch is computed, one after another, where a whole one does not fit into memory.",
        at_least=1,
        later=True,
    )
    num_workers: int = option(4, "Processes that make samples; 0 makes them in the main one.", at_least=0)
    threads: int = option(
        0, "Cores that share an operation on the CPU, 0 for all; few suit small networks.", at_least=0
    )
    checkpoint_every: int = option(500, "Updates between two checkpoints.", at_least=1)

    def rules(self) -> tuple[Rule, ...]:
        """What options have to be together."""
        divides = self.batch_size % self.gradient_accumulation_steps == 0
        return (("gradient_accumulation_steps", divides, f"a divisor of batch_size, {self.batch_size}"),)


def fit(
    module: nn.Module,
    samples: Dataset[Any],
    config: FitConfig,
    *,
    loss: Loss,
    optimizers: Sequence[Optimizer],
    out: Path,
    rate: Callable[[int], float] | None = None,
    device: str = "auto",
    collate: Callable[[list[Any]], Any] | None = None,
    after_step: Callable[[int], None] | None = None,
    what: str = "training",
    segmenter: Callable[[], Segmenter] | None = None,
) -> nn.Module:
    """Train `module` in place; resumes from `out/checkpoint.pt` when an interrupted run left one.

    Args:
        module: Network that is trained and checkpointed. A teacher that follows it by averaging belongs inside it.
        samples: `samples[i]` for i in 0 .. iterations * batch_size - 1 is the i-th sample and depends on i alone.
        config: Updates, batch (over all processes and parts together), seed, precision and execution; its learning
            rate and weight decay are those of the optimisers already. Parts of a batch give its gradients where the
            loss is a mean over samples; batch normalisation sees each part by itself.
        loss: `loss(module, batch)` gives named scalars; "loss" is minimised, the others are logged.
        optimizers: All are stepped in order; each group's initial `lr` is what `rate` scales.
        out: Folder of the checkpoint and of `metrics.jsonl`.
        rate: Factor on every learning rate, by iteration (0-based); `poly` if None.
        device: "auto", "cpu" or "cuda". Processes started by `accelerate launch` or torchrun take equal parts of each
            batch; the mean of their losses is what one process would compute where the loss is a mean over samples.
            Normalisation layers see the whole batch on GPUs (SyncBatchNorm); on CPUs, where torch has no such layer,
            each process its own part, and the first one's running averages are kept.
        collate: Function that makes a batch of samples; torch's default if None.
        after_step: Called with the iteration after each update (averaging a teacher).
        what: Words for the progress bar.
        segmenter: Gives a segmenter that uses the module as it is; those who watch see what it predicts.

    Returns:
        The trained module, on the device it was trained on. The checkpoint stays until the caller, having saved its
        result, calls `forget`.

    Raises:
        ConfigError: The loss is not a finite number, or the batch cannot be shared evenly.
        WeightsError: The checkpoint belongs to another network.
    """
    iterations, batch_size, pieces = config.iterations, config.batch_size, config.gradient_accumulation_steps
    rate = rate or poly(iterations)
    # this process among those that share the batches, and its device
    number, count = sharing()
    _check_shares(batch_size, count, pieces)
    place = _join(device) if count > 1 else pick_device(device)
    if count > 1 and place.type == "cuda":
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
    module.to(place).train()
    # what an interrupted run left, and the rates that `rate` scales
    start = _resume(module, optimizers, out)
    base_rates = [
        [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups] for optimizer in optimizers
    ]
    # parts of this process's share of each batch, from the first one not learned from yet
    loader = DataLoader(
        samples,
        batch_size=batch_size // count // pieces,
        sampler=_part(range(start * batch_size, iterations * batch_size), batch_size, number, count),
        num_workers=config.num_workers,
        collate_fn=collate,
        multiprocessing_context="fork" if config.num_workers else None,
        prefetch_factor=4 if config.num_workers else None,
    )
    with (
        _threads(config.threads),
        Meter(what, total=iterations, done=start) as meter,
        _open_metrics(out, keep=start) as metrics,
    ):
        batches: Iterator[Any] = iter(loader) if start < iterations else iter(())
        for iteration in range(start, iterations):
            # what is random in this step depends on seed, step and process alone
            torch.manual_seed(config.seed * 1_000_003 + iteration + (number << 40))
            for optimizer, rates in zip(optimizers, base_rates, strict=True):
                for group, base in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = base * rate(iteration)
            # gradients of the whole batch: added over its parts, averaged over processes
            terms = _add_gradients(module, loss, islice(batches, pieces), config, place)
            _average([weight.grad for weight in module.parameters() if weight.grad is not None], count)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            if after_step is not None:
                after_step(iteration)
            # losses, predictions and checkpoint, each when it is due
            done = iteration + 1
            if done % LOG_EVERY == 0 or done == iterations:
                values = _log(metrics, done, terms, count)
                meter.detail = " ".join(f"{name} {value:.3f}" for name, value in values.items())
                show_losses(what, done, values)
            if segmenter is not None and number == 0:
                show_predictions(what, done, module, segmenter, last=done == iterations)
            if number == 0 and (done == iterations or done % config.checkpoint_every == 0):
                _save(module, optimizers, done, out)
            meter.advance()
    leave()
    return module


def _add_gradients(
    module: nn.Module, loss: Loss, parts: Iterable[Any], config: FitConfig, place: torch.device
) -> dict[str, Tensor]:
    """Add the gradients of the mean loss over the parts of a batch to the module's; returns the means of all terms."""
    from accelerate.utils import send_to_device

    pieces, means = config.gradient_accumulation_steps, dict[str, Tensor]()
    for part in parts:
        with torch.autocast(place.type, dtype=torch.bfloat16, enabled=config.precision == "bf16"):
            terms = loss(module, send_to_device(part, place))
        torch.autograd.backward(terms["loss"] / pieces)
        means = {name: means.get(name, 0) + value.detach() / pieces for name, value in terms.items()}
    return means


def parameter_groups(
    network: nn.Module, backbone: nn.Module, *, learning_rate: float, backbone_lr_factor: float
) -> list[dict[str, Any]]:
    """An optimiser's groups: the backbone's weights at a lower rate, then all others."""
    inside = {id(weight) for weight in backbone.parameters()}
    others = [weight for weight in network.parameters() if id(weight) not in inside]
    return [
        {"params": list(backbone.parameters()), "lr": learning_rate * backbone_lr_factor},
        {"params": others, "lr": learning_rate},
    ]


def finish(segmenter: Segmenter, out: Path, *, images: int, iterations: int) -> SegmenterFolder:
    """Save a trained segmenter and delete the checkpoint; counts are `images`, `names` and `iterations`."""
    saved = segmenter.save(out)
    forget(out)
    return replace(saved, counts={"images": images, "names": len(segmenter.names), "iterations": iterations})


def forget(out: Path) -> None:
    """Delete the checkpoint of a training whose result is saved."""
    if sharing()[0] == 0:
        (out / CHECKPOINT).unlink(missing_ok=True)


def _check_shares(batch_size: int, count: int, pieces: int) -> None:
    """Refuse a batch whose parts would differ in size."""
    if batch_size % (count * pieces):
        raise ConfigError(
            f"a batch of {batch_size} cannot be shared by {count} processes in {pieces} parts each; "
            f"take a multiple of {count * pieces}."
        )


def _join(device: str) -> torch.device:
    """Meet the other processes of the launch; the device that is this one's."""
    from accelerate import PartialState

    state = PartialState(cpu=pick_device(device).type == "cpu")
    return torch.device(state.device)


def _part(order: range, batch_size: int, number: int, count: int) -> Sequence[int]:
    """The samples of one process: its stretch of each batch."""
    if count == 1:
        return order
    share = batch_size // count
    starts = range(order.start + number * share, order.stop, batch_size)
    return [sample for start in starts for sample in range(start, start + share)]


def _average(tensors: Sequence[Tensor], count: int) -> None:
    """Replace tensors by their mean over all processes, in one message."""
    if count > 1 and tensors:
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])  # [all values]
        torch.distributed.all_reduce(flat)
        means = torch.split(flat / count, [each.numel() for each in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _save(module: nn.Module, optimizers: Sequence[Optimizer], iteration: int, out: Path) -> None:
    state = {
        "iteration": iteration,
        "module": module.state_dict(),
        "optimisers": [optimizer.state_dict() for optimizer in optimizers],
    }
    with write_atomically(out / CHECKPOINT) as unfinished, unfinished.open("wb") as file:
        torch.save(state, file)


def _resume(module: nn.Module, optimizers: Sequence[Optimizer], out: Path) -> int:
    """Load the checkpoint, if there is one; returns how many updates it holds."""
    path = out / CHECKPOINT
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(state["module"])
        for optimizer, saved in zip(optimizers, state["optimisers"], strict=True):
            optimizer.load_state_dict(saved)
        return int(state["iteration"])
    except Exception as error:  # torch raises a different one for each kind of damage
        raise WeightsError(
            f"{path} does not fit this training ({first_line(error)}). Delete {out} to train from the start."
        ) from error


def _open_metrics(out: Path, *, keep: int) -> TextIO:
    """`metrics.jsonl`: one line every LOG_EVERY updates; lines after the checkpoint resumed from are dropped."""
    path = out / METRICS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    write_bytes(path, "".join(line + "\n" for line in lines if _iteration_of(line) <= keep))
    return (path if sharing()[0] == 0 else Path(os.devnull)).open("a", encoding="utf-8")


def _log(file: TextIO, iteration: int, terms: Mapping[str, Tensor], count: int) -> dict[str, float]:
    """Append one line, means over `count` processes; returns them."""
    means = [value.float().clone() for value in terms.values()]
    _average(means, count)
    values = {name: float(mean) for name, mean in zip(terms, means, strict=True)}
    if not math.isfinite(values["loss"]):
        raise ConfigError(
            f"the loss is {values['loss']} after {iteration} updates, expected a finite number. "
            "Lower the learning rate, or use precision=no."
        )
    line = {"iteration": iteration} | {name: round(value, 6) for name, value in values.items()}
    file.write(json.dumps(line) + "\n")
    file.flush()
    return values


def _iteration_of(line: str) -> int:
    """Iteration of a line; a line cut off by a kill counts as after everything."""
    try:
        return int(json.loads(line)["iteration"])
    except (ValueError, KeyError, TypeError):
        return 2**62
