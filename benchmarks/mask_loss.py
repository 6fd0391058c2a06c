"""The matched mask loss of a training step: ours against the straightforward form over all pairs, forward and backward.

    python benchmarks/mask_loss.py

The step is ViT-B/16's: 8 images of 384 x 384, 6 decoder layers of 100 proposals on a 48 x 48 grid, up to 10 objects.
Ours runs the whole step. The straightforward form, which holds [proposals, objects, pixels], runs one layer of one
image with 10 objects; its time is scaled by the number of (layer, image, object) in the step, its memory is not scaled.
Each runs in a process of its own; times are CPU seconds, memory is the peak beyond the inputs. The floor counts what an
exact form does: two logarithms and one bilinear interpolation a proposal and pixel, three products a proposal, pixel
and object, each at the rate that this machine reaches on that operation alone.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

from claims import claim
from namesake.training.matching import mask_loss, pair_costs

GRID = 48


class Run(NamedTuple):
    """What one form took, and what it found."""

    seconds: float
    megabytes: float
    loss: float


def main() -> None:
    """Make random proposals and objects, take the loss both ways, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag, value in (("batch", 8), ("layers", 6), ("queries", 100), ("objects", 10), ("side", 384)):
        parser.add_argument(f"--{flag}", type=int, default=value)
    sizes = parser.parse_args()
    counts = [1 + (sizes.objects - 1) * image // max(sizes.batch - 1, 1) for image in range(sizes.batch)]
    step = (sizes.batch, sizes.layers, sizes.queries)
    ours = in_own_process(take_ours, step, counts, sizes.side)
    ours_one = in_own_process(take_ours, (1, 1, sizes.queries), [sizes.objects], sizes.side)
    naive_one = in_own_process(take_all_pairs, (1, 1, sizes.queries), [sizes.objects], sizes.side)
    scale = sizes.layers * sum(counts) / sizes.objects
    print(
        f"{sizes.batch} images of {sizes.side} px with {counts} objects, {sizes.layers} layers of {sizes.queries} "
        f"proposals, {torch.get_num_threads()} thread(s)\n"
    )
    print(
        "| form | measured on | CPU seconds | a step, CPU seconds | ratio | extra memory |\n|---|---|---|---|---|---|"
    )
    for name, what, run, seconds in (
        ("ours", "whole step", ours, ours.seconds),
        ("ours", "1 layer, 1 image", ours_one, ours_one.seconds * sizes.layers * sizes.batch),
        ("all pairs", "1 layer, 1 image", naive_one, naive_one.seconds * scale),
    ):
        print(
            f"| {name} | {what} | {run.seconds:.2f} | {seconds:.1f} | {seconds / ours.seconds:.1f} "
            f"| {run.megabytes:.0f} MB |"
        )
    claim(
        f"matched mask loss, {sizes.queries} proposals, {sizes.objects} objects, {sizes.side} px, forward and backward",
        f"{ours_one.seconds:.2f} CPU s a layer and image, {ours.seconds:.1f} CPU s a step, {ours.megabytes:.0f} MB",
        ratio=naive_one.seconds / ours_one.seconds,
        to="times as fast as all pairs",
        target=("at least", 20),
    )
    claim(
        f"matched mask loss, {sizes.queries} proposals, {sizes.objects} objects, {sizes.side} px: memory",
        f"{ours_one.megabytes:.0f} MB a layer and image, {ours.megabytes:.0f} MB a step",
        ratio=naive_one.megabytes / max(ours_one.megabytes, 1),
        to="times less than all pairs, a layer and image",
        target=("at least", 10),
    )
    print(
        f"difference of the losses {abs(ours_one.loss - naive_one.loss):.1e}; largest of the pair costs "
        f"{cost_difference(sizes.queries, sizes.objects, sizes.side):.1e}"
    )
    print_floor(sizes.layers * sizes.queries, counts, sizes.side, ours.seconds)


def inputs(
    step: tuple[int, int, int], counts: Sequence[int], side: int
) -> tuple[Float[Tensor, "batch layers queries grid grid"], list[Bool[Tensor, "_ side side"]]]:
    """Random probabilities (some saturated) and discs that overlap."""
    generator = torch.Generator().manual_seed(0)
    probs = torch.sigmoid(6 * torch.randn(*step, GRID, GRID, generator=generator))
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    discs = []
    for count in counts:
        centre = torch.rand(count, 2, generator=generator) * side
        radius = (0.05 + 0.2 * torch.rand(count, generator=generator)) * side
        distance = (y - centre[:, 0, None, None]) ** 2 + (x - centre[:, 1, None, None]) ** 2
        discs.append(distance < radius[:, None, None] ** 2)
    return probs, discs


def all_pairs_loss(
    mask_probs: Float[Tensor, "batch layers queries grid grid"], targets: Sequence[Bool[Tensor, "_ side side"]]
) -> Float[Tensor, ""]:
    """The straightforward form: every proposal with every object, pixel by pixel, then the matched ones are picked."""
    total = torch.zeros(())
    for layers, masks in zip(mask_probs, targets, strict=True):
        wanted = masks.float()
        for maps in layers:
            fine = functional.interpolate(maps[None], size=masks.shape[-2:], mode="bilinear", align_corners=False)[0]
            p, g = torch.broadcast_tensors(fine[:, None], wanted[None])
            dice = 1 - (2 * (p * g).sum(dim=(2, 3)) + 1) / (p.sum(dim=(2, 3)) + g.sum(dim=(2, 3)) + 1)
            costs = dice + functional.binary_cross_entropy(p, g, reduction="none").mean(dim=(2, 3))
            rows, columns = linear_sum_assignment(costs.detach().numpy())
            for row, column in zip(rows, columns, strict=True):
                total = total + costs[row, column]
    return total / len(mask_probs)


def take_ours(step: tuple[int, int, int], counts: Sequence[int], side: int) -> Run:
    """Measure ours."""
    return take(mask_loss, step, counts, side)


def take_all_pairs(step: tuple[int, int, int], counts: Sequence[int], side: int) -> Run:
    """Measure the straightforward form."""
    return take(all_pairs_loss, step, counts, side)


def take(
    loss: Callable[[Tensor, Sequence[Tensor]], Tensor], step: tuple[int, int, int], counts: Sequence[int], side: int
) -> Run:
    """Loss and gradient, after a tiny warm-up: CPU seconds and peak memory beyond the inputs."""
    small, discs = inputs((1, 1, 2), [1], 16)
    loss(small.requires_grad_(), discs).backward()
    probs, targets = inputs(step, counts, side)
    probs.requires_grad_()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Linux: the peak is counted from here
    before, start = resident("VmRSS"), time.process_time()
    value = loss(probs, targets)
    value.backward()
    return Run(time.process_time() - start, resident("VmHWM") - before, float(value.detach()))


def cost_difference(queries: int, objects: int, side: int) -> float:
    """Largest difference of the pair costs from the ones computed pixel by pixel, object by object."""
    probs, (masks,) = inputs((1, 1, queries), [objects], side)
    fine = functional.interpolate(probs[0], size=masks.shape[-2:], mode="bilinear", align_corners=False)[0]
    ours, worst = pair_costs(probs[0, 0], masks), 0.0
    for index, mask in enumerate(masks.float()):
        dice = 1 - (2 * (fine * mask).sum(dim=(1, 2)) + 1) / (fine.sum(dim=(1, 2)) + mask.sum() + 1)
        entropy = functional.binary_cross_entropy(fine, mask.expand_as(fine), reduction="none").mean(dim=(1, 2))
        worst = max(worst, float((ours[:, index] - dice - entropy).abs().max()))
    return worst


def print_floor(maps: int, counts: Sequence[int], side: int, seconds: float) -> None:
    """Operations of the step, and the seconds that they take at this machine's rates."""
    pixels = maps * len(counts) * side**2
    products = 3 * maps * sum(counts) * side**2
    p = torch.rand(4, side**2)
    g = torch.rand(side**2, 10)
    coarse = torch.rand(1, 4, GRID, GRID)
    a_log = per_item(p.log, p.numel())
    a_pixel = per_item(lambda: functional.interpolate(coarse, size=(side, side), mode="bilinear"), p.numel())
    a_product = per_item(lambda: p @ g, p.numel() * 10)
    floor = 2 * pixels * a_log + pixels * a_pixel + products * a_product
    print(
        f"floor: {pixels / 1e6:.0f} M interpolations, {2 * pixels / 1e6:.0f} M logarithms, {products / 1e9:.1f} G "
        f"multiply-adds: {floor:.1f} s; ours takes {seconds / floor:.1f} times that"
    )


def per_item(operation: Callable[[], object], items: int) -> float:
    """Least CPU seconds an item of an operation."""
    times = []
    for _ in range(10):
        start = time.process_time()
        operation()
        times.append(time.process_time() - start)
    return min(times) / items


def in_own_process(work: Callable[..., Run], *arguments: object) -> Run:
    """Run in a fresh process, so that no memory of another run is reused."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def resident(which: str) -> float:
    """Resident memory of this process in MB: now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024


if __name__ == "__main__":
    main()
