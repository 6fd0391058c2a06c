"""Render the images that the embedded models are trained and measured on: draws of the world in, shards on disk out.

A shard is `DRAW-SEED-NNNNN.npz` with images uint8 [500, 96, 96, 3], captions and names; held-out ones also hold labels
and instances. A shard depends on its number alone, so an interrupted rendering goes on where it stopped, and a
training may start while later shards are still being rendered.

    python recipes/render.py --processes 2
"""

import argparse
import json
import multiprocessing
from pathlib import Path

import numpy as np

from namesake.progress import note
from namesake.workspace import write_atomically
from namesake.world import draw

SHARD = 500
SIZE = 96
WORK = Path(__file__).parent / "work"
TRAINING = {"captioned": (1, 30_000), "unlabelled": (2, 5_000)}
"""Seed and number of images by draw."""
HELD_OUT = {"captioned": (1001, 1_000), "unlabelled": (1002, 3_000), "scenes": (1003, 500)}


def shard_path(work: Path, kind: str, seed: int, number: int) -> Path:
    """File of one shard."""
    return work / f"{kind}-{seed}-{number:05d}.npz"


def render_shard(work: Path, kind: str, seed: int, number: int, truth: bool) -> None:
    """Render 500 images, with ground truth if `truth`, unless they are there."""
    path = shard_path(work, kind, seed, number)
    if path.is_file():
        return
    scenes = list(draw(kind, count=SHARD, seed=seed, size=SIZE, start=SHARD * number))
    arrays = {
        "images": np.stack([scene.image for scene in scenes]),
        "captions": np.array([scene.caption for scene in scenes]),
    }
    if truth:
        arrays["names"] = np.array([json.dumps(scene.instance_names) for scene in scenes])
        arrays["labels"] = np.stack([scene.labels for scene in scenes])
        arrays["instances"] = np.stack([scene.instances for scene in scenes])
    with write_atomically(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    note(f"rendered {path.name}")


def order() -> list[tuple[str, int, int, bool]]:
    """All shards: the two training draws in step with each other, then the held-out ones."""
    training = [
        (SHARD * number / count, kind, seed, number)
        for kind, (seed, count) in TRAINING.items()
        for number in range(count // SHARD)
    ]
    shards = [(kind, seed, number, False) for _, kind, seed, number in sorted(training)]
    held_out = [(kind, s, n, True) for kind, (s, count) in HELD_OUT.items() for n in range(count // SHARD)]
    first = [shard for shard in held_out if shard[2] == 0]
    return shards[:6] + first + shards[6:] + [shard for shard in held_out if shard[2] > 0]


def main() -> None:
    """Render every shard that is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        pool.starmap(render_shard, [(options.work, *shard) for shard in order()], chunksize=1)


if __name__ == "__main__":
    main()
