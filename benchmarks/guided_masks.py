"""Archive masks with and without the language-guided term, against the truth: python benchmarks/guided_masks.py.

Renders unlabelled images of names that often lie beside each other, makes archives and saliency masks with the embedded
models, and prints the IoU of the masks with the true pixels of their name, and the share of the masks that is another
named thing: on images of one named thing, and on those of several.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy import ndarray

import namesake
from namesake.evaluation.benchmarks import open_benchmark
from namesake.masks import open_masks, read_masks, rle
from namesake.systems import configure
from namesake.world import write_world

NAMES = ("book", "lamp", "mug", "chair", "house", "tree")
"""Each but the last two has its usual partner among the first four; these two have each other."""


class Fit(NamedTuple):
    """Percent: mean over names of IoU with the name's pixels, and share of the masks on other named things."""

    images: int
    iou: float
    others: float


def measure(run: Path, root: Path, folder: str) -> dict[str, Fit]:
    """How the masks in a folder of a run fit, on images of one named thing and on those of several."""
    benchmark = open_benchmark("world", root)
    ids = [{name: number for number, name in benchmark.names.items()}[name] for name in NAMES]
    sums = np.zeros((2, len(NAMES), 4), dtype=np.int64)  # both, either, mask on other things, mask
    images = [0, 0]
    for row in read_masks(open_masks(run / folder)):
        truth, mask = benchmark.truth(row.image_id), rle.decode(row.rle, row.height, row.width)
        own, things = truth == ids[row.label - 1], np.isin(truth, ids)
        several = int(len(np.unique(truth[things])) > 1)
        images[several] += 1
        sums[several, row.label - 1] += [
            np.count_nonzero(part) for part in (mask & own, mask | own, mask & things & ~own, mask)
        ]
    return {kind: _fit(images[row], sums[row]) for row, kind in enumerate(("one thing", "several things"))}


def _fit(images: int, sums: Int[ndarray, "names 4"]) -> Fit:
    present = sums[sums[:, 1] > 0]
    iou = float((present[:, 0] / present[:, 1]).mean()) if len(present) else float("nan")
    return Fit(images, round(100 * iou, 1), round(100 * float(present[:, 2].sum() / max(1, present[:, 3].sum())), 1))


def main() -> None:
    """Render, run to the masks, measure both."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--images", type=int, default=300)
    options.add_argument("--seed", type=int, default=5)
    chosen = options.parse_args()
    config = ("guide.clip=embedded:clip", "experts.iterations=0", "archives.sheet_images=0")
    configure("namedmask", preset="mini", config=config)  # wrong options are said before anything is rendered
    with tempfile.TemporaryDirectory() as home:
        root, run = Path(home) / "world", Path(home) / "run"
        write_world("unlabelled", root, count=chosen.images, seed=chosen.seed, names=NAMES, truth=True)
        namesake.run(
            "namedmask",
            names=", ".join(NAMES),
            images=root / "images",
            out=run,
            preset="mini",
            config=config,
            until="masks",
        )
        for folder in ("masks/saliency", "masks/guided"):
            print(json.dumps({"masks": folder} | {k: v._asdict() for k, v in measure(run, root, folder).items()}))


if __name__ == "__main__":
    main()
