"""ZUTIS end to end on a tiny world: run, killed and continued, used with names never trained on, and scored."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import namesake
from command_lines import Runner
from namesake.prediction import open_predictions

pytestmark = pytest.mark.slow


def options(tiny, out: Path) -> list[str]:
    config = {
        "retrieval_clip": tiny.clip,
        "archives.images_per_name": 6,
        "saliency.network": tiny.saliency,
        "training.clip": tiny.clip,
        "training.iterations": 12,
        "training.batch_size": 2,
        "training.crop_size": 32,
        "training.num_workers": 0,
        "training.checkpoint_every": 4,
        "training.architecture.heads": 4,
        "training.architecture.queries": 5,
    }
    pairs = [part for path, value in config.items() for part in ("--config", f"{path}={value}")]
    names = "car, tree, mug"
    return ["run", "zutis", "--preset", "mini", "--names", names, "--images", str(tiny.images), "--out", out, *pairs]


@pytest.fixture(scope="module")
def whole(tiny, runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    ended = runner(*options(tiny, folder), "--json")
    assert ended.code == 0, ended.err
    stages = [stage["name"] for stage in json.loads(ended.out)["stages"]]
    assert stages == ["index", "archives", "masks/saliency", "segmenter"]
    return folder


def test_run__killed_in_training_ends_with_the_same_bytes(tiny, runner: Runner, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    killed = runner(*options(tiny, folder), appears=folder / "segmenter" / "checkpoint.pt")
    assert killed.code == -signal.SIGKILL
    assert runner(*options(tiny, folder)).code == 0
    for file in ("model.safetensors", "config.json", "metrics.jsonl"):
        assert (folder / "segmenter" / file).read_bytes() == (whole / "segmenter" / file).read_bytes()


def test_predict__names_never_trained_on(tiny, runner: Runner, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["predict", whole, tiny.scenes / "images", "--names", "dog, park bench", "--instances", "--out", out]
    ended = runner(*arguments, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["images"] == 4
    assert open_predictions(out).names.names == ("dog", "park bench")
    found = json.loads((out / "instances.json").read_text())
    assert [category["name"] for category in found["categories"]] == ["dog", "park bench"]
    assert "one object" in found["info"]["description"]
    claim = json.loads((out / "predictions.json").read_text())
    manifest = json.loads((whole / "segmenter" / "manifest.json").read_text())
    assert claim["source"] == manifest["key"]
    other = runner("predict", whole, tiny.scenes / "images", "--out", out)
    assert other.code == 1
    assert "other settings (names)" in other.err


def test_evaluate__objects_and_no_nan(tiny, runner: Runner, whole: Path) -> None:
    ended = runner("evaluate", whole, "--benchmark", "world", "--root", tiny.scenes, "--json")
    assert ended.code == 0, ended.err

    def refuse(constant: str):
        raise AssertionError(constant)

    scores = json.loads(ended.out, parse_constant=refuse)
    assert {"mean_iou_over_dataset", "ap", "ap50", "ap75", "class_agnostic_ap"} <= scores.keys()
    assert scores["ap_large"] is None  # 64 pixels hold no large object


def test_segmenter__from_python(tiny, whole: Path) -> None:
    segmenter = namesake.load(whole)
    image = np.asarray(Image.open(next(tiny.images.iterdir())).convert("RGB"))[:50, :61]
    found = segmenter.segment(image, names=["dog", "cat"])
    assert found.labels.shape == found.confidence.shape == found.instances.masks.shape[1:] == (50, 61)
    assert set(found.instances.names) <= {"dog", "cat"}


def test_run__names_join_later(tiny, runner: Runner, whole: Path, tmp_path: Path) -> None:
    """Archives and masks of the earlier names stay as they are; one segmenter knows all."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    ended = runner(*[part.replace("car, tree, mug", "dog, car, tree, mug") for part in map(str, options(tiny, folder))])
    assert ended.code == 0, ended.err
    for stage in ("archives/archives.parquet", "masks/saliency/masks-00000.parquet"):
        assert (folder / stage).read_bytes() == (whole / stage).read_bytes()
    assert (folder / "added" / "01" / "masks" / "saliency" / "manifest.json").is_file()
    assert namesake.load(folder).names.names == ("car", "tree", "mug", "dog")
    assert namesake.load(folder / "earlier" / "3-names").names.names == ("car", "tree", "mug")
