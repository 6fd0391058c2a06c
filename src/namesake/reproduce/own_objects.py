"""Pictures of very objects of the embedded world in, how well each is found among others out (FMbSeg, Table 4)."""

import numpy as np

from namesake.encoders.patches import load_patch_encoder
from namesake.masks.regions import load_region_namer
from namesake.prediction.find import Finder, Match, quality
from namesake.progress import track
from namesake.reproduce.table import Trial, Values
from namesake.shapes import ImageArray
from namesake.systems.fmbseg import find_config
from namesake.world import SEEN_NAMES, render_view

PICTURES, OBJECTS, VIEWS, OTHERS = 4, 8, 12, 24
"""Of each object given; objects; views of it to be found; pictures of its family's and of other families' objects."""


def measure_own_objects(trial: Trial) -> Values:
    """Mean precision and recall over objects, each described by four pictures, at the threshold that those give.

    Half of the other pictures show another object of the same family: telling my cup from a cup.
    """
    config = find_config(trial.place.preset)
    encoder = load_patch_encoder(config.dense_encoder, device=trial.place.device)
    precision, recall = [], []
    for number, name in enumerate(track(SEEN_NAMES[:OBJECTS], what="finding very objects", total=OBJECTS)):
        namer = load_region_namer((name,), config.regions, device=trial.place.device)
        seed = trial.place.seed
        given = [_view(name, 0, view, seed) for view in range(PICTURES)]
        own = [_view(name, 0, PICTURES + view, seed) for view in range(VIEWS)]
        family = [_view(name, 1 + other, other, seed) for other in range(OTHERS // 2)]
        strange = [
            _view(SEEN_NAMES[(number + 1 + other) % len(SEEN_NAMES)], 0, other, seed) for other in range(OTHERS // 2)
        ]
        finder = Finder(namer, encoder, config.image_size, given)
        matches = [Match(str(place), finder.score(image)) for place, image in enumerate([*own, *family, *strange])]
        found = quality(matches, {str(place) for place in range(VIEWS)}, threshold=finder.threshold())
        precision.append(np.nan if found.precision is None else found.precision)
        recall.append(found.recall or 0.0)
    return {"Precision": float(np.nanmean(precision)), "Recall": float(np.mean(recall))}


def _view(name: str, number: int, view: int, seed: int) -> ImageArray:
    return render_view(name, number, view, seed=seed).image
