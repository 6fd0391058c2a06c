"""Before a run: its stages, work and models without making anything, times by a rehearsal that leaves no trace."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from namesake import notices
from namesake.cli import app
from namesake.config import check
from namesake.errors import ConfigError
from namesake.images import open_images
from namesake.names import read_names
from namesake.notices import collecting
from namesake.records import Images
from namesake.systems import SYSTEMS, Plan, configure, plan_lines
from namesake.systems import plan as plan_of
from namesake.systems.planning import Planned, make_plan, recall_plan, shrink, use_plan


def paper(system: str, count: int = 10_000, *config: str) -> Plan:
    """The plan of a run of published models for two names on so many images."""
    images = Images(Path("nowhere"), tuple(f"{number}.jpg" for number in range(count)))
    return plan_of(system, names="dog, cat", images=images, preset="paper", config=config)


def test_plan__stages_and_work_of_the_papers_settings() -> None:
    plan = paper("namedmask")
    assert [(each.stage, each.work, each.unit) for each in plan.stages] == [
        ("index", 10_000, "images"),
        ("archives", 2, "names"),
        ("masks/saliency", 1_000, "images"),
        ("masks/experts", 2 * 5_000 * 8, "samples"),
        ("segmenter", 20_000 * 16, "samples"),
    ]
    assert paper("namedmask", 30).stages[2].work == 30
    assert paper("namedmask", 30, "experts.iterations=0").stages[3].stage == "segmenter"
    assert [each.work for each in paper("fmbseg", 300).stages] == [300, 3_000]
    assert [each.work for each in paper("maskclip").stages] == [0]


def test_plan__without_the_models__what_is_to_be_fetched_and_no_hours() -> None:
    plan = paper("namedmask")
    assert 1.9e9 < plan.bytes_to_fetch < 2.0e9
    assert plan.seconds is None
    lines = plan_lines(plan)
    assert "selfmask_nq20.pt (145 MB to fetch)" in " ".join(lines)
    assert lines[-1] == "in all: 1.95 GB to fetch, measured when the models are here (namesake fetch)"


@pytest.mark.slow
@pytest.mark.parametrize("system", ["consensus", "namedmask", "zutis", "selfmask", "maskclip", "reco"])
def test_measured__every_stage_has_a_time_and_nothing_is_left(system: str, tiny, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    images, state = open_images(tiny.images), torch.random.get_rng_state()
    names = read_names("car, tree, zebra") if SYSTEMS[system].named else read_names("car")
    workers = ("training.num_workers=0",) if hasattr(configure(system, preset="mini"), "training") else ()
    stuff = ("stuff=('zebra',)",) if system == "consensus" else ()
    config = configure(system, preset="mini", config=(*workers, *stuff))
    notices._said.clear()
    with collecting() as kept:
        plan = make_plan(SYSTEMS[system], config, names, images, sources={}, measure=True)
    assert plan.reason == ""
    assert all(each.seconds is not None and each.seconds >= 0 for each in plan.stages)
    assert plan.seconds == pytest.approx(sum(each.seconds for each in plan.stages))
    assert kept == []
    assert notices._said == set()
    assert torch.equal(state, torch.random.get_rng_state())
    assert list(tmp_path.iterdir()) == []


def test_measured__a_rehearsal_that_fails_is_no_error(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("of any kind")

    monkeypatch.setattr("namesake.systems.planning._rehearse", fail)
    plan = plan_of("maskclip", names="car", images=tiny.images, preset="mini")
    assert (plan.seconds, plan.reason) == (None, "not measured: on 6 images, RuntimeError")


def test_shrink__what_fits_together() -> None:
    config = configure("namedmask", preset="paper", config=("training.gradient_accumulation_steps=4",))
    shrunk = shrink(config, batch=8)
    check(shrunk)
    assert (shrunk.training.batch_size, shrunk.training.gradient_accumulation_steps) == (8, 1)
    for option in ("training.gradient_accumulation_steps=16", "experts.batch_size=1"):  # a batch's statistics want two
        with pytest.raises(ConfigError, match=r"2 (samples )?or more"):
            configure("namedmask", preset="paper", config=(option,))


def test_short_run__is_not_measured(tiny) -> None:
    plan = make_plan(
        SYSTEMS["maskclip"], configure("maskclip", preset="mini"), read_names("car"), open_images(tiny.images),
        sources={"clip": "embedded:clip"},
    )  # fmt: skip
    assert plan.reason == "not measured: it is short"


def test_dry_run__prints_and_writes_nothing(tiny, tmp_path: Path) -> None:
    arguments = ["run", "saliency+clip", "--names", "car", "--images", str(tiny.images), "--preset", "mini"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run"), "--dry-run", "--json"])
    record = json.loads(result.stdout)
    assert [stage["stage"] for stage in record["stages"]] == ["segmenter"]
    assert record["bytes_to_fetch"] == 0
    assert {model["status"] for model in record["models"]} == {"present"}
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("columns", "wide"), [("120", True), ("50", False)])
def test_lines__a_table_or_one_line_a_stage(columns: str, wide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    stages = (
        Planned("index", 10_000, "images", ("org/clip",), 90.0),
        Planned("segmenter", 320_000, "samples", (), 400_000.0),
    )
    lines = plan_lines(Plan(stages, (), "cpu"))
    assert (lines[0].split() == ["stage", "work", "time", "here", "models"]) == wide
    assert lines[-2] == "in all: about 5 days on cpu"
    assert "--preset laptop" in lines[-1]
    if not wide:
        assert lines[0] == "1 index, 10,000 images, 90 s, clip"


def test_plan__kept_with_the_run_and_recalled(tmp_path: Path) -> None:
    plan = Plan((Planned("index", 10, "images", ("org/clip",), 2.0),), (), "cpu")
    use_plan(plan, tmp_path)
    assert recall_plan(tmp_path) == plan
    (tmp_path / "plan.json").write_text("{}")
    assert recall_plan(tmp_path) is None
