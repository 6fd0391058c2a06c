"""A segmenter's settings and the run that it lies in, in; the text of its model card (README.md) out."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from namesake.encoders import embedded_notice
from namesake.errors import DataError
from namesake.records import ModelCard
from namesake.segmenter.settings import Settings
from namesake.workspace import MANIFEST, read_manifest

TIERS = {
    "S": "S: no human mask had a part in any model that it was made from.",
    "M": "M: one of the models that it was made from learned from masks that people helped to draw (SAM).",
}
HEAD = """---
library_name: namesake
pipeline_tag: image-segmentation
license: other
tags: [image-segmentation, annotation-free]
---
"""


IMPACT = (
    "It inherits the biases of the models and collections that it was made from: CLIP's of text and images from the "
    "web, DINO's of ImageNet. No person has checked its masks; check them yourself before they decide anything about "
    "people."
)


def write_card(settings: Settings, *, title: str, source: str, run: Path | None) -> str:
    """Markdown that says what the segmenter knows, from what it was made, how good it is and how it is used.

    Args:
        settings: Content of its `config.json`.
        title: Title of the card.
        source: Source that it is loaded from, for the example: `hf-hub:org/name` or a folder.
        run: The run folder, whose manifests and evaluations tell more; None where there is none.

    Raises:
        DataError: A record of the run's evaluations is damaged.
        WorkspaceError: A manifest of the run is damaged.
    """
    models = teachers(settings, run)
    notice = embedded_notice(card.source for card in models)
    tier = "M" if any(card.tier == "M" for card in models) else "S"
    parts = [
        f"{HEAD}# {title}",
        f"A segmenter of the kind `{settings.kind}` made with namesake: an image in, a name for every pixel out.",
        notice,
        f"- Regime: {settings.regime}\n- Supervision tier {TIERS[tier]}",
        _names(settings),
        _models(models),
        _scores(run),
        IMPACT,
        _use(settings, source),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def teachers(settings: Settings, run: Path | None) -> list[ModelCard]:
    """Every model that had a part in a segmenter: those in its settings, and those in the manifests of its run."""
    found = list(settings.models)
    for path in [] if run is None else sorted([*run.glob(f"*/{MANIFEST}"), *run.glob(f"*/*/{MANIFEST}")]):
        found += [ModelCard(**card) for card in (read_manifest(path.parent) or {}).get("models", ())]
    return list(dict.fromkeys(found))


def _names(settings: Settings) -> str:
    names = settings.names
    rows = [(str(label), name, ", ".join(others)) for label, (name, *others) in enumerate(names.words, start=1)]
    return "## Names\n\n" + _table(("label", "name", "also"), [("0", "background", ", ".join(names.background)), *rows])


def _models(models: list[ModelCard]) -> str:
    rows = [(card.name, card.source, card.licence, card.tier) for card in models]
    return (
        "## Made from\n\n"
        + _table(("model", "source", "licence", "tier"), rows)
        + "\n\nTheir licences bind whoever uses these weights; `unknown` is for you to find out."
    )


def _scores(run: Path | None) -> str:
    files = [] if run is None else sorted((run / "evaluation").glob("*.json"))
    rows = [_row(file.stem, _read(file)) for file in files]
    if not rows:
        return "## Scores\n\nNot measured."
    return "## Scores\n\nIn percent.\n\n" + _table(
        ("benchmark", "mean IoU over dataset", "pixel accuracy", "mask AP", "images"), rows
    )


def _row(benchmark: str, record: Mapping[str, Any]) -> tuple[str, ...]:
    objects = record.get("instances") or {}
    values = (record.get("mean_iou_over_dataset"), record.get("pixel_accuracy"), objects.get("ap"))
    return benchmark, *("" if value is None else f"{value:.1f}" for value in values), str(record.get("images", ""))


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{file} is damaged ({error}). Delete it and evaluate again.") from error


def _use(settings: Settings, source: str) -> str:
    lines = [
        "import namesake",
        "",
        f'segmenter = namesake.load("{source}")',
        'result = segmenter.segment("photo.jpg")',
        f"result.labels      # [height, width]; 0 background, 1 to {len(settings.names)} the names above",
    ]
    return "## Use\n\n```python\n" + "\n".join(lines) + "\n```"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
