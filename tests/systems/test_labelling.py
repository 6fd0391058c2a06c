"""`label` end to end on a tiny world: a dataset in every format, the same when asked for again, an error when empty."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from namesake.cli import app
from namesake.errors import DataError, WorkspaceError
from namesake.prediction.export import EXPORTS

pytestmark = pytest.mark.slow


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the dataset with its bytes; those of the run behind it are left out."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in files if folder / "run" not in path.parents}


def label(tiny, out: Path, *more: str) -> dict[str, object]:
    config = ["--preset", "mini", "--config", f"clip={tiny.clip}", "--config", "resize_shorter=32", "--device", "cpu"]
    arguments = ["label", "--images", str(tiny.images), "--out", str(out), *config, "--json", "--quiet", *more]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def test_label__a_dataset_then_the_same_from_its_run(tiny, tmp_path):
    names = ("--names", "car, tree, mug", "--system", "maskclip", "--config", "threshold=0.0")
    found = label(tiny, tmp_path / "data", *names)
    assert (found["images"], found["skipped"]) == (20, 0)
    assert 0 < found["labelled"] <= 20
    assert EXPORTS.keys() < found["exports"].keys()
    assert (found["train"], found["val"]) == (16, 4)
    before = contents(tmp_path / "data")
    assert label(tiny, tmp_path / "data", *names) == found
    assert contents(tmp_path / "data") == before
    again = label(tiny, tmp_path / "again", "--run", str(tmp_path / "data" / "run"))
    assert again["exports"] == found["exports"]


def test_label__a_name_that_joins(tiny, tmp_path):
    """A dataset of one name more, without --overwrite, which would train everything again."""
    run = [part for part in tiny.options(tmp_path / "data" / "run") if "=" in part]
    config = [part for each in (*run, "experts.iterations=0") for part in ("--config", each)]
    for names in ("car, tree", "car, tree, mug"):
        arguments = ["label", "--system", "namedmask", "--names", names, "--images", str(tiny.images), "--json"]
        more = ["--out", str(tmp_path / "data"), "--preset", "mini", *config, "--device", "cpu"]
        done = CliRunner().invoke(app, [*arguments, *more], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        content = json.loads((tmp_path / "data" / "annotations" / "instances_train.json").read_text())
        assert [each["name"] for each in content["categories"]] == names.split(", ")
    assert (tmp_path / "data" / "run" / "earlier" / "2-names").is_dir()


def test_label__nothing_found_is_an_error(tiny, tmp_path):
    with pytest.raises(DataError, match="nothing was labelled"):
        label(tiny, tmp_path / "data", "--names", "car, tree", "--system", "maskclip", "--config", "threshold=1.0")


def test_label__users_folder_is_left_alone(tiny, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("by hand")
    with pytest.raises(WorkspaceError, match="holds no dataset"):
        label(tiny, tmp_path / "mine", "--names", "car", "--system", "maskclip")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
