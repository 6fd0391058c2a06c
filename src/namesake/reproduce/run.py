"""A table in, values for each setting, seed and column out. Finished runs and values are not redone."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

from namesake import systems
from namesake.errors import ConfigError, unknown
from namesake.evaluation.provenance import Provenance, provenance_of, reading_of
from namesake.progress import note
from namesake.records import Regime
from namesake.reproduce.measures import benchmark_of, check_objects
from namesake.reproduce.papers import PAPERS
from namesake.reproduce.places import MINI_SCALE, Scale, names_of, place_at
from namesake.reproduce.table import Outcome, Place, Setting, Table, Trial, Values, with_nan
from namesake.workers import worker_pool
from namesake.workspace import read_manifest, write_json


def tables_of(paper: str) -> Mapping[str, Table]:
    """A paper's tables by number.

    Raises:
        ConfigError: There is no such paper.
    """
    if paper not in PAPERS:
        raise ConfigError(unknown("paper", paper, PAPERS))
    return PAPERS[paper]


def measure_table(
    paper: str, table: str, *, out: Path, seeds: Sequence[int], scale: Scale = MINI_SCALE, jobs: int = 1
) -> dict[str, Outcome]:
    """Measure a table, once a seed.

    Args:
        paper: A key of PAPERS.
        table: A key of its tables.
        out: Folder of worlds and runs, kept between calls and shared by all tables.
        seeds: At mini scale each has a world of its own.
        scale: Embedded world or real benchmarks.
        jobs: Seeds measured at a time, each in a process of its own.

    Returns:
        What each setting that is run came to, by its label.

    Raises:
        ConfigError: There is no such table, or real benchmarks are asked for without a root.
    """
    tables = tables_of(paper)
    if table not in tables:
        raise ConfigError(unknown(f"table of {paper}", table, tables))
    wanted = tables[table]
    if scale.root is None and scale.preset != "mini":
        raise ConfigError(f"the preset {scale.preset} needs --root, the folder of benchmarks and unlabelled images.")
    if scale.root is None and not wanted.on_world:
        raise ConfigError(f"{paper} {table} is measured on real data only: {wanted.differs} Give --preset and --root.")
    if scale.root is not None and not wanted.on_real_data:
        raise ConfigError(f"{paper} {table} is measured on the embedded world only; leave out --preset and --root.")
    tasks = [(paper, table, out / f"seed-{seed}", seed, scale) for seed in seeds]
    if jobs == 1 or len(seeds) == 1:
        measured = [_measure_seed(*task) for task in tasks]
    else:
        with worker_pool(jobs, start="spawn") as pool:
            measured = [future.result() for future in [pool.submit(_measure_seed, *task) for task in tasks]]
    today = date.today().isoformat()
    return {
        label: Outcome(
            {column: [each[label][0][column] for each in measured] for column in values},
            known.regime,
            known.tier,
            data,
            today,
        )
        for label, (values, known, data) in measured[0].items()
    }


class _Measured(NamedTuple):
    values: Values
    known: Provenance
    data_sets: tuple[str, ...]


def _measure_seed(paper: str, table: str, folder: Path, seed: int, scale: Scale) -> dict[str, _Measured]:
    """Values of every setting that is run, and what its run knew."""
    wanted = PAPERS[paper][table]
    other = "paper" if scale.root is None else "mini"
    ours = [setting for setting in wanted.settings if setting.system and setting.scale != other]
    what = f"{paper}-{table}"
    columns = {"": ""} if scale.root is None or wanted.on_very_objects else wanted.benchmarks
    places = {column: place_at(key, wanted, scale, folder=folder, seed=seed) for column, key in columns.items()}
    for place in places.values():
        check_objects(wanted, place)
    found: dict[str, _Measured] = {}
    for column, place in places.items():
        for setting in ours:
            one = _measure(setting, wanted, place, what)
            values = one.values if len(places) == 1 else {column: next(iter(one.values.values()))}
            before = found[setting.label].values if setting.label in found else {}
            found[setting.label] = one._replace(values=before | values)
    return found


def _measure(setting: Setting, table: Table, place: Place, what: str) -> _Measured:
    """Run a setting and measure it, unless the same run was measured so before."""
    trial, last = run_setting(setting, place, what)
    names = place.names[trial.setting.asked or setting.names]
    known = provenance_of(trial.run, benchmark_of(trial), names) if place.benchmark else Provenance()
    if trial.setting.facts.get("truth"):
        known = Provenance(Regime.TRUTH, "none")
    where = f"{place.benchmark}-" if place.benchmark and not place.rendered else ""
    label = "".join(letter if letter.isalnum() else "-" for letter in setting.label.lower())
    path = trial.run / "measured" / f"{what}-{where}{label}.json"
    held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if held.get("key") != last:
        held = {"key": last, "values": table.measure(trial)}
        write_json(path, held)
    return _Measured(with_nan(held["values"]), known, reading_of(trial.run).data_sets)


def run_setting(setting: Setting, place: Place, what: str) -> tuple[Trial, str]:
    """Run a setting, or find that it was run.

    Args:
        setting: The row.
        place: Data, folder and seed.
        what: Table or figure that it is for, in words.

    Returns:
        The trial, and the key of its last stage.
    """
    rendered = place.rendered
    config = setting.mini if place.preset == "mini" and setting.mini is not None else setting.config
    names = place.names[setting.names]
    if setting.names_of and not rendered:
        names, setting = names_of(setting.names_of), replace(setting, asked=setting.asked or setting.names)
    asked_with = [setting.names] if rendered else [asdict(names), place.preset]
    identity = json.dumps([setting.system, *asked_with, setting.until, config])
    folder = place.runs / f"{setting.system.replace('+', '-')}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    note(f"== {what}, seed {place.seed}: {setting.label}")
    done = systems.run(
        setting.system,
        names=names,
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
    return Trial(setting, folder, place), last
