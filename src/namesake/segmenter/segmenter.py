"""The segmenter that a run leaves: an image in, labels in original pixels out; it knows nothing of its training.

A segmenter is a folder with `config.json` and `model.safetensors`, and opens without a network connection. How it
segments is its kind: another kind is another entry of `KINDS`.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, final, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from namesake.encoders import Precision, arithmetic, pick_device
from namesake.errors import ConfigError, ImagesError, WeightsError
from namesake.images import read_image
from namesake.images.geometry import limit_longer_side
from namesake.names import read_names
from namesake.records import Artifact, Names, Prediction
from namesake.segmenter import aligned, closed_set, hub, named_regions, open_vocabulary, reference_maps, training_free
from namesake.segmenter.card import write_card
from namesake.segmenter.open_vocabulary import OpenVocabulary
from namesake.segmenter.settings import CONFIG, Settings, read_settings, write_settings, write_weights
from namesake.segmenter.tiles import predict_tiled
from namesake.shapes import ImageArray
from namesake.workspace import read_manifest, write_atomically

FOLDER = "segmenter"


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


@dataclass(frozen=True)
class SegmenterFolder(Artifact):
    """A segmenter on disk; `load_segmenter(folder)` makes it ready.

    Attributes:
        names: What it segments.
        kind: How.
    """

    names: Names = field(default_factory=lambda: Names(()))
    kind: str = ""


TILED = (OpenVocabulary, aligned.Aligned)
"""Kinds that segment large images tile by tile."""


@final
class Segmenter:
    """Names the pixels of images.

    Args:
        predictor: Does the work on images of one size.
        settings: What `config.json` says.
        device: Where it computes.
        precision: "no" for float32, or autocast of the network to "bf16" or "fp16".
        key: Of what made it; other weights have another one. "" where no stage did.
        folder: That it was loaded from, if it was.
        tile: Images with a longer side than this are segmented in tiles of it, at their own resolution, instead of
            being shrunk; None for no tiles.

    Raises:
        ConfigError: This kind knows no tiles, or the precision is unknown.
    """

    def __init__(
        self,
        predictor: Predictor,
        settings: Settings,
        *,
        device: torch.device = torch.device("cpu"),  # noqa: B008
        precision: Precision = "no",
        tile: int | None = None,
        key: str = "",
        folder: Path | None = None,
    ) -> None:
        if tile is not None and (tile < 1 or not isinstance(predictor, TILED)):
            raise ConfigError(
                f"tile is {tile}; expected a side of 1 or more, and a segmenter of the kind query or aligned."
            )
        self.predictor, self.settings = predictor, settings
        self.device, self.precision, self.tile, self.key = device, precision, tile, key
        self.folder = folder

    @property
    def names(self) -> Names:
        """What it segments; the label of the i-th is i, counted from 1, and 0 is background."""
        return self.settings.names

    @property
    def kind(self) -> str:
        """How it segments."""
        return self.settings.kind

    def with_names(self, names: Names | str | Path | Sequence[str]) -> "Segmenter":
        """The same segmenter with other names, those that it never saw among them; the network is shared.

        Args:
            names: Names, a comma list, a file of names, or a list of its lines. Labels count them from 1; synonyms
                have their name's.

        Raises:
            NamesError: There is no name, or one twice.
            ConfigError: The segmenter is of a kind whose names were fixed when it was trained.
            WeightsError: The text encoder is missing or does not fit.
        """
        if not isinstance(self.predictor, TakesNames):
            raise ConfigError(
                f"a segmenter of the kind {self.kind!r} only knows the names that it was made with: "
                f"{', '.join(self.names.names[:8])}. Train one for other names, or use an open-vocabulary one (zutis)."
            )
        chosen = names if isinstance(names, Names) else read_names(names)
        predictor, settings = self.predictor.with_names(chosen), replace(self.settings, names=chosen)
        return self._with(predictor, settings)

    def with_unsure(self) -> "Segmenter":
        """The same segmenter with the label "not sure" where confidence is low for the name.

        That is lower than on nearly all pixels of the name in the images that the segmenter was taught with.

        Raises:
            ConfigError: The segmenter has no such limits.
        """
        if not isinstance(self.predictor, OpenVocabulary):
            raise ConfigError(f"a segmenter of the kind {self.kind!r} has no limits of confidence; kind query has.")
        if self.predictor.certainty.by_label(self.predictor.words) is None:
            raise ConfigError(
                "this segmenter has no limits of confidence: a published checkpoint has none, nor has one that was "
                "trained with unsure=0 or hardly at all. Train one, or look at the confidence itself."
            )
        inference = replace(self.predictor.inference, mark_unsure=True)
        return self._with(self.predictor.with_inference(inference), self.settings)

    def _with(self, predictor: Predictor, settings: Settings) -> "Segmenter":
        return Segmenter(
            predictor,
            settings,
            device=self.device,
            precision=self.precision,
            tile=self.tile,
            key=self.key,
            folder=self.folder if settings.names == self.settings.names else None,
        )

    def segment(
        self,
        image: str | Path | Image.Image | ImageArray,
        *,
        names: Names | str | Path | Sequence[str] | None = None,
        longer_side: int | None = None,
    ) -> Prediction:
        """Labels, confidence and, where its kind finds them, objects of one image, at its original size.

        Args:
            image: A file, a PIL image, or RGB uint8 [height, width, 3].
            names: Segment these instead of its own; see `with_names`.
            longer_side: Shrink larger images to this side for the network; its own limit if None.

        Raises:
            ImagesError: It is none of these, or cannot be read.
        """
        chosen = self if names is None else self.with_names(names)
        return chosen.segment_many([image], longer_side=longer_side)[0]

    def segment_many(
        self,
        images: Sequence[str | Path | Image.Image | ImageArray],
        *,
        batch_size: int = 8,
        longer_side: int | None = None,
    ) -> list[Prediction]:
        """Segment several images, those of one size together; the order is kept.

        Args:
            images: As in `segment`; all are in memory at once, so give a large collection in parts.
            batch_size: Images at once in the network.
            longer_side: As in `segment`.

        Raises:
            ImagesError: One of them cannot be read.
        """
        arrays = [as_image(image) for image in images]
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, array in enumerate(arrays):
            by_size.setdefault(array.shape[:2], []).append(index)
        found: dict[int, Prediction] = {}
        for members in by_size.values():
            for start in range(0, len(members), batch_size):
                some = members[start : start + batch_size]
                found |= zip(some, self._predict([arrays[index] for index in some], longer_side), strict=True)
        return [found[index] for index in range(len(arrays))]

    def _predict(self, images: Sequence[ImageArray], longer_side: int | None) -> list[Prediction]:
        """Predictions for images of one size."""
        height, width = images[0].shape[:2]
        tiled = self.tile is not None and max(height, width) > self.tile and longer_side is None
        with arithmetic(self.device, precision=self.precision):
            if tiled and isinstance(self.predictor, TILED):
                return [predict_tiled(self.predictor, image, tile=self.tile or 0) for image in images]
            fitted = [limit_longer_side(image, side=longer_side or self.settings.longer_side) for image in images]
            return self.predictor.predict(fitted, height=height, width=width)

    def save(self, folder: Path) -> SegmenterFolder:
        """Write `model.safetensors`, then `config.json`."""
        write_weights(self.predictor.weights(), folder)
        write_settings(self.settings, folder)
        return open_segmenter(folder)

    def save_pretrained(self, folder: Path | str, *, source: str | None = None) -> SegmenterFolder:
        """As `save`, with a model card: names, regime, tier, licences of what it was made from, scores of its run, use.

        Args:
            folder: Made if missing; `from_pretrained(folder)` opens it.
            source: What the card says it is loaded from; the folder if None.

        Raises:
            DataError: A record of the run that it was loaded from is damaged.
        """
        where = Path(folder)
        made = self.save(where)
        run = self.folder.parent if self.folder is not None and self.folder.name == FOLDER else None
        card = write_card(self.settings, title=where.resolve().name, source=source or str(folder), run=run)
        with write_atomically(where / hub.CARD) as unfinished:
            unfinished.write_text(card, encoding="utf-8")
        return made

    def push_to_hub(self, repository: str, *, private: bool = False) -> str:
        """Publish it, with its model card, on the Hugging Face hub; the token is that of `hf auth login` or HF_TOKEN.

        Args:
            repository: `org/name`; made where there is none. `namesake.load("hf-hub:org/name")` opens it.
            private: Whether a new repository is.

        Returns:
            Address of the commit.

        Raises:
            WeightsError: The hub refuses or cannot be reached.
        """
        name = repository.removeprefix(hub.PREFIX)
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / name.rpartition("/")[2]
            self.save_pretrained(folder, source=f"{hub.PREFIX}{name}")
            return hub.upload(folder, name, private=private)

    @classmethod
    def from_pretrained(cls, source: Path | str, *, device: str = "auto") -> "Segmenter":
        """Open a folder that `save_pretrained` wrote, a run, or `hf-hub:org/name`; see `load_segmenter`."""
        return load_segmenter(source, device=device)


def as_image(image: str | Path | Image.Image | ImageArray) -> ImageArray:
    """An image as RGB uint8 [height, width, 3].

    Raises:
        ImagesError: It is a file that cannot be read, or an array of another shape or type.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImagesError(f"expected a file, a PIL image, or an RGB array uint8 [height, width, 3], found {what}.")
    if 0 in image.shape:
        raise ImagesError(f"expected an image with pixels, found the shape {image.shape}.")
    return image


