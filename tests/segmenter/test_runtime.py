"""Onnxruntime computes what torch does; its graph is made once and kept; `auto` chooses by the amount of work."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.encoders.int8 import need_int8
from namesake.errors import ConfigError, WeightsError, WorkspaceError
from namesake.prediction import predict
from namesake.segmenter import Segmenter, load_segmenter, runtime, worth_onnx
from namesake.segmenter.runtime import WORTH

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the graph of the one network of these tests is kept."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def folder(segmenter: Segmenter, tmp_path: Path, kept: Path) -> Path:
    """A saved segmenter, with its graph if a test made that before."""
    segmenter.save(tmp_path / "run" / "segmenter")
    (tmp_path / "run" / "segmenter" / runtime.FOLDER).symlink_to(kept, target_is_directory=True)
    return tmp_path / "run"


def pictures(*sizes: tuple[int, int]) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def test_onnx__as_torch_at_any_size_and_kept(folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_torch = load_segmenter(folder, device="cpu")
    of_onnx = of_torch.on("onnx", images=1)
    assert (of_torch.runtime, of_onnx.runtime) == ("torch", "onnx")
    images = pictures((40, 56), (40, 56), (9, 17), (64, 33))
    for ours, theirs in zip(of_onnx.segment_many(images), of_torch.segment_many(images), strict=True):
        assert (ours.labels == theirs.labels).mean() > 0.999
        assert np.abs(ours.confidence - theirs.confidence).max() < 1e-4
    assert len(list(kept.glob("*.onnx"))) == 1
    monkeypatch.setattr(runtime, "_export", lambda _: pytest.fail("exported again"))
    assert load_segmenter(folder, device="cpu").on("onnx", images=1).runtime == "onnx"


def test_onnx__damaged_graph_is_made_again(folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = load_segmenter(folder, device="cpu")
    segmenter.on("onnx", images=1)
    (path,) = kept.glob("*.onnx")
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    monkeypatch.setattr(runtime, "_export", lambda _: whole)
    assert segmenter.on("onnx", images=1).runtime == "onnx"
    assert path.read_bytes() == whole


def test_onnx__graph_of_other_weights_is_refused(folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = load_segmenter(folder, device="cpu")
    segmenter.on("onnx", images=1)
    (path,) = kept.glob("*.onnx")
    whole = path.read_bytes()
    monkeypatch.setattr(runtime, "_export", lambda _: whole)
    torch.nn.init.normal_(segmenter.predictor.network.classifier.classifier[3].bias)
    with pytest.raises(WeightsError, match="--runtime torch"):
        segmenter.on("onnx", images=1)


def test_onnx__kinds_that_gain_nothing(query: Segmenter) -> None:
    with pytest.raises(ConfigError, match="--runtime torch"):
        query.on("onnx", images=1)
    assert query.on("auto", images=10**9) is query


def test_auto__by_the_work_alone(folder: Path) -> None:
    megabytes = (folder / "segmenter" / "model.safetensors").stat().st_size / 1e6
    enough = int(WORTH / megabytes) + 1
    assert worth_onnx(folder, images=enough, device="cpu")
    assert not worth_onnx(folder, images=enough // 2, device="cpu")
    assert not worth_onnx(folder, images=enough, device="cuda")
    assert not worth_onnx(folder, images=enough, precision="bf16")
    assert load_segmenter(folder, device="cpu").on("auto", images=1).runtime == "torch"


def test_predict__goes_on_as_it_was_begun(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, picture in enumerate(pictures((24, 32), (24, 32))):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "photos" / f"{number}.png")
    used = []
    on = Segmenter.on
    monkeypatch.setattr(Segmenter, "on", lambda self, how, **more: used.append(how) or on(self, how, **more))
    for how in ("onnx", "auto"):
        predict(folder, tmp_path / "photos", out=tmp_path / "out", runtime=how, device="cpu")
    predict(folder, tmp_path / "photos", out=tmp_path / "other", device="cpu")
    assert used == ["onnx", "onnx", "auto"]


def can_int8() -> bool:
    try:
        need_int8()
    except ConfigError:
        return False
    return True


eight_bits = pytest.mark.skipif(not can_int8(), reason="the processor has no instructions for 8 bits")


@eight_bits
def test_int8__near_to_float32_and_kept(folder: Path, kept: Path, tmp_path: Path) -> None:
    images = pictures((40, 56), (40, 56), (64, 33))
    exact = load_segmenter(folder, device="cpu")
    eight = load_segmenter(folder, device="cpu", precision="int8")
    for samples in ((), (tmp_path / "none.png", b"no image")):
        with pytest.raises(ConfigError, match="not one was given that can be read"):
            eight.on("auto", images=1, samples=samples)
    made = eight.on("auto", images=1, samples=images)
    for again in (made, eight.on("onnx", images=1)):  # the second has what the first left
        assert again.runtime == "onnx"
        for ours, theirs in zip(again.segment_many(images), exact.segment_many(images), strict=True):
            assert (ours.labels == theirs.labels).mean() > 0.85
            assert np.abs(ours.confidence - theirs.confidence).mean() < 0.05
    assert len(list(kept.glob("*-int8.onnx"))) == 1


@eight_bits
def test_int8__convolutions_are_computed_by_onnxruntime(folder: Path) -> None:
    eight = load_segmenter(folder, device="cpu", precision="int8")
    with pytest.raises(ConfigError, match="--runtime auto or onnx"):
        eight.on("torch", images=1)
    with pytest.raises(ConfigError, match="this network has none"):
        eight.segment(pictures((40, 56))[0])


@eight_bits
def test_int8__linear_layers_by_torch(query: Segmenter) -> None:
    eight = Segmenter(query.predictor, query.settings, precision="int8")
    assert eight.on("auto", images=10**9) is eight
    (image,) = pictures((48, 64))
    assert (eight.segment(image).labels == query.segment(image).labels).mean() > 0.85


@eight_bits
def test_int8__begun_predictions_keep_to_their_precision(folder: Path, tmp_path: Path) -> None:
    for number, picture in enumerate(pictures((24, 32), (24, 32))):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "photos" / f"{number}.png")
    for _ in range(2):
        made = predict(folder, tmp_path / "photos", out=tmp_path / "out", precision="int8", device="cpu")
        assert made.counts == {"images": 2, "skipped": 0}
    with pytest.raises(WorkspaceError, match="how it computes"):
        predict(folder, tmp_path / "photos", out=tmp_path / "out", device="cpu")
