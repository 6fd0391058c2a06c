"""Read and write the manifest of a stage, which is written last and says that the stage is finished."""

import dataclasses
import importlib.metadata
import json
import platform
import resource
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import namesake
from namesake.errors import WorkspaceError
from namesake.notices import Notice, notices_in
from namesake.records import Artifact, ModelCard
from namesake.workspace.atomic import write_json

MANIFEST = "manifest.json"
STARTED = "started.json"
RECORD = "run.json"
"""What a run folder is a run of; written when the run begins, and again when it ends, with its notices."""
VERSIONED = ("torch", "transformers", "numpy")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished stage; None where there is none.

    Raises:
        WorkspaceError: The file is there but is not a manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        manifest["key"], manifest["stage"]
        # runs from before this was recorded: the functions of stages that assemble had this prefix
        manifest.setdefault("assembles", str(manifest.get("function", "")).startswith("build_"))
    except (ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"{path} is damaged ({error}). Delete {folder} to compute that stage again.") from error
    return dict(manifest)


def read_facts(folder: Path) -> tuple[dict[str, int], tuple[ModelCard, ...]]:
    """Counts and models of a finished stage; none where there is no manifest.

    Raises:
        WorkspaceError: The manifest is damaged.
    """
    manifest = read_manifest(folder) or {}
    return manifest.get("counts") or {}, tuple(ModelCard(**card) for card in manifest.get("models", ()))


def read_started(folder: Path) -> dict[str, Any] | None:
    """What a stage that is not finished was begun with; None where none was begun, or nothing readable is left."""
    started = read_record(folder / STARTED)
    return started if "key" in started else None


def read_record(path: Path) -> dict[str, Any]:
    """What a JSON table of ours says, such as `run.json`; nothing where it is missing or damaged."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def read_notices(run: Path) -> list[Notice]:
    """What a run warned of, from its record and its stages; of a segmenter's folder, the run's that it lies in."""
    folder = run if (run / RECORD).is_file() else run.parent
    if not (folder / RECORD).is_file():
        return []
    stages = [path for depth in ("*", "*/*", "*/*/*") for path in sorted(folder.glob(f"{depth}/{MANIFEST}"))]
    notices: list[Notice] = []
    for path in (folder / RECORD, *stages):
        with suppress(OSError, ValueError):
            notices += notices_in(json.loads(path.read_text(encoding="utf-8")))
    return list(dict.fromkeys(notices))


def write_manifest(folder: Path, head: Mapping[str, Any], made: Artifact, seconds: float) -> None:
    """Say that a stage is finished: `head` (name, key, what it is, function, inputs, config), and what came of it."""
    tier = "M" if any(card.tier == "M" for card in made.models) else "S"
    write_json(
        folder / MANIFEST,
        {
            **head,
            "counts": dict(made.counts),
            "models": [dataclasses.asdict(card) for card in made.models],
            "tier": tier,
            "seconds": round(seconds, 2),
            "peak_rss_mb": peak_rss_mb(),
            "versions": {"namesake": namesake.__version__}
            | {package: version_of(package) or "source" for package in VERSIONED}
            | {"python": platform.python_version()},
        },
    )
    (folder / STARTED).unlink(missing_ok=True)


def peak_rss_mb() -> int:
    """Largest resident memory of this process and of any of its finished children so far, in MiB."""
    kilobytes = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(max(kilobytes) / 1024)


def version_of(package: str) -> str | None:
    """Version of an installed package; None where it is not installed, or runs from its source."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
