"""The kind `regions`: CLIP's words on masks of SAM, without training (FMbSeg's first stage).

FMbSeg, https://arxiv.org/abs/2403.09307, section 3.2: its first stage used as a segmenter (Table 2). Pixels that no
mask covers are "not sure". The folder holds the words' embeddings and says which encoders to load.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from namesake.encoders import AutomaticConfig
from namesake.errors import ConfigError, WeightsError
from namesake.images.geometry import resize_labels
from namesake.masks.region_labels import KINDS, PUBLISHED, Kind
from namesake.masks.regions import RegionNamer, RegionsConfig, load_region_namer, paint
from namesake.names.words import words_of
from namesake.records import Names, Prediction, Regime
from namesake.segmenter.settings import CONFIG, TEXTS, SegmenterFolder, Settings, open_segmenter, save_segmenter
from namesake.shapes import ImageArray, not_sure
from namesake.workspace import stage

KIND = "regions"


@stage("segmenter", opens=open_segmenter, assembles=True, models=lambda config: (config.clip, config.mask_model))
def build_named_regions(
    out: Path, names: Names, *, kind: Kind, config: RegionsConfig = PUBLISHED, device: str = "auto"
) -> SegmenterFolder:
    """Make a segmenter of FMbSeg's first stage.

    Args:
        out: Folder of the segmenter.
        names: Names to segment.
        kind: "prompted" (stage 1.1) or "automatic" (stage 1.2).
        config: Settings of naming masks.
        device: "auto", "cpu" or "cuda".

    Raises:
        WeightsError: An encoder cannot be loaded.
        ConfigError: There is no such kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}.")
    words, labels = words_of(names)
    namer = load_region_namer(words, config, device=device)
    namer.doubt(labels, encoder=config.clip)
    facts, models = {"kind": kind, **asdict(config)}, (namer.clip.card, namer.source.card)
    settings = Settings(KIND, names, facts, preprocessing=None, models=models, regime=Regime.ZERO_SHOT)
    return save_segmenter(settings, {TEXTS: namer.texts}, out)


@final
class NamedRegions:
    """Names the masks of an image.

    Args:
        namer: Sees and names.
        names: Names to segment.
        kind: "prompted" (stage 1.1) or "automatic" (stage 1.2).
    """

    def __init__(self, namer: RegionNamer, names: Names, kind: Kind) -> None:
        self.namer, self.names, self.kind = namer, names, kind
        self.labels = np.array(words_of(names)[1])

    def with_names(self, names: Names) -> "NamedRegions":
        """The same with other names.

        Raises:
            NamesError: There is none.
        """
        words, _ = words_of(names)
        return NamedRegions(RegionNamer(self.namer.clip, self.namer.source, words, self.namer.config), names, self.kind)

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Labels of height x width; the confidence is the mask's own, 0 where there is none."""
        return [self._one(image, height=height, width=width) for image in images]

    @torch.inference_mode()
    def told(self, image: ImageArray, labels: Int[np.ndarray, " present"]) -> Prediction:
        """Where the names of these labels are, which are known to be in the image (semi-supervised, Table 2)."""
        rows = np.flatnonzero(np.isin(self.labels, labels))
        return self._one(image, height=image.shape[0], width=image.shape[1], shown=rows)

    def _one(
        self, image: ImageArray, *, height: int, width: int, shown: Int[np.ndarray, " present"] | None = None
    ) -> Prediction:
        view = self.namer.look(image)
        present = view.present() if shown is None else torch.from_numpy(shown).to(view.texts.device)
        regions = view.prompted(present) if self.kind == "prompted" else view.automatic(present)
        # which [height, width]: number of the region that a pixel lies in, painted in place of its word; -1 for none
        own = regions._replace(words=np.arange(len(regions.words)))
        which = resize_labels(paint(own, nothing=-1), height=height, width=width)
        # -1 reads the last entry, which is appended for the pixels of no region
        unsure = not_sure(len(self.names))
        labels = np.append(self.labels[regions.words], unsure)[which]
        sure = np.append(np.clip(regions.scores, 0, 1), 0.0)[which]
        return Prediction(labels.astype(np.uint8 if unsure < 256 else np.int32), sure.astype(np.float32))

    def weights(self) -> dict[str, Tensor]:
        """The text embeddings of the words."""
        return {TEXTS: self.namer.texts}


def open_named_regions(settings: Settings, folder: Path, device: torch.device) -> NamedRegions:
    """Load the encoders that the settings name.

    Raises:
        WeightsError: One is missing, or the settings describe none.
    """
    try:
        facts = dict(settings.architecture)
        kind = facts.pop("kind")
        config = RegionsConfig(**(facts | {"automatic": AutomaticConfig(**facts["automatic"])}))
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{folder / CONFIG} describes no named regions ({error}). Make it again.") from error
    words, _ = words_of(settings.names)
    return NamedRegions(load_region_namer(words, config, device=str(device)), settings.names, kind)
