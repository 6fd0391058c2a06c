"""Where tables are measured: the embedded world of a seed, or a real benchmark beside a folder of unlabelled images."""

from pathlib import Path

from namesake.errors import DataError
from namesake.evaluation.benchmarks import BACKGROUND, open_benchmark
from namesake.images import open_images
from namesake.names import read_names
from namesake.records import Names
from namesake.reproduce.table import Place, Pool
from namesake.world import SEEN_NAMES, STUFF, UNSEEN_NAMES, write_world
from namesake.world.families import FAMILIES

UNLABELLED, SCENES, UNSEEN, PAIRS = 1_500, 200, 150, 600
"""Images of the embedded world: without labels, with truth, of names that no segmenter was trained on, and of pairs."""
PARTNERS = {name: FAMILIES[name].partner for name in SEEN_NAMES if FAMILIES[name].partner in SEEN_NAMES}
PAIRED_NAMES = tuple(name for name in SEEN_NAMES if name in PARTNERS or name in PARTNERS.values())
"""Names that often lie beside another."""
POOL = "images"
"""Folder of unlabelled images beside the benchmarks; `unseen.txt` there lists names to be kept from every training."""


def mini_place(folder: Path, *, seed: int, device: str, pool: Pool = "things") -> Place:
    """The embedded world of a seed, rendered where it is missing; images of pairs where the pool is of them."""
    world = folder / "world"
    if pool == "pairs":
        unlabelled, roots = world / "pairs", {"pairs": world / "paired-scenes"}
        write_world("pairs", unlabelled, count=PAIRS, seed=seed, names=PAIRED_NAMES, truth=True)
        write_world("pairs", roots["pairs"], count=SCENES, seed=seed + 1_000, names=PAIRED_NAMES, truth=True)
    else:
        unlabelled, roots = world / "unlabelled", {"things": world / "scenes", "unseen": world / "unseen"}
        write_world("unlabelled", unlabelled, count=UNLABELLED, seed=seed, truth=True)
        write_world("scenes", roots["things"], count=SCENES, seed=seed, names=SEEN_NAMES)
        write_world("scenes", roots["unseen"], count=UNSEEN, seed=seed + 1_000, names=UNSEEN_NAMES)
    return Place(
        benchmark="world",
        roots=roots,
        images=open_images(unlabelled / "images"),
        truth=("world", unlabelled),
        names={
            "paired": Names(PAIRED_NAMES),
            "things": Names(SEEN_NAMES),
            "topics": Names((*SEEN_NAMES, *STUFF), background=()),
            "unseen": Names(UNSEEN_NAMES),
            "unseen topics": Names((*UNSEEN_NAMES, *STUFF), background=()),
        },
        preset="mini",
        seed=seed,
        device=device,
        runs=folder / ("runs-pairs" if pool == "pairs" else "runs"),
    )


def real_place(
    benchmark: str, root: Path, folder: Path, *, preset: str, seed: int, device: str, pool: Pool = "things"
) -> Place:
    """A benchmark as downloaded, and unlabelled images.

    Args:
        benchmark: Its key.
        root: Holds `images/` (unlabelled, such as ImageNet's training images), and the benchmark, itself or in a
            folder of its key. `unseen.txt`, if it is there, lists names of the benchmark that no system may be trained
            with.
        folder: Of the runs.
        preset: "paper" or "modern".
        seed: Of everything random.
        device: "auto", "cpu" or "cuda".
        pool: "own" for the benchmark's own images in place of `images/`, where masks of archives are measured.

    Raises:
        DataError: The unlabelled images or the benchmark are missing.
    """
    if pool != "own" and not (root / POOL).is_dir():
        raise DataError(
            f"expected unlabelled images in {root / POOL}, found no such folder. The papers use the training images of "
            "ImageNet (ZUTIS: and PASS; FMbSeg: of COCO); link them there."
        )
    home = root / benchmark if (root / benchmark).is_dir() else root
    opened = open_benchmark(benchmark, home)
    names = tuple(name for name in opened.names.values() if name != BACKGROUND)
    listed = root / "unseen.txt"
    unseen = read_names(listed).names if listed.is_file() else ()
    seen = Names(tuple(name for name in names if name not in unseen))
    return Place(
        benchmark=benchmark,
        roots={"things": home, "unseen": home},
        images=opened.images if pool == "own" else open_images(root / POOL),
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
        runs=folder / (f"{benchmark}-own" if pool == "own" else benchmark),
    )
