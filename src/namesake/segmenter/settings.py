"""A segmenter on disk: its folder (its own, or within a run's), its `config.json` and its `model.safetensors`.

The meaning of `architecture` belongs to each kind.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from namesake.encoders.preprocess import IMAGENET, Preprocessing
from namesake.errors import WeightsError
from namesake.networks.selfmask import MODEL_TYPE, read_saliency_card
from namesake.records import Artifact, ModelCard, Names, Regime
from namesake.segmenter.formats import upgrade
from namesake.tensors import ImageBatch
from namesake.workspace import read_manifest, write_atomically, write_json

FOLDER = "segmenter"
CONFIG = "config.json"
SALIENCY, OBJECT = "saliency", "salient object"
"""The kind of a saliency network's folder read as a segmenter, and the one name that it has."""
WEIGHTS = "model.safetensors"
TEXTS = "texts"
"""Name of the words' embeddings among the weights: float32 [words, dim], L2-normalised."""
FORMAT = 2
PIECE, PIECES = 4096, 256
"""Bytes of a piece of the weights that a digest is made of, and how many it is made of."""

EARLIER_REGIME = "name-only transfer"
"""How `Regime.NAME_ONLY` was written before."""


@dataclass(frozen=True)
class Settings:
    """What a segmenter needs beside its weights.

    Attributes:
        kind: Kind of segmenter; a key of `KINDS`.
        names: Names to segment; the label of the i-th name is i, counted from 1.
        architecture: The kind's own values, as JSON has them.
        preprocessing: Mean and standard deviation of its input; None where an encoder brings its own.
        resize_longer: Images with a longer side than this are shrunk to it, and the result brought back to their size.
        enlarge: Images with a shorter one are enlarged to it too.
        threshold: Probability below which a pixel's likeliest name is background; None for no such.
        models: Models that it was made from.
        regime: Regime: what was known of the task when it was made.
    """

    kind: str
    names: Names
    architecture: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing | None = IMAGENET
    resize_longer: int = 2048
    enlarge: bool = False
    threshold: float | None = None
    models: tuple[ModelCard, ...] = ()
    regime: str = Regime.NAME_ONLY

    @property
    def tier(self) -> str:
        """M where a model with SAM-type masks had a part in it, else S."""
        return "M" if any(card.tier == "M" for card in self.models) else "S"


def facts_of(config: Any, kind: type) -> dict[str, Any]:  # noqa: ANN401
    """The fields of a configuration that the dataclass `kind` has, as `architecture` holds them."""
    return {each.name: getattr(config, each.name) for each in dataclasses.fields(kind)}


def normalise(images: UInt8[Tensor, "batch 3 height width"], preprocessing: Preprocessing) -> ImageBatch:
    """A batch of RGB images as the network wants them: float32, on the device where they are."""
    # [3, 1, 1] each
    mean, std = (
        torch.tensor(values, device=images.device).view(3, 1, 1) for values in (preprocessing.mean, preprocessing.std)
    )
    return (images.float() * preprocessing.rescale_factor - mean) / std


def write_settings(settings: Settings, folder: Path) -> None:
    """Write `config.json`."""
    rule = {"resize_longer": settings.resize_longer} | ({"enlarge": True} if settings.enlarge else {})
    if settings.preprocessing is not None:
        rule |= {"mean": list(settings.preprocessing.mean), "std": list(settings.preprocessing.std)}  # type: ignore[dict-item]
    names = settings.names
    write_json(
        folder / CONFIG,
        {
            "format": FORMAT,
            "kind": settings.kind,
            "id2label": {str(label): name for label, name in enumerate(("background", *names.names))},
            "synonyms": {name: list(words) for name, words in zip(names.names, names.synonyms, strict=False) if words},
            "background": list(names.background),
            "architecture": dict(settings.architecture),
            "preprocessing": rule,
            **({} if settings.threshold is None else {"threshold": settings.threshold}),
            "models": [dataclasses.asdict(card) for card in settings.models],
            "regime": settings.regime,
            "tier": settings.tier,
        },
    )


