"""A run folder in; what ran, the stages, the evaluations and the models out, as plain facts. It opens no image."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namesake.archives.join import ADDED
from namesake.errors import DataError
from namesake.evaluation.evaluate import FOLDER
from namesake.names import read_kept_names
from namesake.records import ModelCard, Regime
from namesake.workspace import MANIFEST, read_manifest

ORDER = ("index", "archives", "masks", "saliency", "joined", "segmenter", "predictions")
TIERS = {
    "S": "no human mask had a part in any of its models",
    "none": "the segmenter was trained on ground truth, to compare with those trained without",
    "M": "one of its models learned from class-agnostic masks that people helped to draw (SAM)",
}


@dataclass(frozen=True)
class StageFacts:
    """One finished stage, from its manifest."""

    name: str
    seconds: float
    peak_rss_mb: int
    counts: Mapping[str, int]
    models: tuple[ModelCard, ...]
    tier: str
    versions: Mapping[str, str]


def read_stages(run: Path) -> list[StageFacts]:
    """The finished stages, in the order in which data flows.

    Raises:
        WorkspaceError: A manifest is damaged.
    """
    parts = (run, *(run / ADDED).glob("*"))
    found = [path for part in parts for depth in ("*", "*/*") for path in part.glob(f"{depth}/{MANIFEST}")]
    folders = {path.parent: path.stat().st_mtime for path in found}

    def place(folder: Path) -> tuple[int, float]:
        first, *rest = folder.relative_to(run).parts
        own = rest[1] if first == ADDED else first
        return (ORDER.index(own) if own in ORDER else len(ORDER), folders[folder])

    ordered = sorted(folders, key=place)
    return [_stage(folder.relative_to(run).as_posix(), read_manifest(folder) or {}) for folder in ordered]


def read_evaluations(run: Path) -> dict[str, dict[str, Any]]:
    """What `evaluate` left, by benchmark.

    Raises:
        DataError: A record is damaged.
    """
    records = {path.stem: read_json(path) for path in sorted((run / FOLDER).glob("*.json"))}
    for name, record in records.items():
        if "iou_per_name" not in record:
            raise DataError(f"{run / FOLDER / name}.json is no record of an evaluation; delete it and evaluate again.")
    return records


def about(run: Path, stages: Sequence[StageFacts]) -> dict[str, Any]:
    """What the run is, by its own files and its stages; empty where they say nothing."""
    facts, segmenter = read_json(run / "run.json"), read_json(run / "segmenter" / "config.json")
    learned = "M" if any(stage.tier == "M" for stage in stages) else "S"
    tier = "none" if segmenter.get("regime") == Regime.TRUTH else learned
    versions = next((stage.versions for stage in reversed(stages) if stage.versions), {})
    return {
        "system": str(facts.get("system") or segmenter.get("kind") or "unknown system"),
        "preset": str(facts.get("preset", "")),
        "names": read_kept_names(run).names or tuple(segmenter.get("id2label", {}).values())[1:],
        "tier": tier,
        "tier_in_words": TIERS[tier],
        "command": str(facts.get("command", "")),
        "images": str(facts.get("images", "")),
        "versions": ", ".join(f"{package} {version}" for package, version in versions.items()),
    }


def models_of(stages: Sequence[StageFacts]) -> list[ModelCard]:
    """Every model that a stage used, once, in order."""
    return list(dict.fromkeys(card for stage in stages for card in stage.models))


def _stage(name: str, manifest: Mapping[str, Any]) -> StageFacts:
    return StageFacts(
        name=name,
        seconds=float(manifest.get("seconds", 0.0)),
        peak_rss_mb=int(manifest.get("peak_rss_mb", 0)),
        counts=manifest.get("counts", {}),
        models=tuple(ModelCard(**card) for card in manifest.get("models", ())),
        tier=str(manifest.get("tier", "S")),
        versions=manifest.get("versions", {}),
    )


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file; empty where there is none.

    Raises:
        DataError: It is damaged.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}). Run its stage again.") from error
