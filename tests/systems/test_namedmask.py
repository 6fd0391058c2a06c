"""NamedMask end to end on a tiny world: every stage does its work, is reused, and survives being killed."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import namesake
from command_lines import Runner, digests
from namesake.errors import ConfigError, WorkspaceError

pytestmark = pytest.mark.slow

KILLED_IN = {
    "index": "index/started.json",
    "archives": "archives/started.json",
    "masks/saliency": "masks/saliency/started.json",
    "masks/experts": "masks/experts/experts",
    "segmenter": "segmenter/checkpoint.pt",
}
"""Stage -> the file or folder whose appearance says that the stage is at work."""


@pytest.fixture(scope="module")
def whole(tiny, runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    ended = runner(*command(tiny, folder))
    assert ended.code == 0, ended.err
    stages = json.loads(ended.out)["stages"]
    assert [stage["name"] for stage in stages] == list(KILLED_IN)
    return folder


def command(tiny, folder: Path) -> list[str]:
    return ["run", "namedmask", *tiny.options(folder), "--json"]


def test_run__again_reuses_everything(tiny, runner: Runner, whole: Path):
    before = digests(whole)
    ended = runner(*command(tiny, whole))
    assert all(stage["reused"] for stage in json.loads(ended.out)["stages"])
    assert digests(whole) == before


def test_run__killed_in_its_stages_ends_with_the_same_bytes(
    tiny, runner: Runner, whole: Path, long: bool, tmp_path: Path
):
    folder = tmp_path / "killed"
    for sign in list(KILLED_IN.values())[0 if long else -2 :]:
        assert runner(*command(tiny, folder), appears=folder / sign).code == -signal.SIGKILL, sign
    assert runner(*command(tiny, folder)).code == 0
    assert digests(folder) == digests(whole)


def test_run__other_options_in_the_same_folder(tiny, runner: Runner, whole: Path):
    before = digests(whole)
    ended = runner(*command(tiny, whole), "--config", "training.iterations=31")
    assert ended.code == 1
    assert "segmenter holds the same stage from other inputs or options: iterations: 30 -> 31" in ended.err
    assert "--overwrite" in ended.err
    assert digests(whole) == before


def test_run__until_a_stage_then_on(tiny, tmp_path: Path):
    options = tiny.options(tmp_path / "run")
    overrides = tuple(part for part in options if "=" in part)
    settings = {"names": "car, tree, mug", "images": tiny.images, "out": tmp_path / "run", "preset": "mini"}
    first = namesake.run("namedmask", **settings, config=overrides, until="archives")
    assert [stage["name"] for stage in first.stages] == ["index", "archives"]
    second = namesake.run("namedmask", **settings, config=overrides, until="masks")
    assert [stage["reused"] for stage in second.stages] == [True, True, False, False]
    with pytest.raises(WorkspaceError, match="names"):
        namesake.run("namedmask", **{**settings, "names": "car, tree"}, config=overrides)


def test_segmenter__from_python(tiny, whole: Path):
    segmenter = namesake.load(whole)
    image = np.asarray(Image.open(next(tiny.images.iterdir())).convert("RGB"))[:50, :61]
    result = segmenter.segment(image)
    assert result.labels.shape == result.confidence.shape == (50, 61)
    assert set(np.unique(result.labels)) <= {0, 1, 2, 3}
    assert segmenter.names.names == ("car", "tree", "mug")


@pytest.mark.parametrize("system", ["namedmask", "zutis"])
def test_run__stuff_that_is_no_name_is_refused_before_anything_runs(tiny, tmp_path: Path, system: str):
    options = {"preset": "mini", "config": ("stuff.names=tree,sky",)}
    with pytest.raises(ConfigError, match="stuff.names: sky is none of the names: car, tree"):
        namesake.run(system, names="car, tree", images=tiny.images, out=tmp_path / "run", **options)
    assert not (tmp_path / "run" / "index").exists()