def digest_of(folder: Path) -> str:
    """Of a segmenter's settings and of pieces of its weights, spread evenly: 16 hexadecimal digits.

    A training changes every weight, so pieces tell two networks apart, in a thousandth of the time.
    """
    content = hashlib.blake2b((folder / CONFIG).read_bytes(), digest_size=8)
    if (folder / WEIGHTS).is_file():
        with (folder / WEIGHTS).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            content.update(str(size).encode())
            for start in range(0, size, max(PIECE, size // PIECES)):
                file.seek(start)
                content.update(file.read(PIECE))
    return content.hexdigest()


def read_settings(folder: Path) -> Settings:
    """Read `config.json`.

    Raises:
        WeightsError: It is missing, damaged, or of a newer format.
    """
    path = folder / CONFIG
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("model_type") == MODEL_TYPE:
            return _of_saliency(folder)
        if content["format"] > FORMAT:
            raise WeightsError(f"{path} has format {content['format']}, this version reads {FORMAT}. Upgrade namesake.")
        return _settings(upgrade(content))
    except FileNotFoundError as error:
        raise WeightsError(f"expected a segmenter in {folder}, found no {CONFIG} there. Check the path.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise WeightsError(f"{path} is not a segmenter's configuration ({problem}). Make or copy it again.") from error


def _of_saliency(folder: Path) -> Settings:
    """Settings of a saliency network's folder, which knows no names."""
    models = ((read_manifest(folder) or {}).get("models")) or [dataclasses.asdict(read_saliency_card(folder))]
    cards = tuple(ModelCard(**card) for card in models)
    return Settings(SALIENCY, Names((OBJECT,)), preprocessing=None, models=cards, regime=Regime.ZERO_SHOT)


def _settings(content: Mapping[str, Any]) -> Settings:
    labels = {int(label): str(name) for label, name in content["id2label"].items()}
    if sorted(labels) != list(range(len(labels))) or not labels:
        raise ValueError(f"id2label should number its names from 0 without gaps, has {sorted(labels)}")
    names = tuple(labels[label] for label in range(1, len(labels)))
    synonyms = content.get("synonyms", {})
    rule = content["preprocessing"]
    normalises = "mean" in rule
    return Settings(
        kind=str(content["kind"]),
        names=Names(
            names,
            synonyms=tuple(tuple(synonyms.get(name, ())) for name in names) if synonyms else (),
            background=tuple(content.get("background", ("background",))),
        ),
        architecture=content["architecture"],
        preprocessing=Preprocessing(mean=tuple(rule["mean"]), std=tuple(rule["std"])) if normalises else None,
        resize_longer=int(rule["resize_longer"]),
        enlarge=bool(rule.get("enlarge", False)),
        threshold=None if content.get("threshold") is None else float(content["threshold"]),
        models=tuple(ModelCard(**card) for card in content.get("models", ())),
        regime=str(content.get("regime", EARLIER_REGIME)).replace(EARLIER_REGIME, Regime.NAME_ONLY),
    )


def save_segmenter(settings: Settings, weights: Mapping[str, Tensor], folder: Path) -> "SegmenterFolder":
    """Write `model.safetensors`, then `config.json`."""
    write_weights(weights, folder)
    write_settings(settings, folder)
    return open_segmenter(folder)


def write_weights(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write `model.safetensors`."""
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    with write_atomically(folder / WEIGHTS) as unfinished:
        save_file(tensors, unfinished, metadata={"format": "pt"})


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of a segmenter's folder.

    Raises:
        WeightsError: The file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / WEIGHTS
    if not path.is_file():
        raise WeightsError(f"expected the weights {path}, found none. Copy the whole folder, or make it again.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is damaged ({error}). Copy it again, or make it again.") from error


@dataclass(frozen=True)
class SegmenterFolder(Artifact):
    """A segmenter on disk; `load_segmenter(folder)` makes it ready.

    Attributes:
        names: Names that it segments.
        kind: Kind of the segmenter.
    """

    names: Names = field(default_factory=lambda: Names(()))
    kind: str = ""


def open_segmenter(folder: Path) -> SegmenterFolder:
    """The record of a segmenter on disk; `folder` is its own, or that of the run that holds it.

    Raises:
        WeightsError: There is none.
    """
    where = find_segmenter(folder)
    settings = read_settings(where)
    counts = (read_manifest(where) or {}).get("counts", {"names": len(settings.names)})
    return SegmenterFolder(where, counts=counts, models=settings.models, names=settings.names, kind=settings.kind)


def find_segmenter(folder: Path) -> Path:
    """Folder of the segmenter itself, of its own or that of the run that holds it.

    Raises:
        WeightsError: There is none.
    """
    for place in (folder, folder / FOLDER, folder / SALIENCY):
        if (place / CONFIG).is_file():
            return place
    raise WeightsError(
        f"expected a segmenter in {folder} or {folder / FOLDER}, found no {CONFIG}. "
        "Give the folder of a run that is finished, or continue the run with the command that began it."
    )
