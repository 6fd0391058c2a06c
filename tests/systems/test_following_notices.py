"""What a run warned of stands wherever its results are: embedded models on photographs, words nobody taught them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from namesake import notices
from namesake.cli import app
from namesake.evaluation.report import render_report

pytestmark = pytest.mark.slow
EMBEDDED = "on photographs their masks and scores mean nothing"
UNKNOWN = "has no word for zebra"


@pytest.fixture(autouse=True)
def unsaid() -> None:
    """Nothing was said in this process yet."""
    notices._said.clear()


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the embedded models with a word that they do not know."""
    notices._said.clear()
    out = tmp_path_factory.mktemp("warned") / "run"
    told = cli("run", "saliency+clip", *wanted(tiny, out))
    assert EMBEDDED in told.stderr
    assert UNKNOWN in told.stderr
    return out


def wanted(tiny, out: Path) -> list[str]:
    return ["--preset", "mini", "--names", "zebra, car", "--images", str(tiny.images), "--out", str(out)]


def cli(*arguments: str | Path):
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return result


def test_record__of_the_run_and_of_the_stage(made: Path) -> None:
    kept = json.loads((made / "run.json").read_text())["notices"]
    assert [bool(each["unknown"]) for each in kept] == [False, True]
    assert EMBEDDED in kept[0]["text"]
    assert kept[1]["unknown"] == ["zebra"]
    assert json.loads((made / "segmenter" / "manifest.json").read_text())["notices"] == kept[1:]


def test_run__stages_that_are_reused_say_it_again(made: Path, tiny) -> None:
    told = cli("run", "saliency+clip", *wanted(tiny, made))
    assert all(stage["reused"] for stage in json.loads(told.stdout)["stages"])
    assert EMBEDDED in told.stderr
    assert UNKNOWN in told.stderr
    assert len(json.loads((made / "run.json").read_text())["notices"]) == 2


def test_report__on_top(made: Path) -> None:
    page = render_report(made)
    assert page.index("Read this first") < page.index(EMBEDDED) < page.index(UNKNOWN) < page.index("What it cost")


def test_predict_and_dataset(made: Path, tiny, tmp_path: Path) -> None:
    predicted = cli("predict", made, tiny.images, "--out", tmp_path / "masks")
    assert EMBEDDED in predicted.stderr
    assert len(json.loads(predicted.stdout)["notices"]) == 2
    notices._said.clear()
    labelled = cli("label", "--run", made, "--images", tiny.images, "--out", tmp_path / "dataset")
    assert EMBEDDED in labelled.stderr
    assert len(json.loads((tmp_path / "dataset" / "dataset.json").read_text())["notices"]) == 2
    card = (tmp_path / "dataset" / "README.md").read_text()
    assert card.startswith("# zebra, car\n")
    assert card.index("Read this first") < card.index(EMBEDDED) < card.index(UNKNOWN) < card.index("Images: 20 images")


def test_trust__a_name_that_nobody_knows_is_marked_and_comes_first(made: Path, tiny) -> None:
    told = cli("trust", made, "--images", tiny.images)
    record = json.loads(told.stdout)
    assert [each.get("unknown_word", False) for each in record["names"]] == [True, False]
    assert EMBEDDED in told.stderr
    result = CliRunner().invoke(app, ["trust", str(made), "--images", str(tiny.images)])
    heading, first, *_ = result.stdout.splitlines()
    assert heading.split() == ["name", "trust,", "percent"]
    assert first.startswith("zebra ")
    assert first.endswith("the encoder has no word for it: this is how constant its guess is")
    page = render_report(made)
    assert 'zebra <span class="mark">the encoder has no word for it</span>' in page
    assert "car <span" not in page


def test_page__head(made: Path) -> None:
    pytest.importorskip("gradio", reason="the web page needs gradio: pip install '.[app]'")
    from namesake.app.browse import Browser
    from namesake.app.curate import Curator
    from namesake.app.look import Viewer
    from namesake.app.page import Subject, _head
    from namesake.segmenter import load_segmenter

    viewer, curator = Viewer(load_segmenter(made, device="cpu")), Curator(made, allowed=True)
    head = _head([Subject("run", viewer, Browser(made), curator)])
    assert head.index("Read this first") < head.index(EMBEDDED) < head.index(UNKNOWN)


def test_find__says_it_and_returns_it(tiny) -> None:
    picture = sorted(tiny.images.iterdir())[0]
    told = cli("find", "--object", picture, "--name", "zebra", "--images", tiny.images, "--preset", "mini")
    assert EMBEDDED in told.stderr
    kept = json.loads(told.stdout)["notices"]
    assert EMBEDDED in kept[0]["text"]
    assert kept[-1]["unknown"] == ["zebra"]
