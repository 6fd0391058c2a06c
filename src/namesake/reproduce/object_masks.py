"""Masks of the object of a name, drawn by what a run of NamedMask left: its saliency network, or the names' experts."""

import json
from typing import final

import numpy as np

from namesake.masks import SaliencyConfig, detect
from namesake.masks.bilateral import PUBLISHED
from namesake.networks import load_selfmask
from namesake.reproduce.table import Trial
from namesake.segmenter import Segmenter, load_segmenter
from namesake.shapes import ImageArray, MaskArray
from namesake.training.experts import kept_experts
from namesake.workspace import RECORD

AT_ONCE = 8


@final
class SaliencyMasks:
    """The saliency network of a run, which draws the same mask whatever name is asked for."""

    def __init__(self, trial: Trial) -> None:
        record = json.loads((trial.run / RECORD).read_text(encoding="utf-8"))
        config = SaliencyConfig(**record["config"]["saliency"])
        self._network = load_selfmask(config.network, device=trial.place.device)
        self._solver = PUBLISHED if config.bilateral_solver else None

    def __call__(self, image: ImageArray, _name: str) -> MaskArray:
        """Draw the salient object."""
        return detect(self._network, [image], solver=self._solver)[0].mask


@final
class ExpertMasks:
    """The experts of a run, each asked for the names of its group; at most eight are in memory."""

    def __init__(self, trial: Trial) -> None:
        self._folders = kept_experts(trial.run / "masks" / "experts")
        self._device, self._loaded = trial.place.device, dict[str, Segmenter]()

    def __call__(self, image: ImageArray, name: str) -> MaskArray:
        """Draw where the name's expert says that there is an object."""
        folder = str(self._folders[name])
        if folder not in self._loaded:
            if len(self._loaded) == AT_ONCE:
                self._loaded.clear()
            self._loaded[folder] = load_segmenter(folder, device=self._device)
        return np.asarray(self._loaded[folder].segment(image).labels == 1)
