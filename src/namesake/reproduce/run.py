"""A table and a place in, a value for each setting, seed and column out. Finished runs and values are not redone."""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from namesake import systems
from namesake.errors import ConfigError
from namesake.images import open_images
from namesake.progress import note
from namesake.records import Names
from namesake.reproduce.papers import PAPERS
from namesake.reproduce.table import Place, Setting, Table, Trial, Values
from namesake.workspace import read_manifest, write_json
from namesake.world import SEEN_NAMES, STUFF, UNSEEN_NAMES, write_world

UNLABELLED, SCENES, UNSEEN = 1_500, 200, 150
"""Images of the embedded world: without labels, with truth, and of names that no segmenter was trained on."""


def find_table(paper: str, table: str) -> Table:
    """A table by its paper and number.

    Raises:
        ConfigError: There is none.
    """
    if paper not in PAPERS:
        raise ConfigError(f"there is no paper {paper!r}; known are {', '.join(PAPERS)}.")
    if table not in PAPERS[paper]:
        raise ConfigError(f"{paper} has no table {table!r} here; it has {', '.join(PAPERS[paper])}.")
    return PAPERS[paper][table]


def measure_table(
    paper: str, table: str, *, out: Path, seeds: Sequence[int], jobs: int = 1, device: str = "auto"
) -> dict[str, dict[str, list[float]]]:
    """Measure a table on the embedded world, once a seed.

    Args:
        paper: A key of PAPERS.
        table: A key of its tables.
        out: Folder of worlds and runs, kept between calls and shared by all tables.
        seeds: Each has a world of its own.
        jobs: Seeds measured at a time, each in a process of its own.
        device: "auto", "cpu" or "cuda".

    Returns:
        For each setting by its label, the values of each column, one a seed.
    """
    find_table(paper, table)
    tasks = [(paper, table, out, seed, device) for seed in seeds]
    if jobs == 1 or len(seeds) == 1:
        measured = [_measure_seed(*task) for task in tasks]
    else:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            measured = [future.result() for future in [pool.submit(_measure_seed, *task) for task in tasks]]
    return {
        label: {column: [values[label][column] for values in measured] for column in measured[0][label]}
        for label in measured[0]
    }


def _measure_seed(paper: str, table: str, out: Path, seed: int, device: str) -> dict[str, Values]:
    """Values of every setting that is run."""
    wanted = PAPERS[paper][table]
    place = mini_place(out / f"seed-{seed}", seed=seed, device=device)
    ours = [setting for setting in wanted.settings if setting.system]
    return {setting.label: _measure(setting, wanted, place, f"{paper}-{table}") for setting in ours}


def mini_place(folder: Path, *, seed: int, device: str) -> Place:
    """The embedded world of a seed, rendered where it is missing."""
    world = folder / "world"
    write_world("unlabelled", world / "unlabelled", count=UNLABELLED, seed=seed, truth=True)
    write_world("scenes", world / "scenes", count=SCENES, seed=seed, names=SEEN_NAMES)
    write_world("scenes", world / "unseen", count=UNSEEN, seed=seed + 1_000, names=UNSEEN_NAMES)
    return Place(
        benchmark="world",
        roots={"things": world / "scenes", "unseen": world / "unseen"},
        images=open_images(world / "unlabelled" / "images"),
        truth=world / "unlabelled",
        names={
            "things": Names(SEEN_NAMES),
            "topics": Names((*SEEN_NAMES, *STUFF), background=()),
            "unseen": Names(UNSEEN_NAMES),
            "unseen topics": Names((*UNSEEN_NAMES, *STUFF), background=()),
        },
        preset="mini",
        seed=seed,
        device=device,
        runs=folder / "runs",
    )


def _measure(setting: Setting, table: Table, place: Place, what: str) -> Values:
    """Run a setting and measure it, unless the same run was measured so before."""
    config = setting.mini if setting.mini is not None and place.preset == "mini" else setting.config
    identity = json.dumps([setting.system, setting.names, setting.until, config])
    folder = place.runs / f"{setting.system.replace('+', '-')}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    note(f"== {what}, seed {place.seed}: {setting.label}")
    done = systems.run(
        setting.system,
        names=place.names[setting.names],
        images=place.images,
        out=folder,
        preset=place.preset,
        config=config,
        seed=place.seed,
        device=place.device,
        until=setting.until,
        beside=place.runs,
    )
    last = (read_manifest(folder / done.stages[-1]["name"]) or {})["key"]
    path = folder / "measured" / f"{what}-{_slug(setting.label)}.json"
    if path.is_file():
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if held["key"] == last:
            return dict(held["values"])
    values = table.measure(Trial(setting, folder, place))
    write_json(path, {"key": last, "values": values})
    return values


def _slug(label: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in label.lower())
