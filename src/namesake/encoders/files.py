"""Which files a kind of model needs, and which of them a folder lacks."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from namesake.encoders.presets import Kind
from namesake.errors import WeightsError

# One of these will do, the first is preferred; an index names the shards that must lie beside it.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
PREPROCESSING = ("preprocessor_config.json", "processor_config.json")
OPTIONAL = ("tokenizer_config.json", "special_tokens_map.json", "README.md", "LICENSE")

OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
"""In place of the others, where OpenCLIP publishes a CLIP that transformers has no class for."""

KIND_OF_MODEL_TYPE: dict[str, Kind] = {
    "clip": "clip",
    "siglip": "clip",
    "vit": "dino",
    "dinov2": "dino",
    "dinov2_with_registers": "dino",
    "resnet": "resnet",
    "sam": "sam",
    "sam2": "sam",
    "sam2_video": "sam",
    "selfmask": "saliency",
}


def missing_files(folder: Path | None, *, kind: Kind | None) -> list[str]:
    """Names of the files that a model of this kind needs and the folder lacks; None stands for an empty folder.

    A backbone and a saliency network need no preprocessing file: who trains or runs them says how images come in.
    """
    present = set() if folder is None else {file.name for file in folder.iterdir() if file.is_file()}
    if kind == "clip" and folder is not None and is_open_clip(folder):
        missing = [] if OPEN_CLIP_WEIGHTS in present else [OPEN_CLIP_WEIGHTS]
        return missing + _lacking_tokenizer(present)
    missing = [] if "config.json" in present else ["config.json"]
    if kind not in {"resnet", "saliency"} and not present.intersection(PREPROCESSING):
        missing.append(PREPROCESSING[0])
    missing += _lacking_tokenizer(present) if kind == "clip" else []
    weights = next((name for name in WEIGHTS if name in present), None)
    if weights is None:
        missing.append(WEIGHTS[0])
    elif folder is not None and weights.endswith(".index.json"):
        missing += [name for name in shards(folder / weights) if name not in present]
    return missing


def _lacking_tokenizer(present: Collection[str]) -> list[str]:
    return [] if any(set(group) <= set(present) for group in TOKENIZERS) else [TOKENIZERS[0][0]]


def is_open_clip(folder: Path) -> bool:
    """Whether a folder is in OpenCLIP's form, and not in that of transformers."""
    return (folder / OPEN_CLIP_CONFIG).is_file() and not (folder / "config.json").is_file()


def shards(index: Path) -> list[str]:
    """Names of the weight files that an index lists.

    Raises:
        WeightsError: One of them would lie outside the index's own folder.
    """
    names = sorted({str(name) for name in read_json(index).get("weight_map", {}).values()})
    if any(Path(name).name != name for name in names):
        raise WeightsError(f"{index}: names files outside its own folder. Fetch the model again from its publisher.")
    return names


def wanted_files(published: Collection[str], *, kind: Kind) -> list[str]:
    """Of the files that a repository has, those that a model of this kind needs: one form of the weights, not all."""
    chosen = {"config.json", *PREPROCESSING, *OPTIONAL}
    if kind == "clip":
        chosen.update(*TOKENIZERS)
        if "config.json" not in published and OPEN_CLIP_CONFIG in published:
            return sorted({*chosen, OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS}.intersection(published))
    weights = next((name for name in WEIGHTS if name in published), WEIGHTS[0])
    chosen.add(weights)
    if weights.endswith(".index.json"):
        stem, suffix = weights.removesuffix(".index.json").split(".")
        chosen.update(name for name in published if re.fullmatch(rf"{stem}-\d+-of-\d+\.{suffix}", name))
    return sorted(chosen.intersection(published))


def kind_of(folder: Path) -> Kind | None:
    """What a model is for, by its own configuration; None when that is missing or of another type."""
    if is_open_clip(folder):
        return "clip"
    file = folder / "config.json"
    return KIND_OF_MODEL_TYPE.get(str(read_json(file).get("model_type"))) if file.is_file() else None


def read_json(file: Path) -> dict[str, Any]:
    """Entries of a JSON file.

    Raises:
        WeightsError: It is not JSON, or not a table.
    """
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{file}: not valid JSON ({error}). Fetch the file again.") from error
    if not isinstance(entries, dict):
        raise WeightsError(f"{file}: expected a table of entries, found {type(entries).__name__}. Fetch it again.")
    return entries
