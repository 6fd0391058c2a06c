"""The kinds of segmenter: what each provides, and how it is opened; another kind is another entry of `KINDS`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from namesake.records import Names, Prediction
from namesake.segmenter import aligned, deeplab, frozen, maskclip, query, reco, regions, saliency, saliency_clip
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
    deeplab.KIND: deeplab.open_closed_set,
    frozen.KIND: frozen.open_frozen,
    query.KIND: query.open_open_vocabulary,
    regions.KIND: regions.open_named_regions,
    reco.KIND: reco.open_reference_maps,
    maskclip.KIND: maskclip.open_maskclip,
    saliency.KIND: saliency.open_saliency_network,
    saliency_clip.KIND: saliency_clip.open_saliency_clip,
}
"""How a segmenter of each kind is opened: from its settings and folder, on a device."""

TILED = (query.OpenVocabulary, aligned.Aligned)
"""Kinds that segment large images tile by tile."""
