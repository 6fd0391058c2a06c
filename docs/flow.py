"""A finished demo in, the README's picture of the flow out: images, archives, masks and predictions, one column each.

make demo && python docs/flow.py demo docs/flow.jpg
"""

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch

import namesake
from namesake.archives import open_archives, rows
from namesake.images import open_images, read_image
from namesake.masks import rle
from namesake.masks.store import open_masks, read_masks
from namesake.prediction.colours import colours_of
from namesake.prediction.draw import blend

NAMES = ("car", "lamp", "mushroom")
ACROSS, SCENES = 3, 3
TITLES = (
    "images, unlabelled",
    'an archive a name (CLIP): "{}", "{}", "{}"',
    "masks (SelfMask)",
    "the segmenter",
)


def main(demo: Path, out: Path) -> None:
    """Four panels of three by three small pictures."""
    run = demo / "namedmask"
    images = open_images(demo / "world" / "unlabelled" / "images")
    archives, masks = (
        open_archives(run / "archives"),
        {m.image_id: m for m in read_masks(open_masks(run / "masks/saliency"))},
    )
    best = [
        row["image_id"]
        for name in NAMES
        for row in rows(archives).to_pylist()
        if row["name"] == name and row["rank"] <= ACROSS
    ]
    label = {name: archives.names.names.index(name) + 1 for name in NAMES}
    colours = colours_of(archives.names.names)
    drawn = []
    for place, image_id in enumerate(best):
        mask = masks[image_id]
        drawn.append(
            blend(
                read_image(images.path(image_id)),
                rle.decode(mask.rle, mask.height, mask.width) * np.uint8(label[NAMES[place // ACROSS]]),
                colours=colours,
            )
        )
    segmenter = namesake.load(run)
    scenes = [read_image(path) for path in sorted((demo / "world" / "scenes" / "images").iterdir())[: SCENES * ACROSS]]
    panels = [
        [read_image(images.path(image_id)) for image_id in images.ids[: ACROSS * len(NAMES)]],
        [read_image(images.path(image_id)) for image_id in best],
        drawn,
        [blend(scene, segmenter.segment(scene).labels, colours=colours) for scene in scenes],
    ]
    figure = plt.figure(figsize=(13, 3.7), dpi=110, facecolor="white")
    for column, (panel, title) in enumerate(zip(panels, TITLES, strict=True)):
        axes = figure.add_axes((0.008 + 0.251 * column, 0.02, 0.222, 0.85))
        axes.imshow(sheet(panel))
        axes.set_title(title.format(*NAMES), fontsize=9)
        axes.axis("off")
        if column:
            x = 0.008 + 0.251 * column
            arrow = FancyArrowPatch(
                (x - 0.026, 0.44), (x - 0.002, 0.44), arrowstyle="-|>", mutation_scale=16, color="#444"
            )
            figure.add_artist(arrow)
    figure.savefig(out, pil_kwargs={"quality": 88})


def sheet(pictures: list[np.ndarray], *, gap: int = 4) -> np.ndarray:
    """Pictures of one size in rows of three, with white between them."""
    padded = [np.pad(picture, ((0, gap), (0, gap), (0, 0)), constant_values=255) for picture in pictures]
    lines = [np.concatenate(padded[start : start + ACROSS], axis=1) for start in range(0, len(padded), ACROSS)]
    return np.concatenate(lines, axis=0)


if __name__ == "__main__":
    mpl.use("Agg")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
