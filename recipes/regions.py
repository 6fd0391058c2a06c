"""Captioned draws of the world rendered with their exact masks: what the embedded SAM alone is trained on.

A shard is `regions-SEED-NNNNN.npz` with images and regions uint8 [500, 96, 96]: 0 nothing, 1..99 things with a name,
100.. kinds of stuff, 200.. things without a name, in one piece each.

    python recipes/regions.py
"""

import argparse
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from namesake.progress import note
from namesake.workspace import write_atomically
from namesake.world import NAMES, Scene, draw
from render import SHARD, SIZE, TRAINING, WORK

STUFF_FROM, NAMELESS_FROM = 100, 200
SMALLEST = 30
"""Pixels of a thing without a name; smaller pieces are slivers behind other things."""
COUNT = 8_000


def region_path(work: Path, seed: int, number: int) -> Path:
    """File of one shard."""
    return work / f"regions-{seed}-{number:05d}.npz"


@lru_cache(maxsize=128)
def read_regions(work: Path, seed: int, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images [500, 96, 96, 3] and regions [500, 96, 96] of a shard; waits for the renderer if it is not there yet."""
    path = region_path(work, seed, number)
    while not path.is_file():
        time.sleep(2)
    with np.load(path) as arrays:
        return arrays["images"], arrays["regions"]


def regions_of(labels: NDArray[np.uint8], instances: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One number a region, from labels and instances [H, W] of a scene."""
    stuff = labels > len(NAMES)
    regions = np.where(stuff, labels + np.uint8(STUFF_FROM - len(NAMES) - 1), instances).astype(np.uint8)
    pieces, found = ndimage.label((labels == 0) & (instances == 0))
    sizes = np.bincount(pieces.ravel(), minlength=found + 1)
    for number, piece in enumerate(np.flatnonzero(sizes[1:] >= SMALLEST) + 1):
        regions[pieces == piece] = NAMELESS_FROM + number
    return regions


def render_regions(work: Path, seed: int, number: int) -> None:
    """Render 500 images with their regions, unless they are there."""
    path = region_path(work, seed, number)
    if path.is_file():
        return
    scenes: list[Scene] = list(draw("captioned", count=SHARD, seed=seed, size=SIZE, start=SHARD * number))
    images = np.stack([scene.image for scene in scenes])
    regions = np.stack([regions_of(scene.labels, scene.instances) for scene in scenes])
    with write_atomically(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, images=images, regions=regions)
    note(f"rendered {path.name}")


def main() -> None:
    """Render every shard that is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for number in range(COUNT // SHARD):
        render_regions(options.work, TRAINING["captioned"][0], number)


if __name__ == "__main__":
    main()