def load_segmenter(
    folder: Path | str, *, device: str = "auto", precision: Precision = "no", tile: int | None = None
) -> Segmenter:
    """Make a segmenter ready.

    Args:
        folder: Of the segmenter, or of the run that holds it; or `hf-hub:org/name`, which is fetched from the hub.
        device: "auto", "cpu" or "cuda".
        precision: "no", "bf16" or "fp16"; see `Segmenter`.
        tile: Side of tiles for images beyond memory; see `Segmenter`.

    Raises:
        WeightsError: There is none, or it is damaged or of an unknown kind.
    """
    where = _find(hub.download(str(folder)) if str(folder).startswith(hub.PREFIX) else Path(folder))
    settings = read_settings(where)
    if settings.kind not in KINDS:
        raise WeightsError(
            f"{where / CONFIG} is of the kind {settings.kind!r}; this version knows {', '.join(KINDS)}. "
            "Upgrade namesake."
        )
    chosen = pick_device(device)
    predictor = KINDS[settings.kind](settings, where, chosen)
    key = str((read_manifest(where) or {}).get("key", ""))
    return Segmenter(predictor, settings, device=chosen, precision=precision, tile=tile, key=key, folder=where)


def open_segmenter(folder: Path) -> SegmenterFolder:
    """The record of a segmenter on disk; `folder` is its own, or that of the run that holds it.

    Raises:
        WeightsError: There is none.
    """
    where = _find(folder)
    settings = read_settings(where)
    counts = (read_manifest(where) or {}).get("counts", {"names": len(settings.names)})
    return SegmenterFolder(where, counts=counts, models=settings.models, names=settings.names, kind=settings.kind)


def _find(folder: Path) -> Path:
    for place in (folder, folder / FOLDER):
        if (place / CONFIG).is_file():
            return place
    raise WeightsError(
        f"expected a segmenter in {folder} or {folder / FOLDER}, found no {CONFIG}. "
        "Give the folder of a run that is finished, or continue the run with the command that began it."
    )
