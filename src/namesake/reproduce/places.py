"""Where tables are measured: the embedded world of a seed, or a real benchmark beside a folder of unlabelled images."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from namesake.errors import DataError
from namesake.evaluation.benchmarks import BACKGROUND, BENCHMARKS, open_benchmark
from namesake.evaluation.benchmarks.ids import published_names
from namesake.images import open_images
from namesake.progress import note
from namesake.records import Names
from namesake.reproduce.table import Collection, Place, Pool, Table
from namesake.world import SEEN_NAMES, STUFF, UNSEEN_NAMES, write_world
from namesake.world.families import FAMILIES

UNLABELLED, SCENES, UNSEEN, PAIRS = 1_500, 200, 150, 600
"""Images of the embedded world: without labels, with truth, of names that no segmenter was trained on, and of pairs."""
PARTNERS = {name: FAMILIES[name].partner for name in SEEN_NAMES if FAMILIES[name].partner in SEEN_NAMES}
PAIRED_NAMES = tuple(name for name in SEEN_NAMES if name in PARTNERS or name in PARTNERS.values())
"""Names that often lie beside another."""
COLLECTIONS: Mapping[Collection, str] = {
    "imagenet": "the training images of ImageNet-1K",
    "imagenet-pass": "the training images of ImageNet-1K and those of PASS",
    "laion": "images of LAION-5B, fetched by name (see docs/scale.md)",
    "coco": "the images of COCO train2017",
    "very-objects": "pictures of 29 objects, a folder for each (https://huggingface.co/datasets/yuvalalaluf/MyVLM)",
}


class Scale(NamedTuple):
    """Of what size a reproduction is.

    Attributes:
        preset: Preset of the systems' configurations; "mini" with its smaller settings.
        root: Folder of benchmarks and unlabelled images; None for the embedded world.
        device: "auto", "cpu" or "cuda".
    """

    preset: str = "mini"
    root: Path | None = None
    device: str = "auto"


MINI_SCALE = Scale()


def place_at(benchmark: str, table: Table, scale: Scale, *, folder: Path, seed: int) -> Place:
    """Where a table is measured.

    Args:
        benchmark: Key of the benchmark; of no meaning on the embedded world and for pictures of very objects.
        table: The table, which says which images are meant and which names no training may see.
        scale: Embedded world or real data.
        folder: Folder of worlds and runs.
        seed: Seed of the world and of everything random.

    Raises:
        DataError: Unlabelled images or the benchmark are missing, or the benchmark lacks a name that the table keeps
            from every training.
    """
    if scale.root is None:
        return _world(folder, seed=seed, device=scale.device, pool=table.pool)
    if table.on_very_objects:
        return _very_objects(table, scale, scale.root, folder=folder, seed=seed)
    return _real(benchmark, table, scale, scale.root, folder=folder, seed=seed)


def _world(folder: Path, *, seed: int, device: str, pool: Pool) -> Place:
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


def _real(benchmark: str, table: Table, scale: Scale, root: Path, *, folder: Path, seed: int) -> Place:
    """A benchmark as downloaded, in the root or in a folder of its key there, and the unlabelled images of a table.

    All benchmarks share the runs of one collection, and with them its index.
    """
    images = _collection(root, table.collection)
    home = root / benchmark if (root / benchmark).is_dir() else root
    opened = open_benchmark(benchmark, home)
    names = tuple(name for name in opened.names.values() if name != BACKGROUND)
    strange = [name for name in table.unseen if name not in names]
    if strange:
        raise DataError(f"this table asks for {', '.join(table.unseen)}, and {benchmark} has no {', '.join(strange)}.")
    seen, unseen = tuple(name for name in names if name not in table.unseen), table.unseen
    stuff = words_for_background(benchmark)
    return Place(
        benchmark=benchmark,
        roots={"things": home, "unseen": home},
        images=open_images(images),
        truth=None,
        names={
            "things": Names(seen),
            "topics": Names(names, synonyms=synonyms_of(benchmark) if stuff else (), background=stuff),
            "unseen": Names(unseen),
            "unseen topics": Names(unseen, background=stuff),
        },
        preset=scale.preset,
        seed=seed,
        device=scale.device,
        runs=folder / f"runs-{table.collection}",
    )


def _very_objects(table: Table, scale: Scale, root: Path, *, folder: Path, seed: int) -> Place:
    """Pictures of very objects, in a folder each (`images-very-objects/blue_mug/*.jpg`) whose name says what it is."""
    home = root / f"images-{table.collection}"
    things = sorted(path.name for path in home.iterdir() if path.is_dir()) if home.is_dir() else []
    if not things:
        raise DataError(f"expected a folder for each object in {home}, found none: {COLLECTIONS[table.collection]}.")
    names = Names(tuple(words_of(thing) for thing in things), background=())
    return Place(
        benchmark="",
        roots={"things": home},
        images=open_images(home),
        truth=None,
        names={"things": names, "topics": names},
        preset=scale.preset,
        seed=seed,
        device=scale.device,
        runs=folder / f"runs-{table.collection}",
    )


def words_of(folder: str) -> str:
    """What the folder of an object says that it is: "blue mug" of "blue_mug"."""
    return folder.replace("_", " ")


def _collection(root: Path, collection: Collection) -> Path:
    """Folder of a collection of unlabelled images: `images-COLLECTION`, such as `images-imagenet`, or `images`."""
    own, any_images = root / f"images-{collection}", root / "images"
    if own.is_dir():
        return own
    if any_images.is_dir():
        note(f"{any_images} stands for {COLLECTIONS[collection]}; {own.name} beside it would be taken first.")
        return any_images
    raise DataError(
        f"expected unlabelled images in {own} or {any_images}, found no such folder. The paper uses "
        f"{COLLECTIONS[collection]}; link them there."
    )


def names_of(benchmark: str) -> Names:
    """The names that a published benchmark scores, without opening it; background is none of them."""
    return Names(tuple(dict.fromkeys(published_names(BENCHMARKS[benchmark].ids).names.values())), background=())


def words_for_background(benchmark: str) -> tuple[str, ...]:
    """Words that stand for the background of a benchmark in tables of things and stuff; none without one.

    FMbSeg, section 4.1: for VOC with background (PV-21), the stuff names of COCO-Stuff are added and count as
    background.
    """
    if not BENCHMARKS[benchmark].background:
        return ()
    own = set(names_of(benchmark).names)
    things = set(names_of("coco2017").names)
    groups = published_names("coco-stuff-27").aliases
    stuff = [name for name in names_of("coco-stuff").names if name not in things]
    return tuple(name for name in stuff if not {name, groups[name]} & own)


def synonyms_of(benchmark: str) -> tuple[tuple[str, ...], ...]:
    """Words of COCO-Stuff for each name of a benchmark with background: those of the group of stuff that has its name.

    Water has river, sea and more; the names of VOC have none.
    """
    groups = published_names("coco-stuff-27").aliases
    own = names_of(benchmark).names
    return tuple(tuple(word for word, group in groups.items() if group == name and word != name) for name in own)
