"""A run folder and what it is a run of in; `run.json` and `names.json`, or a refusal to mix two runs, out."""

import json
from pathlib import Path
from typing import Any

from namesake.config import to_yaml
from namesake.errors import WorkspaceError
from namesake.names import KEPT, write_names
from namesake.records import Names
from namesake.workspace import RECORD, write_bytes, write_json

CONFIG = "config.yaml"
"""Every option of a run, in a form that `--config` takes back, with the same preset."""


def claim(folder: Path, record: dict[str, Any], names: Names, *, overwrite: bool) -> None:
    """Say what the run is, unless the folder says so already.

    Raises:
        WorkspaceError: It holds a run of another system or of other names, and `overwrite` is off.
    """
    path = folder / RECORD
    if path.is_file() and not overwrite:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            other = {key: found[key] for key in ("system", "names") if found[key] != record[key]}
        except (OSError, ValueError, KeyError, TypeError):
            other = {}  # damaged: the stages decide
        if other:
            held = "; ".join(f"{key}: {value}" for key, value in other.items())
            raise WorkspaceError(
                f"{folder} holds another run ({held}). Use --overwrite to replace it, or another --out to keep both."
            )
        return
    write_record(folder, record, names)


def write_record(folder: Path, record: dict[str, Any], names: Names) -> None:
    """Write `names.json` and `run.json`."""
    write_names(names, folder / KEPT)
    write_json(folder / RECORD, record)


def write_config(folder: Path, record: dict[str, Any], config: Any) -> None:  # noqa: ANN401
    """Write `config.yaml`: every option of the run as it was resolved."""
    head = f"# namesake run {record['system']} --preset {record['preset']} --config {CONFIG} does the same again\n"
    write_bytes(folder / CONFIG, head + to_yaml(config))
