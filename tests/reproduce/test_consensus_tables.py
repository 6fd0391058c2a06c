"""The tables of our own system, cut short: every setting runs, and is measured by every column."""

from pathlib import Path
from typing import Any

import pytest

from namesake.records import Regime
from namesake.reproduce import PAPERS, consensus, places, reproduce, run
from namesake.systems import configure
from namesake.systems import run as run_system

ONE_UPDATE = {
    "consensus": ("training.iterations=1", "student.iterations=1", "archives.images_per_name=2"),
    "namedmask": ("training.iterations=1", "archives.images_per_name=2", "experts.iterations=1", "experts.groups=2"),
    "zutis": ("training.iterations=1", "archives.images_per_name=2"),
    "fmbseg": ("alignment.iterations=1",),
}


def cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world of a few images, and one update where a table asks for more."""
    for constant, count in (("UNLABELLED", 40), ("SCENES", 3), ("UNSEEN", 3)):
        monkeypatch.setattr(places, constant, count)

    def short(system: str, **options: Any) -> Any:
        asked = dict(each.split("=", 1) for each in options.pop("config"))
        own = dict(each.split("=", 1) for each in ONE_UPDATE.get(system, ()))
        config = asked | {path: value for path, value in own.items() if asked.get(path) != "0"}
        return run_system(system, **options, config=tuple(f"{path}={value}" for path, value in config.items()))

    def of_the_ceiling(system: str, **options: Any) -> Any:
        return configure(system, **options | {"config": ("student.iterations=1",)})

    monkeypatch.setattr(run.systems, "run", short)
    monkeypatch.setattr(consensus, "configure", of_the_ceiling)


@pytest.mark.slow
@pytest.mark.parametrize(
    "table", [key if key == "3" else pytest.param(key, marks=pytest.mark.long) for key in PAPERS["consensus"]]
)
def test_table__goes_through(table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_short(monkeypatch)
    rows, _ = reproduce("consensus", table, out=tmp_path, seeds=(0,))
    wanted = PAPERS["consensus"][table]
    ours = {row["setting"]: row["ours"] for row in rows}
    assert list(ours) == [each.label for each in wanted.settings]
    taught = {row["setting"] for row in rows if row["regime"] == Regime.TRUTH}
    assert taught == {each.label for each in wanted.settings if each.facts.get("truth")}
    assert all(set(wanted.columns) <= values.keys() for values in ours.values())
