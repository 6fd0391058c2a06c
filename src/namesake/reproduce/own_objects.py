"""Pictures of very objects in, how well each is found among those of others out (FMbSeg, section 4.5.2, Table 4)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import NamedTuple

import numpy as np

from namesake.encoders.patches import load_patch_encoder
from namesake.errors import DataError
from namesake.images import read_image
from namesake.masks.regions import load_region_namer
from namesake.prediction.find import Finder, Match, quality
from namesake.progress import track
from namesake.records import Images
from namesake.reproduce.places import words_of
from namesake.reproduce.table import Trial, Values
from namesake.shapes import ImageArray
from namesake.systems.fmbseg import find_config
from namesake.world import SEEN_NAMES, render_view

PICTURES, OBJECTS, VIEWS, OTHERS = 4, 8, 12, 24
"""Of each object given; objects; views of it to be found; pictures of its family's and of other families' objects."""


class VeryObject(NamedTuple):
    """One very object.

    Attributes:
        name: Word for it, as people say.
        given: Pictures that describe it.
        shown: Further pictures of it, which are to be found.
        others: Pictures of other objects.
    """

    name: str
    given: Sequence[ImageArray]
    shown: Iterable[ImageArray]
    others: Iterable[ImageArray]


def measure_own_objects(trial: Trial) -> Values:
    """Mean precision and recall over objects, each described by four pictures, at the threshold that those give."""
    place = trial.place
    config = find_config(place.preset)
    encoder = load_patch_encoder(config.dense_encoder, device=place.device)
    objects = rendered_objects(place.seed) if place.rendered else photographed_objects(place.images, seed=place.seed)
    precision, recall = [], []
    for each in track(objects, what="finding very objects", total=OBJECTS if place.rendered else None):
        finder = Finder(
            load_region_namer((each.name,), config.regions, device=place.device),
            encoder,
            config.image_size,
            each.given,
        )
        scores = [[finder.score(image) for image in images] for images in (each.shown, each.others)]
        matches = [Match(str(number), score) for number, score in enumerate(chain(*scores))]
        shown = {str(number) for number in range(len(scores[0]))}
        found = quality(matches, shown, threshold=finder.threshold())
        precision.append(np.nan if found.precision is None else found.precision)
        recall.append(found.recall or 0.0)
    return {"Precision": float(np.nanmean(precision)), "Recall": float(np.mean(recall))}


def rendered_objects(seed: int) -> Iterator[VeryObject]:
    """Objects of the embedded world; half of the other pictures show another object of the same family.

    So it takes more than telling a cup from a car: my cup from a cup.
    """
    for number, name in enumerate(SEEN_NAMES[:OBJECTS]):
        views = [render_view(name, 0, view, seed=seed).image for view in range(PICTURES + VIEWS)]
        family = [render_view(name, 1 + other, other, seed=seed).image for other in range(OTHERS // 2)]
        strange = [
            render_view(SEEN_NAMES[(number + 1 + other) % len(SEEN_NAMES)], 0, other, seed=seed).image
            for other in range(OTHERS // 2)
        ]
        yield VeryObject(name, views[:PICTURES], views[PICTURES:], [*family, *strange])


def photographed_objects(images: Images, *, seed: int) -> Iterator[VeryObject]:
    """Objects whose pictures lie in a folder each; the seed draws which of them describe it.

    Raises:
        DataError: An object has too few pictures.
    """
    ids = {folder: list(own) for folder, own in groupby(images.ids, key=lambda each: each.partition("/")[0])}

    def read(wanted: Iterable[str]) -> Iterator[ImageArray]:
        return (read_image(images.path(image_id)) for image_id in wanted)

    generator = np.random.default_rng(seed)
    for folder, own in ids.items():
        if len(own) <= PICTURES:
            raise DataError(
                f"expected more than {PICTURES} pictures in {images.folder / folder}, found {len(own)}: {PICTURES} "
                "describe the object, the rest is to be found. Add some, or take the folder away."
            )
        drawn = [own[place] for place in generator.permutation(len(own))]
        others = [image_id for other, theirs in ids.items() if other != folder for image_id in theirs]
        yield VeryObject(words_of(folder), [*read(drawn[:PICTURES])], read(drawn[PICTURES:]), read(others))
