"""Figures of the papers that show pictures: our runs' predictions in the paper's arrangement, one image a column.

The first row has the images, the second the truth, and each further row what a setting of a table predicts for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from namesake.errors import ConfigError, unknown
from namesake.evaluation.benchmarks import Benchmark
from namesake.evaluation.terms import table_of, table_with
from namesake.images import evenly, read_image
from namesake.images.encode import encode_picture
from namesake.names.spelling import match_names
from namesake.prediction import contact_sheet, overlay
from namesake.records import Names
from namesake.reproduce.measures import benchmark_of, segmenter_of
from namesake.reproduce.object_masks import object_drawer
from namesake.reproduce.papers import PAPERS
from namesake.reproduce.places import MINI_SCALE, Scale, place_at
from namesake.reproduce.run import run_setting
from namesake.reproduce.table import Trial
from namesake.shapes import ImageArray, LabelArray
from namesake.workspace import write_bytes

IMAGES, SIDE = 6, 240
"""Images of a figure, and the side in pixels that each is fitted to."""


@dataclass(frozen=True)
class Figure:
    """A figure that shows pictures.

    Attributes:
        title: Words for what it shows.
        table: Key of the table whose rows it shows.
        rows: Labels of those rows.
    """

    title: str
    table: str
    rows: tuple[str, ...]


FIGURES: Mapping[str, Mapping[str, Figure]] = {
    "namedmask": {
        "1": Figure("NamedMask on images of one object and of several", "6", ("NamedMask",)),
        "4": Figure("Category experts redraw the saliency network's masks", "1", ("SelfMask", "category experts")),
        "supplementary-1": Figure("NamedMask on VOC2012", "6", ("MaskCLIP", "SelfMask + CLIP", "NamedMask")),
    },
    "zutis": {
        "1": Figure("Objects found by ZUTIS", "3", ("ZUTIS",)),
    },
    "fmbseg": {
        "3": Figure("Masks that stage 1.1 asks for", "2", ("Stage 1.1",)),
        "4": Figure("Things and stuff by the refined reading", "1", ("Stage 2 (refined)",)),
        "5": Figure("Water", "water", ("Stage 1.1",)),
        "appendix-4": Figure("All masks, named by stage 1.2", "2", ("Stage 1.2",)),
    },
}
"""Figures by paper and number; those that draw a method or a curve are no pictures of results."""


def draw_figure(paper: str, figure: str, *, out: Path, seed: int = 0, scale: Scale = MINI_SCALE) -> Path:
    """Run what a figure shows, and draw it.

    Args:
        paper: A key of FIGURES.
        figure: A key of its figures.
        out: Folder of worlds and runs, shared with the tables.
        seed: Seed of the world and of everything random.
        scale: Embedded world or real benchmarks.

    Returns:
        The picture, `out/figures/PAPER-FIGURE.png`.

    Raises:
        ConfigError: There is no such paper or figure, or the embedded world cannot show it.
        DataError: A benchmark is missing.
    """
    if paper not in FIGURES:
        raise ConfigError(unknown("paper with pictures", paper, FIGURES))
    if figure not in FIGURES[paper]:
        raise ConfigError(unknown(f"figure of {paper} with pictures", figure, FIGURES[paper]))
    wanted = FIGURES[paper][figure]
    table = PAPERS[paper][wanted.table]
    if scale.root is None and not table.on_world:
        raise ConfigError(f"figure {figure} of {paper} needs real data: {table.differs} Give --root.")
    place = place_at(next(iter(table.benchmarks.values()), ""), table, scale, folder=out / f"seed-{seed}", seed=seed)
    settings = [setting for setting in table.settings if setting.label in wanted.rows]
    trials = [run_setting(setting, place, f"{paper} figure {figure}")[0] for setting in settings]
    benchmark = benchmark_of(trials[0])
    names = place.names[settings[0].names]
    chosen = _spread(benchmark, names)
    rows: list[tuple[str, Callable[[ImageArray, LabelArray], ImageArray]]] = [
        ("image", lambda image, _: image),
        ("truth", lambda image, truth: overlay(image, truth, names)),
        *((trial.setting.label, _drawer(trial, names)) for trial in trials),
    ]
    tiles = [
        (draw(image, truth), label if not column else "")
        for label, draw in rows
        for column, (image, truth) in enumerate(chosen)
    ]
    path = out / "figures" / f"{paper}-{figure}.png"
    write_bytes(path, encode_picture(contact_sheet(tiles, columns=len(chosen), side=SIDE), "PNG"))
    return path


def _spread(benchmark: Benchmark, names: Names) -> list[tuple[ImageArray, LabelArray]]:
    """Images that show a name, evenly spread over the benchmark, with their true labels in the order of `names`."""
    matched = match_names(benchmark.names, names)
    table = table_with(table_of(matched.labels), benchmark.ignore, names=len(names), unsure=0)
    found = []
    for image_id in evenly(benchmark.images.ids, 4 * IMAGES):
        labels = table[benchmark.truth(image_id)]
        if labels.any():
            found.append((read_image(benchmark.images.path(image_id)), labels))
    return found[:: max(1, len(found) // IMAGES)][:IMAGES]


def _drawer(trial: Trial, names: Names) -> Callable[[ImageArray, LabelArray], ImageArray]:
    """Draws what a run predicts for an image; masks of objects are those of the name with the most true pixels."""
    if "masks" in trial.setting.facts:
        draw = object_drawer(trial)

        def of_largest(image: ImageArray, truth: LabelArray) -> ImageArray:
            label = int(np.bincount(truth[truth > 0]).argmax())
            return overlay(image, draw(image, names.names[label - 1]) * label, names)

        return of_largest
    segmenter = segmenter_of(trial)

    def whole(image: ImageArray, _: LabelArray) -> ImageArray:
        found = segmenter.segment(image)
        return overlay(image, found.labels, segmenter.names, instances=found.instances)

    return whole
