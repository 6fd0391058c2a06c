"""Masks of the object of a name, drawn by what a run of NamedMask left: its saliency network, or the names' experts."""

import json
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from namesake.masks import SaliencyConfig, detect
from namesake.masks.bilateral import PUBLISHED
from namesake.networks import load_selfmask
from namesake.reproduce.table import Trial
from namesake.segmenter import load_segmenter
from namesake.shapes import ImageArray, MaskArray
from namesake.training.experts import kept_experts
from namesake.workspace import RECORD

AT_ONCE = 8


def object_drawer(trial: Trial) -> Callable[[ImageArray, str], MaskArray]:
    """What draws the object of a name in an image, as the setting says.

    The experts of a run are each asked for the names of its group, at most eight in memory; its saliency network draws
    the same mask whatever name is asked for.
    """
    if trial.setting.facts["masks"] == "masks/experts":
        folders = kept_experts(trial.run / "masks" / "experts")
        expert = lru_cache(maxsize=AT_ONCE)(partial(load_segmenter, device=trial.place.device))
        return lambda image, name: np.asarray(expert(str(folders[name])).segment(image).labels == 1)
    record = json.loads((trial.run / RECORD).read_text(encoding="utf-8"))
    config = SaliencyConfig(**record["config"]["saliency"])
    network = load_selfmask(config.network, device=trial.place.device)
    solver = PUBLISHED if config.bilateral_solver else None
    return lambda image, _: detect(network, [image], solver=solver)[0].mask
