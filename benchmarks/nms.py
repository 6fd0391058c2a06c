"""Mask suppression: 100 masks of one label at 480 x 640, ours against a loop over pairs and one naive product.

    python benchmarks/nms.py

Two sets of ellipses: 5 around each of 20 places (most are duplicates), and small ones that hardly overlap, so that all
masks are kept and none saves a comparison. All forms must keep the same masks. Times are the least CPU seconds of some
runs. The floor is to read every mask once: the time that packing them into bits takes.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from claims import claim
from namesake.masks.nms import suppress

Masks = Bool[ndarray, "n height width"]
Form = Callable[[Masks, Float[ndarray, " n"], float], list[int]]


def main() -> None:
    """Draw masks, suppress them in three ways, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag, value in (("masks", 100), ("height", 480), ("width", 640), ("repeats", 5)):
        parser.add_argument(f"--{flag}", type=int, default=value)
    options = parser.parse_args()
    shape = (options.masks, options.height, options.width)
    print(f"{options.masks} masks of one label at {options.height} x {options.width}\n")
    print("| masks | kept | ours | one product | ratio | loop over pairs | ratio | floor |")
    print("|---|---|---|---|---|---|---|---|")
    for name, masks in (("duplicates", duplicates(*shape)), ("all kept", scattered(*shape))):
        scores = np.random.default_rng(1).uniform(0.3, 1.0, len(masks))
        ours, kept = fastest(by_bits, masks, scores, options.repeats)
        product, kept_by_product = fastest(by_product, masks, scores, options.repeats)
        pairs, kept_by_pairs = fastest(by_pairs, masks, scores, 1)
        if not kept == kept_by_product == kept_by_pairs:
            raise SystemExit("the forms disagree")
        claim(
            f"{options.masks} masks suppressed, {options.height} x {options.width}, {name}",
            f"{1e3 * ours:.0f} CPU ms; one product of all masks {1e3 * product:.0f} ms",
            ratio=pairs / ours,
            to="times as fast as a loop over pairs",
            target=("at least", 10),
            floor=f"{1e3 * floor(masks):.1f} ms",
        )
        print(
            f"| {name} | {len(kept)} | {1e3 * ours:.1f} ms | {1e3 * product:.0f} ms | {product / ours:.1f} "
            f"| {pairs:.2f} s | {pairs / ours:.0f} | {1e3 * floor(masks):.1f} ms |"
        )


def duplicates(count: int, height: int, width: int) -> Masks:
    """Five ellipses around each of count / 5 places."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.uniform((60, 60), (height - 60, width - 60), (-(-count // 5), 2)), 5, axis=0)[:count]
    return ellipses(centres + rng.normal(0, 6, (count, 2)), rng.uniform(30, 90, (count, 2)), height, width)


def scattered(count: int, height: int, width: int) -> Masks:
    """Small ellipses, one a cell of a grid."""
    side = int(np.ceil(count**0.5))
    rows, columns = np.divmod(np.arange(count), side)
    centres = np.stack([(rows + 0.5) * height / side, (columns + 0.5) * width / side], axis=1)
    return ellipses(centres, np.tile((0.6 * height / side, 0.6 * width / side), (count, 1)), height, width)


def ellipses(centres: Float[ndarray, "n 2"], radii: Float[ndarray, "n 2"], height: int, width: int) -> Masks:
    """Filled ellipses."""
    y, x = np.ogrid[:height, :width]
    shapes = zip(centres, radii, strict=True)
    return np.stack([((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1 for (cy, cx), (ry, rx) in shapes])


def by_bits(masks: Masks, scores: Float[ndarray, " n"], overlap: float) -> list[int]:
    """Ours."""
    return [int(one) for one in suppress(masks, scores, np.ones(len(masks), dtype=np.int64), overlap=overlap)]


def by_product(masks: Masks, scores: Float[ndarray, " n"], overlap: float) -> list[int]:
    """All intersections from one product of float32 matrices."""
    flat = masks.reshape(len(masks), -1).astype(np.float32)
    common = (flat @ flat.T).astype(np.float64)
    area = common.diagonal()
    return greedy(common / (area[:, None] + area - common + 1e-7), scores, overlap)


def by_pairs(masks: Masks, scores: Float[ndarray, " n"], overlap: float) -> list[int]:
    """Intersection and union of every pair, pixel by pixel, in a Python loop: the published code's form."""
    iou = np.zeros((len(masks), len(masks)))
    for i in range(len(masks)):
        for j in range(i + 1, len(masks)):
            iou[i, j] = iou[j, i] = (masks[i] & masks[j]).sum() / ((masks[i] | masks[j]).sum() + 1e-7)
    return greedy(iou, scores, overlap)


def greedy(iou: Float[ndarray, "n n"], scores: Float[ndarray, " n"], overlap: float) -> list[int]:
    """Keep the surest, drop those that it overlaps, and so on."""
    order: Int[ndarray, " rest"] = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        kept.append(int(order[0]))
        order = order[1:][iou[order[0], order[1:]] <= overlap]
    return kept


def fastest(form: Form, masks: Masks, scores: Float[ndarray, " n"], repeats: int) -> tuple[float, list[int]]:
    """Least CPU seconds, and what is kept."""
    times, kept = [], []
    for _ in range(repeats):
        start = time.process_time()
        kept = form(masks, scores, 0.3)
        times.append(time.process_time() - start)
    return min(times), kept


def floor(masks: Masks) -> float:
    """CPU seconds to read every mask once, as bits."""
    flat = masks.reshape(len(masks), -1)
    return min(timed(lambda: np.packbits(flat, axis=1)) for _ in range(10))


def timed(operation: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    operation()
    return time.process_time() - start


if __name__ == "__main__":
    main()
