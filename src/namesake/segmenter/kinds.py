"""The kinds of segmenter: what each provides, and how it is opened; another kind is another entry of `KINDS`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from namesake.records import Names, Prediction
from namesake.segmenter import aligned, closed_set, named_regions, open_vocabulary, reference_maps, training_free
from namesake.segmenter.settings import Settings
from namesake.shapes import ImageArray


class Predictor(Protocol):
    """What a kind provides."""

    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Predictions of `height` x `width` for images of one size."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """What `model.safetensors` holds."""
        ...


@runtime_checkable
class TakesNames(Predictor, Protocol):
    """What a kind provides whose names may be others at any time."""

    def with_names(self, names: Names) -> Predictor:
        """The same with other names."""
        ...


KINDS: Mapping[str, Callable[[Settings, Path, torch.device], Predictor]] = {
    aligned.KIND: aligned.open_aligned,
    closed_set.KIND: closed_set.open_closed_set,
    open_vocabulary.KIND: open_vocabulary.open_open_vocabulary,
    named_regions.REGIONS: named_regions.open_named_regions,
    reference_maps.REFERENCE_MAPS: reference_maps.open_reference_maps,
    training_free.MASKCLIP: training_free.open_maskclip,
    training_free.SALIENCY_CLIP: training_free.open_saliency_clip,
}
"""How a segmenter of each kind is opened: from its settings and folder, on a device."""

TILED = (open_vocabulary.OpenVocabulary, aligned.Aligned)
"""Kinds that segment large images tile by tile."""
