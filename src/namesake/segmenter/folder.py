"""The record of a segmenter on disk: a folder with `config.json` and `model.safetensors`, its own or within a run's."""

from dataclasses import dataclass, field
from pathlib import Path

from namesake.errors import WeightsError
from namesake.records import Artifact, Names
from namesake.segmenter.settings import CONFIG, read_settings
from namesake.workspace import read_manifest

FOLDER = "segmenter"


@dataclass(frozen=True)
class SegmenterFolder(Artifact):
    """A segmenter on disk; `load_segmenter(folder)` makes it ready.

    Attributes:
        names: What it segments.
        kind: How.
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
    for place in (folder, folder / FOLDER):
        if (place / CONFIG).is_file():
            return place
    raise WeightsError(
        f"expected a segmenter in {folder} or {folder / FOLDER}, found no {CONFIG}. "
        "Give the folder of a run that is finished, or continue the run with the command that began it."
    )
