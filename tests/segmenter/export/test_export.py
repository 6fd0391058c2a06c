"""An exported program says what the segmenter says, for images and names that it was not traced with."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import UInt8
from numpy import ndarray
from typer.testing import CliRunner

from namesake.cli import app
from namesake.errors import ConfigError, ImagesError, WeightsError
from namesake.records import Names
from namesake.segmenter import Segmenter
from namesake.segmenter.export import export_segmenter
from namesake.segmenter.export.write import _open_onnx, _open_torch

OPEN = {"onnx": ("model.onnx", _open_onnx), "torch": ("model.pt2", _open_torch)}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def pictures(*sizes: tuple[int, int]) -> list[UInt8[ndarray, "_ _ 3"]]:
    generator = np.random.default_rng(3)
    return [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.mark.parametrize("form", ["onnx", "torch"])
def test_closed_set__float32(segmenter: Segmenter, tmp_path: Path, form: str) -> None:
    made = export_segmenter(segmenter, pictures((64, 48), (33, 71)), out=tmp_path / "out", format=form)
    assert made.check.max_difference < 1e-3
    assert made.check.labels_agreement > 99.9
    assert len(made.check.sizes) == 3
    assert made.check.exported_seconds > 0
    facts = json.loads((tmp_path / "out" / "export.json").read_text())
    assert [each["word"] for each in facts["words"]] == ["background", "dog", "park bench"]
    assert facts["measured"]["max_difference"] == made.check.max_difference
    assert list(facts["inputs"]) == ["image"]
    name, opened = OPEN[form]
    logits, labels = opened(tmp_path / "out" / name)(pictures((50, 90))[0].transpose(2, 0, 1)[None].copy())
    assert logits.shape[:2] == (1, 3)
    assert labels.shape == (1, 50, 90)


@pytest.mark.parametrize("form", ["onnx", "torch"])
def test_open_vocabulary__other_names_are_an_input(query: Segmenter, tmp_path: Path, form: str) -> None:
    made = export_segmenter(query, pictures((40, 56), (80, 32)), out=tmp_path, format=form)
    assert made.check.max_difference < 1e-3
    assert made.check.labels_agreement > 99.5
    others = query.with_names(Names(("bench", "cat", "park", "red dog", "dog")))
    texts = others.predictor.texts.numpy()
    assert np.load(tmp_path / "texts.npy").shape != texts.shape
    (image,) = pictures((48, 64))
    name, opened = OPEN[form]
    _, labels, masks, tokens = opened(tmp_path / name)(image.transpose(2, 0, 1)[None].copy(), texts)
    expected = others.segment(image)
    assert (np.array(others.predictor.words.labels)[labels[0]] == expected.labels).mean() > 0.995
    assert masks.shape == (1, 6, 12, 16)
    assert np.allclose(np.linalg.norm(tokens, axis=-1), 1, atol=1e-4)


@pytest.mark.parametrize("form", ["onnx", "torch"])
@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_precision__smaller_and_its_loss_is_measured(
    segmenter: Segmenter, tmp_path: Path, form: str, precision: str
) -> None:
    whole = export_segmenter(segmenter, pictures((64, 48)), out=tmp_path / "whole", format=form)
    small = export_segmenter(segmenter, pictures((64, 48)), out=tmp_path / "small", format=form, precision=precision)
    assert small.file.stat().st_size < whole.file.stat().st_size
    assert whole.check.max_difference < small.check.max_difference < 0.5
    assert 80 < small.check.labels_agreement <= 100


def test_the_segmenter_is_left_as_it_is(segmenter: Segmenter, tmp_path: Path) -> None:
    before = {key: value.clone() for key, value in segmenter.predictor.weights().items()}
    export_segmenter(segmenter, pictures((64, 48)), out=tmp_path, format="torch", precision="int8")
    after = segmenter.predictor.weights()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_program_that_differs_is_refused(
    segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("namesake.segmenter.export.write.TOLERANCE", -1.0)
    with pytest.raises(WeightsError, match="differs from the segmenter by up to"):
        export_segmenter(segmenter, pictures((64, 48)), out=tmp_path, format="torch")


@pytest.mark.parametrize("options", [{"format": "coreml"}, {"precision": "int4"}])
def test_unknown_option__lists_the_known(segmenter: Segmenter, tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="expected one of"):
        export_segmenter(segmenter, pictures((64, 48)), out=tmp_path, **options)


def test_no_images(segmenter: Segmenter, tmp_path: Path) -> None:
    with pytest.raises(ImagesError, match="found none"):
        export_segmenter(segmenter, [], out=tmp_path)


def test_command__on_rendered_images(segmenter: Segmenter, tmp_path: Path) -> None:
    segmenter.save(tmp_path / "run" / "segmenter")
    arguments = ["export", str(tmp_path / "run"), "--format", "torch", "--count", "1", "--json", "--quiet"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert Path(found["file"]) == tmp_path / "run" / "export" / "model.pt2"
    assert found["max_difference"] < 1e-3
    assert found["bytes"] == Path(found["file"]).stat().st_size
