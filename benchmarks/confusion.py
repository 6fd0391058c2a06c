"""Speed of counting pairs of labels: `Confusion.add` against one bincount an image, and the physical floor.

    python benchmarks/confusion.py

Label maps of 1024 x 2048 pixels and 920 labels (ImageNet-S with all its names), in the smallest dtype that holds them
and in wider ones. "areas" are 60 true areas predicted as about 160, "speckled" has 2 percent of wrong single pixels,
"noise" has no area at all and is no label map. "usual" is the form of published evaluators, which first picks the
pixels that count; "bare" leaves that out and cannot ignore anything. The floor reads both maps once; beside it, what
finding the ends of the runs takes, with nothing counted yet. Times are processor time of one thread, so that other work
on the machine counts as little as possible.
"""

import platform

import numpy as np
from scipy.spatial import cKDTree

from claims import claim
from namesake.evaluation.confusion import Confusion
from timing import fastest

LABELS, HEIGHT, WIDTH, REPEATS = 920, 1024, 2048, 15


def usual(truth: np.ndarray, prediction: np.ndarray, counts: np.ndarray) -> None:
    """One bincount over the pixels whose true label counts."""
    counted = (truth >= 0) & (truth < LABELS)
    bare(truth[counted], prediction[counted], counts)


def bare(truth: np.ndarray, prediction: np.ndarray, counts: np.ndarray) -> None:
    """One bincount over all pixels."""
    counts += np.bincount(
        LABELS * truth.ravel().astype(np.int64) + prediction.ravel(), minlength=LABELS * LABELS
    ).reshape(LABELS, LABELS)


def ends_of_runs(truth: np.ndarray, prediction: np.ndarray, ends: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Where the pair of labels changes: two comparisons, their union, and the places that it holds."""
    true, predicted = truth.ravel(), prediction.ravel()
    np.not_equal(true[1:], true[:-1], out=ends)
    np.not_equal(predicted[1:], predicted[:-1], out=others)
    ends |= others
    return np.flatnonzero(ends)


def areas(rng: np.random.Generator, count: int) -> np.ndarray:
    """A label map of Voronoi cells."""
    seeds, labels = rng.random((count, 2)) * (HEIGHT, WIDTH), rng.integers(0, LABELS, count)
    pixels = np.stack(np.mgrid[:HEIGHT, :WIDTH], axis=-1).reshape(-1, 2)
    return labels[cKDTree(seeds).query(pixels)[1]].reshape(HEIGHT, WIDTH)


def main() -> None:
    """Measure and print one table."""
    rng = np.random.default_rng(0)
    truth, cells, noise = areas(rng, 60), areas(rng, 300), rng.integers(0, LABELS, (2, HEIGHT, WIDTH))
    prediction = np.where(cells % 3 == 0, cells, np.roll(truth, (3, 5), (0, 1)))
    speckled = np.where(rng.random(truth.shape) < 0.02, noise[0], prediction)
    scratch = np.empty((2, HEIGHT * WIDTH - 1), dtype=bool)
    print(f"{platform.processor() or platform.machine()}, numpy {np.__version__}, best of {REPEATS}")
    columns = "".join(
        f"{each:>12}" for each in ("usual ms", "bare ms", "ours ms", "usual/ours", "bare/ours", "floor ms")
    )
    print(f"{'maps':<10}{'dtype':<8}{columns}")
    for name, maps in {"areas": (truth, prediction), "speckled": (truth, speckled), "noise": tuple(noise)}.items():
        for dtype in (np.int16, np.int32, np.int64):
            true, predicted = (each.astype(dtype) for each in maps)
            counts, confusion = np.zeros((LABELS, LABELS), np.int64), Confusion(LABELS, ignore=-1, not_sure=-1)
            usual(true, predicted, counts)
            confusion.add(true, predicted)
            if not np.array_equal(counts, confusion.counts[:, :LABELS]):
                raise SystemExit("the two counts differ")
            works = (
                lambda t=true, p=predicted, c=counts: usual(t, p, c),
                lambda t=true, p=predicted, c=counts: bare(t, p, c),
                lambda t=true, p=predicted, c=confusion: c.add(t, p),
                lambda t=true, p=predicted: (t.max(), p.max()),
                lambda t=true, p=predicted: ends_of_runs(t, p, *scratch),
            )
            usually, barely, ours, floor, ends = (1000 * seconds for seconds in fastest(*works, repeats=REPEATS))
            figures = (usually, barely, ours, usually / ours, barely / ours, floor)
            if name != "noise":
                claim(
                    f"confusion, {LABELS} labels, {HEIGHT} x {WIDTH}, {name}, {np.dtype(dtype).name}",
                    f"{ours:.2f} CPU ms",
                    ratio=usually / ours,
                    to="times as fast as the usual form",
                    target=("at least", 5),
                    floor=f"{floor:.2f} ms to read, {ends:.2f} ms to find the runs",
                )
            print(f"{name:<10}{np.dtype(dtype).name:<8}" + "".join(f"{each:12.2f}" for each in figures))


if __name__ == "__main__":
    main()
