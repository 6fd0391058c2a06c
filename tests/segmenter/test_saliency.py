"""A saliency network's folder is a segmenter of one name: it opens, predicts, and travels as a program."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from namesake.cli import app
from namesake.masks.detect import detect
from namesake.networks.selfmask import SelfMask, load_selfmask, save_selfmask
from namesake.segmenter import Segmenter, load_segmenter
from namesake.segmenter.export import export_segmenter
from namesake.segmenter.export.write import _open_torch, open_onnx
from namesake.segmenter.settings import OBJECT
from namesake.shapes import ImageArray
from tiny_models import TINY_SELFMASK, randomise

pytestmark = pytest.mark.slow

OPEN = {"onnx": ("model.onnx", open_onnx), "torch": ("model.pt2", _open_torch)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that holds a saliency network, and nothing else."""
    folder = tmp_path_factory.mktemp("run")
    network = SelfMask(TINY_SELFMASK)
    randomise(network, seed=5)
    save_selfmask(network, folder / "saliency")
    return folder


@pytest.fixture
def saliency(run: Path) -> Segmenter:
    return load_segmenter(run, device="cpu")


def picture(height: int, width: int, *, seed: int = 3) -> ImageArray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_predict__the_mask_of_the_most_object_like_query(run: Path, saliency: Segmenter) -> None:
    network = load_selfmask(run, device="cpu")
    assert saliency.names.names == (OBJECT,)
    for size in ((32, 40), (33, 47)):  # of the network's own shorter side, and not
        image = picture(*size)
        found = saliency.segment(image)
        (expected,) = detect(network, [image], solver=None)
        assert found.labels.shape == size
        assert ((found.labels == 1) == expected.mask).mean() > (0.999 if size[0] == 32 else 0.9)
        assert 0.5 <= found.confidence.min() <= found.confidence.max() <= 1
    assert 0 < (found.labels == 1).mean() < 1


@pytest.mark.long
@pytest.mark.parametrize("form", ["onnx", "torch"])
def test_export__any_size(saliency: Segmenter, tmp_path: Path, form: str) -> None:
    made = export_segmenter(saliency, [picture(32, 32), picture(70, 90)], out=tmp_path, format=form)
    assert made.check.max_difference < 1e-3
    assert made.check.labels_agreement > 99.5
    assert made.check.sizes[:2] == ((32, 32), (32, 41)), "compared at the shorter side that the network wants"
    name, opened = OPEN[form]
    image = picture(32, 53, seed=9)
    probability, labels, objectness = opened(tmp_path / name)(image.transpose(2, 0, 1)[None].copy())
    own = saliency.segment(image)
    assert (labels[0] == own.labels).mean() > 0.995
    assert np.abs(np.where(labels[0] == 1, probability[0], 1 - probability[0]) - own.confidence).max() < 1e-3
    assert objectness.shape == (1,)
    facts = json.loads((tmp_path / "export.json").read_text())
    assert facts["resize_shorter_side_to"] == 32
    assert facts["names"] == ["background", OBJECT]


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_export__smaller_weights(saliency: Segmenter, tmp_path: Path, precision: str) -> None:
    made = export_segmenter(saliency, [picture(32, 48)], out=tmp_path, format="torch", precision=precision)
    assert 0 < made.check.max_difference < 1
    assert made.check.labels_agreement > 80


def test_command__predict_and_export(run: Path, tmp_path: Path) -> None:
    arguments = ["export", str(run), "--format", "torch", "--count", "1", "--out", str(tmp_path), "--json", "--quiet"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["max_difference"] < 1e-3
