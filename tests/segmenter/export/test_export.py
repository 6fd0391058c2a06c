"""An exported program says what the segmenter says, for images and names that it was not traced with."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import UInt8
from numpy import ndarray
from typer.testing import CliRunner

from namesake.cli import app
from namesake.encoders.preprocess import IMAGENET
from namesake.errors import ConfigError, ImagesError, WeightsError
from namesake.networks import DeepLab, DeepLabConfig
from namesake.records import Names
from namesake.segmenter import Segmenter, Settings, load_segmenter
from namesake.segmenter.deeplab import KIND, ClosedSet, architecture_of
from namesake.segmenter.export import Check, Written, export_segmenter
from namesake.segmenter.export.write import _open_torch, accept, open_onnx

pytestmark = pytest.mark.slow

OPEN = {"onnx": ("model.onnx", open_onnx), "torch": ("model.pt2", _open_torch)}


def pictures(*sizes: tuple[int, int]) -> list[UInt8[ndarray, "_ _ 3"]]:
    generator = np.random.default_rng(3)
    return [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


@pytest.mark.parametrize("form", ["onnx", pytest.param("torch", marks=pytest.mark.long)])
@pytest.mark.parametrize("enlarge", [pytest.param(False, marks=pytest.mark.long), True])
def test_closed_set__float32(segmenter: Segmenter, tmp_path: Path, *, enlarge: bool, form: str) -> None:
    own = Segmenter(segmenter.predictor, replace(segmenter.settings, resize_longer=80, enlarge=enlarge))
    made = export_segmenter(own, pictures((64, 48), (33, 71)), out=tmp_path, format=form)
    assert made.check.max_difference < 1e-3
    assert made.check.labels_agreement > (99.0 if enlarge else 99.9)
    assert len(made.check.sizes) == 3
    assert made.check.exported_seconds > 0
    facts = json.loads((tmp_path / "export.json").read_text())
    assert [each["word"] for each in facts["words"]] == ["background", "dog", "park bench"]
    assert facts["measured"]["max_difference"] == made.check.max_difference
    assert list(facts["inputs"]) == ["image"]
    name, opened = OPEN[form]
    run = opened(tmp_path / name)
    for image in pictures((40, 33), (17, 70), (80, 12), (96, 100)):
        logits, labels = run(image.transpose(2, 0, 1)[None].copy())
        assert logits.shape[:2] == (1, 3)
        wanted = own.segment(image, resize_longer=100 if max(image.shape) > 80 else None).labels
        assert labels[0].shape == wanted.shape
        assert (labels[0] == wanted).mean() > 0.99
    differ = [(own.segment(one).labels != segmenter.segment(one).labels).mean() for one in pictures((40, 33), (17, 70))]
    assert (max(differ) > 0.02) == enlarge


def test_closed_set__its_threshold_travels(segmenter: Segmenter, tmp_path: Path) -> None:
    (image,) = pictures((40, 33))
    plain = segmenter.segment(image)
    least = float(np.quantile(plain.confidence[plain.labels > 0], 0.5))
    doubting = replace(segmenter.settings, threshold=least)
    Segmenter(segmenter.predictor, doubting).save(tmp_path / "own" / "segmenter")
    own = load_segmenter(tmp_path / "own", device="cpu")
    expected = np.where(plain.confidence < least, 0, plain.labels)
    assert 0 < (expected != plain.labels).mean() < 1
    assert np.array_equal(own.segment(image).labels, expected)
    assert np.array_equal(own.on("onnx", images=1).segment(image).labels, expected)
    export_segmenter(own, pictures((64, 48)), out=tmp_path / "export", format="onnx")
    _, labels = open_onnx(tmp_path / "export" / "model.onnx")(image.transpose(2, 0, 1)[None].copy())
    assert (labels[0] == expected).mean() > 0.99


@pytest.mark.parametrize(
    ("frozen", "form"),
    [
        ("dinov2", "onnx"),
        *(
            pytest.param(kind, form, marks=pytest.mark.long)
            for kind, form in (("dinov2", "torch"), *product(["vit", "dinov2_with_registers"], OPEN))
        ),
    ],
    indirect=["frozen"],
)
def test_frozen__the_encoder_travels_and_any_size_goes(frozen: Segmenter, tmp_path: Path, form: str) -> None:
    made = export_segmenter(frozen, pictures((32, 32), (40, 56)), out=tmp_path, format=form)
    assert made.check.max_difference < 1e-3
    assert made.check.labels_agreement > 99.5
    name, opened = OPEN[form]
    (image,) = pictures((48, 24))
    logits, labels = opened(tmp_path / name)(image.transpose(2, 0, 1)[None].copy())
    assert logits.shape == (1, 3, 12, 6)
    assert (labels[0] == frozen.segment(image).labels).mean() > 0.995
    assert json.loads((tmp_path / "export.json").read_text())["resize_to_multiples_of"] == 8


@pytest.mark.parametrize("form", ["onnx", pytest.param("torch", marks=pytest.mark.long)])
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


@pytest.mark.parametrize(("form", "precision", "share"), [("onnx", "int8", 0.4), ("torch", "float16", 0.75)])
def test_precision__smaller_and_its_loss_is_measured(tmp_path: Path, form: str, precision: str, share: float) -> None:
    sizes = DeepLabConfig(
        stem=8, hidden_sizes=(8, 16, 16, 512), depths=(1, 1, 1, 1), low_level_channels=8, aspp_channels=256
    )
    torch.manual_seed(0)
    network = DeepLab(3, config=sizes).eval()
    wide = ClosedSet(network, preprocessing=IMAGENET, device=torch.device("cpu"))
    before = {key: value.clone() for key, value in wide.weights().items()}
    names = Names(("dog", "cat"))
    segmenter = Segmenter(wide, Settings(KIND, names, architecture=architecture_of(network)))
    made = export_segmenter(segmenter, pictures((64, 48)), out=tmp_path, format=form, precision=precision)
    assert made.file.stat().st_size < share * sum(4 * value.numel() for value in before.values())
    assert 0 < made.check.max_difference < 1
    assert 80 < made.check.labels_agreement <= 100
    assert all(torch.equal(before[key], value) for key, value in wide.weights().items())


@pytest.mark.parametrize("difference", [0.5, float("nan")])
def test_a_program_that_differs_is_refused(tmp_path: Path, difference: float) -> None:
    found = Check(difference, 50.0, 1.0, 1.0, images=1, sizes=((4, 4),))
    with pytest.raises(WeightsError, match="differs from the segmenter by up to"):
        accept(Written(tmp_path, tmp_path / "model.onnx", found))


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
