"""What each step of a system leaves, as one picture for its page: python docs/method.py [SYSTEM ...].

Runs on 32 rendered pictures with the embedded models, shortened to seconds of training.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt

import namesake
from namesake.archives import open_archives, rows
from namesake.images import open_images, read_image
from namesake.masks import rle
from namesake.masks.region_labels import WORDS, open_region_labels
from namesake.masks.store import open_masks, read_masks
from namesake.prediction.colours import colours_of
from namesake.prediction.draw import blend
from namesake.systems import SYSTEMS
from namesake.world import write_world

OUT = Path(__file__).parent / "systems"
NAMES = ("mug", "car", "tree", "dog")
TRAINING = ("training.iterations=60", "training.batch_size=8")
SHORT: dict[str, tuple[str, ...]] = {
    "namedmask": ("archives.images_per_name=10", "experts.iterations=40", "experts.batch_size=8", *TRAINING),
    "consensus": ("archives.images_per_name=10", *TRAINING),
    "zutis": ("archives.images_per_name=10", *TRAINING),
    "fmbseg": ("alignment.iterations=40",),
}
UNTIL = {"selfmask": "masks"}
"""A saliency network takes all for an object in its first hundreds of updates: its training is left out."""
ROWS, COLUMNS = 3, 2
Panel = tuple[str, list[np.ndarray]]


def main(names: list[str]) -> None:
    """A picture a system."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        write_world("unlabelled", home / "photos", count=32, seed=3, names=NAMES)
        write_world("scenes", home / "scenes", count=8, seed=1, names=NAMES)
        for name in names or SYSTEMS:
            run = home / name
            asked = ", ".join(NAMES) if SYSTEMS[name].named else None
            options = SHORT.get(name, ())
            images = home / "photos" / "images"
            namesake.run(
                name, names=asked, images=images, out=run, preset="mini", config=options, until=UNTIL.get(name)
            )
            draw(list(panels(run, images, home / "scenes" / "images")), OUT / f"{name.replace('+', '-')}.jpg")


def panels(run: Path, photos: Path, scenes: Path) -> Iterator[Panel]:
    """What a run holds, step by step."""
    images = open_images(photos)
    shown = list(images.ids)
    yield "images, unlabelled", [read_image(images.path(each)) for each in shown[: ROWS * COLUMNS]]
    if (run / "archives" / "archives.parquet").is_file():
        table = rows(open_archives(run / "archives")).to_pylist()
        shown = [
            row["image_id"] for name in NAMES[1:] for row in table if row["name"] == name and row["rank"] <= COLUMNS
        ]
        title = "archives: " + ", ".join(f'"{name}"' for name in NAMES[1:])
        yield title, [read_image(images.path(each)) for each in shown]
    for folder in sorted({file.parent for file in run.rglob("masks-*.parquet")}, key=lambda each: each.stat().st_mtime):
        maps = label_maps(folder)
        found = [each for each in shown if each in maps] or sorted(maps)
        title = f"{folder.relative_to(run)}"
        yield title, [painted(read_image(images.path(each)), maps[each]) for each in found[: ROWS * COLUMNS]]
    if not (run / "segmenter").is_dir():
        return
    pictures = [read_image(path) for path in sorted(scenes.iterdir())[1 : 1 + ROWS * COLUMNS]]
    seen = namesake.load(run).segment_many(pictures)
    yield "what it then sees", [painted(each, found.labels) for each, found in zip(pictures, seen, strict=True)]


def label_maps(folder: Path) -> dict[str, np.ndarray]:
    """For each image, the labels of its masks; 1 where a mask has no name."""
    maps: dict[str, np.ndarray] = {}
    regions = folder.parent if (folder.parent / WORDS).is_file() else None
    owners = open_region_labels(regions).labels if regions else ()
    for mask in read_masks(open_masks(folder)):
        labels = maps.setdefault(mask.image_id, np.zeros((mask.height, mask.width), dtype=np.uint8))
        labels[rle.decode(mask.rle, mask.height, mask.width)] = owners[mask.label - 1] if owners else mask.label or 1
    return maps


def painted(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image with colours of the names over it."""
    return blend(image, labels, colours=colours_of(NAMES))


def draw(columns: list[Panel], out: Path) -> None:
    """Grids side by side, each with its title."""
    figure, grid = plt.subplots(1, len(columns), figsize=(2.3 * len(columns), 3.7), dpi=100, facecolor="white")
    for axes, (title, pictures) in zip(grid, columns, strict=True):
        padded = [np.pad(each, ((0, 4), (0, 4), (0, 0)), constant_values=255) for each in pictures]
        lines = [np.concatenate(padded[at : at + COLUMNS], axis=1) for at in range(0, ROWS * COLUMNS, COLUMNS)]
        axes.imshow(np.concatenate([line for line in lines if line.shape == lines[0].shape], axis=0))
        axes.set_title(title, fontsize=9)
        axes.axis("off")
    figure.tight_layout(pad=0.4)
    figure.savefig(out, pil_kwargs={"quality": 85})
    plt.close(figure)


if __name__ == "__main__":
    mpl.use("Agg")
    main(sys.argv[1:])
