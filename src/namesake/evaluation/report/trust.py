"""A run folder in; what its own predictions say of how far to trust them, ready for the template, out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namesake.evaluation.report.run_folder import read_json
from namesake.evaluation.report.sections import Figure, figure
from namesake.evaluation.trust_run import FOLDER, RECORD
from namesake.images import read_image

WORDS = {
    "names_by_trust": "names, by trust",
    "names_by_agreement": "names, by agreement",
    "names_by_confidence": "names, by confidence",
    "images_by_trust": "images, by trust",
    "images_by_agreement": "images, by agreement",
    "images_by_confidence": "images, by confidence",
}


@dataclass(frozen=True)
class TrustSection:
    """The record, names from least to most trusted, how well trust ranks, and the images to look at first."""

    record: Mapping[str, Any]
    names: list[Mapping[str, Any]]
    ranks: list[tuple[str, float]]
    figures: list[Figure]
    ordinary: list[Figure]

    @property
    def least(self) -> list[str]:
        """The names to trust least, at most three."""
        return [str(each["name"]) for each in self.names[:3]]


def trust(run: Path) -> TrustSection | None:
    """What `namesake trust` left; None where it has not run."""
    record = read_json(run / FOLDER / RECORD)
    if not record:
        return None
    names = sorted(record["names"], key=lambda each: (not each.get("unknown_word"), float(each["trust"] or 0)))
    quality = record.get("rank_quality") or {}
    ranks = [(words, quality[key]) for key, words in WORDS.items() if quality.get(key) is not None]
    return TrustSection(record, names, ranks, _figures(run, record, "pictures"), _figures(run, record, "ordinary"))


def _figures(run: Path, record: Mapping[str, Any], kind: str) -> list[Figure]:
    return [
        figure(read_image(run / FOLDER / each["file"]), caption=each["image"])
        for each in record.get(kind, ())
        if (run / FOLDER / each["file"]).is_file()
    ]
