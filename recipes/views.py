"""Objects of the world in, four pictures of each very object out: what the embedded DINO's teacher is trained on.

Each picture shows the object from another side, in a scene, on a ground and under a light of its own, as frames of
videos would. A shard is `views-SEED-NNNNN.npz` with images uint8 [objects, views, 96, 96, 3] and nothing else: no name,
no mask.

    python recipes/views.py --processes 2
"""

import argparse
import multiprocessing
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from namesake.progress import note
from namesake.workspace import write_atomically
from namesake.world import NAMES, render_view
from render import SIZE, WORK

SEED, OBJECTS, VIEWS = 5, 5_500, 4
FIRST = 40_000
"""Number of the first object within its family; the world's other draws number none."""
SHARD = 125
"""Objects in a file."""


def view_path(work: Path, number: int) -> Path:
    """File of one shard."""
    return work / f"views-{SEED}-{number:05d}.npz"


@lru_cache(maxsize=128)
def read_views(work: Path, number: int) -> NDArray[np.uint8]:
    """Images [objects, views, 96, 96, 3] of a shard; waits for the renderer if it is not there yet."""
    path = view_path(work, number)
    while not path.is_file():
        time.sleep(2)
    with np.load(path) as arrays:
        images: NDArray[np.uint8] = arrays["images"]
    return images


def render_shard(work: Path, number: int) -> None:
    """Render all views of 125 objects, unless they are there."""
    path = view_path(work, number)
    if path.is_file():
        return
    images = np.stack([_object(k) for k in range(SHARD * number, SHARD * (number + 1))])
    with write_atomically(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, images=images)
    note(f"rendered {path.name}")


def _object(number: int) -> NDArray[np.uint8]:
    """All views of object `number`, uint8 [views, 96, 96, 3]; every family has as many objects."""
    name, own = NAMES[number % len(NAMES)], FIRST + number
    return np.stack([render_view(name, own, view, seed=SEED, size=SIZE).image for view in range(VIEWS)])


def main() -> None:
    """Render every shard that is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        pool.starmap(render_shard, [(options.work, number) for number in range(OBJECTS // SHARD)], chunksize=1)


if __name__ == "__main__":
    main()
