"""Where tables are measured: the embedded world of a seed, or a real benchmark beside a folder of unlabelled images."""

from pathlib import Path

from namesake.errors import DataError
from namesake.evaluation.benchmarks import BACKGROUND, open_benchmark
from namesake.images import open_images
from namesake.names import read_names
from namesake.records import Names
from namesake.reproduce.table import Place
from namesake.world import SEEN_NAMES, STUFF, UNSEEN_NAMES, write_world

UNLABELLED, SCENES, UNSEEN = 1_500, 200, 150
"""Images of the embedded world: without labels, with truth, and of names that no segmenter was trained on."""
POOL = "images"
"""Folder of unlabelled images beside the benchmarks; `unseen.txt` there lists names to be kept from every training."""


def mini_place(folder: Path, *, seed: int, device: str) -> Place:
    """The embedded world of a seed, rendered where it is missing."""
    world = folder / "world"
    write_world("unlabelled", world / "unlabelled", count=UNLABELLED, seed=seed, truth=True)
    write_world("scenes", world / "scenes", count=SCENES, seed=seed, names=SEEN_NAMES)
    write_world("scenes", world / "unseen", count=UNSEEN, seed=seed + 1_000, names=UNSEEN_NAMES)
    return Place(
        benchmark="world",
        roots={"things": world / "scenes", "unseen": world / "unseen"},
        images=open_images(world / "unlabelled" / "images"),
        truth=("world", world / "unlabelled"),
        names={
            "things": Names(SEEN_NAMES),
            "topics": Names((*SEEN_NAMES, *STUFF), background=()),
            "unseen": Names(UNSEEN_NAMES),
            "unseen topics": Names((*UNSEEN_NAMES, *STUFF), background=()),
        },
        preset="mini",
        seed=seed,
        device=device,
        runs=folder / "runs",
    )


def real_place(benchmark: str, root: Path, folder: Path, *, preset: str, seed: int, device: str) -> Place:
    """A benchmark as downloaded, and unlabelled images.

    Args:
        benchmark: Its key.
        root: Holds `images/` (unlabelled, such as ImageNet's training images), and the benchmark, itself or in a
            folder of its key. Masks are measured on the benchmark's own images. `unseen.txt`, if it is there, lists
            names of the benchmark that no system may be trained with.
        folder: Of the runs.
        preset: "paper" or "modern".
        seed: Of everything random.
        device: "auto", "cpu" or "cuda".

    Raises:
        DataError: The unlabelled images or the benchmark are missing.
    """
    if not (root / POOL).is_dir():
        raise DataError(
            f"expected unlabelled images in {root / POOL}, found no such folder. The papers use the training images of "
            "ImageNet (FMbSeg: of COCO); link them there."
        )
    home = root / benchmark if (root / benchmark).is_dir() else root
    names = tuple(name for name in open_benchmark(benchmark, home).names.values() if name != BACKGROUND)
    listed = root / "unseen.txt"
    unseen = read_names(listed).names if listed.is_file() else ()
    seen = Names(tuple(name for name in names if name not in unseen))
    return Place(
        benchmark=benchmark,
        roots={"things": home, "unseen": home},
        images=open_images(root / POOL),
        truth=(benchmark, home),
        names={
            "things": seen,
            "topics": Names(names, background=()),
            "unseen": Names(unseen),
            "unseen topics": Names(unseen, background=()),
        },
        preset=preset,
        seed=seed,
        device=device,
        runs=folder / benchmark,
    )
