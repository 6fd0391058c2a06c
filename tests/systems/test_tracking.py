"""Trackers are shown losses and sheets while a run trains, and change nothing of it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from namesake.cli import app
from namesake.errors import ConfigError
from namesake.images import open_images
from namesake.records import Names, Prediction
from namesake.systems import tracking
from namesake.systems.tracking import Tracking

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


class Bright:
    """A segmenter that calls bright pixels "noon"."""

    def segment_many(self, images):
        return [
            Prediction((i.mean(2) > 127).astype(np.uint8), np.ones(i.shape[:2], np.float32), None, i, Names(("noon",)))
            for i in images
        ]


class Notebook:
    """A tracker of the kind that accelerate has."""

    name = "wandb"

    def __init__(self) -> None:
        self.told: list = []

    def start(self) -> None:
        self.told.append("start")

    def log(self, values, step=None) -> None:
        self.told.append((values, step))

    def log_images(self, values, step=None) -> None:
        self.told.append(({title: len(pictures) for title, pictures in values.items()}, step))

    def finish(self) -> None:
        self.told.append("finish")


@pytest.fixture
def photos(tmp_path: Path):
    for number in range(8):
        picture = np.full((20, 30, 3), 30 * number, np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    (tmp_path / "0.png").write_bytes(b"broken")
    return open_images(tmp_path)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    found = Notebook()
    monkeypatch.setattr(tracking, "_open", lambda *_: found)
    monkeypatch.setattr(tracking, "find_spec", lambda _: object())
    return found


def test_tracking__starts_when_there_is_something_and_skips_broken_pictures(photos, notebook, tmp_path: Path):
    with Tracking(["wandb"], tmp_path, photos, every=5, device="cpu") as made:
        assert not notebook.told
        made.losses("training", 20, {"loss": 0.5})
        made.look("training", 20, Bright())
    assert notebook.told == [
        "start",
        ({"training/loss": 0.5, "training/iteration": 20}, None),
        ({"training/predictions": 1}, None),
        "finish",
    ]
    assert [path.name for path in made._paths] == ["1.png", "3.png", "4.png", "6.png", "7.png"]


def test_tracking__one_that_fails_is_left_out(photos, notebook, tmp_path: Path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(notebook, "log", refuse)
    with Tracking(["wandb"], tmp_path, photos, every=5, device="cpu") as made:
        made.losses("training", 20, {"loss": 0.5})
        made.look("training", 20, Bright())
    said = capsys.readouterr().err
    assert "wandb failed and logs no more of this run (OSError: no space left); the training goes on" in said
    assert notebook.told == ["start"]


@pytest.mark.parametrize(
    ("trackers", "every", "message"),
    [(["tensorbord"], 5, "Did you mean tensorboard"), (["tensorboard"], 0, "expected 1 update or more")],
)
def test_tracking__wrong_words(photos, tmp_path: Path, trackers: list[str], every: int, message: str):
    pytest.importorskip("tensorboard")
    with pytest.raises(ConfigError, match=message):
        Tracking(trackers, tmp_path, photos, every=every, device="cpu")


def test_tracking__missing_says_what_to_install(photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tracking, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="pip install mlflow"):
        Tracking(["mlflow"], tmp_path, photos, every=5, device="cpu")


@pytest.mark.slow
def test_run__tensorboard_reads_losses_and_sheets_and_the_segmenter_is_the_same(tiny, tmp_path: Path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    watching = {"plain": [], "watched": ["--log-with", "tensorboard", "--sheet-every", "20"]}
    for name, more in watching.items():
        options = tiny.options(tmp_path / name)
        result = CliRunner().invoke(app, ["run", "namedmask", *options, *more, "--device", "cpu", "--quiet"])
        assert result.exit_code == 0, result.output
    segmenters = [(tmp_path / name / "segmenter" / "model.safetensors").read_bytes() for name in watching]
    assert segmenters[0] == segmenters[1]
    assert not (tmp_path / "plain" / "logs").exists()
    found = events.EventAccumulator(str(tmp_path / "watched" / "logs"))
    found.Reload()
    what = "training the segmenter"
    assert [event.step for event in found.Scalars(f"{what}/loss")] == [20, 30]
    assert [event.step for event in found.Images(f"{what}/predictions")] == [20, 30]
    assert found.Images(f"{what}/predictions")[0].width > 900
