"""A system, names and unlabelled images in; a run folder with every stage's artifact out. Knows no system by name."""

import dataclasses
import json
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from namesake.config import override, paths, set_everywhere
from namesake.encoders.presets import embedded_notice
from namesake.errors import ConfigError, WorkspaceError
from namesake.images import open_images
from namesake.names import read_names, say_wording, table_of, write_names
from namesake.progress import note
from namesake.records import Images, Names
from namesake.systems.registry import SYSTEMS
from namesake.workspace import StoppedError, Workspace, write_json

RECORD = "run.json"
"""What a run folder is a run of; written when the run begins, and again when it ends."""


class Run(NamedTuple):
    """What a run left: its folder, and per stage its name, seconds, whether it was reused, and counts."""

    folder: Path
    stages: list[dict[str, Any]]


def run(
    system: str,
    *,
    names: Names | str | Path | None = None,
    images: Images | str | Path,
    out: str | Path,
    preset: str = "paper",
    config: tuple[str, ...] = (),
    seed: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    until: str | None = None,
    beside: Path | None = None,
) -> Run:
    """Run a system; an interrupted or finished run of the same kind in `out` is continued, not redone.

    Args:
        system: A key of SYSTEMS.
        names: Names, a comma list, or a file of names; None for systems that need none (selfmask).
        images: A folder of unlabelled images.
        out: The run folder.
        preset: "mini" (embedded models) or "paper" (the published ones).
        config: Overrides such as `training.iterations=100`.
        seed: Of everything random; the preset's own if None.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace stages that other options made.
        until: Stop after the stage whose folder has this name ("index", "archives", "masks", "segmenter").
        beside: A folder of other runs, whose stages from the same inputs and options are linked in, not redone.

    Raises:
        NamesakeError: An unknown system, preset or option, or what the stages raise; what was finished before stays.
    """
    chosen = configure(system, preset=preset, config=config, seed=seed, device=device)
    words = names if isinstance(names, Names) else Names(()) if names is None else read_names(names)
    pictures = images if isinstance(images, Images) else open_images(Path(images))
    folder = Path(out)
    record = {
        "system": system,
        "names": list(words.names),
        "preset": preset,
        "config": dataclasses.asdict(chosen),
        "images": str(pictures.folder),
        "command": " ".join(sys.argv),
    }
    with Workspace(folder, overwrite=overwrite, until=until, beside=beside) as workspace:
        claim(folder, record, words, overwrite=overwrite)
        _say_names(words)
        _say_embedded(embedded_notice(_texts(chosen)))
        with suppress(StoppedError):
            SYSTEMS[system].function(words, pictures, config=chosen, step=workspace.step)
        write_record(folder, record, words)
    return Run(folder, workspace.stages)


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


def _say_names(names: Names) -> None:
    """The table that the names were resolved to, and what is doubtful about it."""
    if len(names):
        note("\n".join(["names:", *table_of(names)]))
        say_wording(names)


def _texts(config: Any) -> list[str]:  # noqa: ANN401
    values = paths(config).values()
    return [str(part) for value in values for part in (value if isinstance(value, tuple) else (value,))]


@cache
def _say_embedded(notice: str) -> None:
    """Once a process."""
    if notice:
        note(notice)


def write_record(folder: Path, record: dict[str, Any], names: Names) -> None:
    """Write `names.json` and `run.json`."""
    write_names(names, folder / "names.json")
    write_json(folder / RECORD, record)


def configure(
    system: str, *, preset: str, config: tuple[str, ...] = (), seed: int | None = None, device: str = "auto"
) -> Any:  # noqa: ANN401
    """The configuration of a system: its preset with overrides.

    Raises:
        ConfigError: Unknown system, preset or option.
    """
    if system not in SYSTEMS:
        raise ConfigError(f"there is no system {system!r}; known are {', '.join(SYSTEMS)}.")
    presets = SYSTEMS[system].presets
    if preset not in presets:
        raise ConfigError(f"{system} has no preset {preset!r}; it has {', '.join(presets)}.")
    chosen = set_everywhere(presets[preset], "device", device)
    if seed is not None:
        chosen = set_everywhere(chosen, "seed", seed)
    return override(chosen, config)
