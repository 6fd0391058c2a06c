"""Onnxruntime computes what torch does; its graph is made once and kept; `auto` chooses by the amount of work."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.encoders.int8 import why_not_int8
from namesake.errors import ConfigError, WeightsError, WorkspaceError
from namesake.networks import DeepLab
from namesake.prediction import predict
from namesake.segmenter import CarefulConfig, Segmenter, load_segmenter, runtime, worth_onnx
from namesake.segmenter.export import write
from namesake.segmenter.runtime import SAMPLES, WORTH

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


eight_bits = pytest.mark.skipif(bool(why_not_int8()), reason=why_not_int8())


@pytest.fixture
def fresh(segmenter: Segmenter, tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved segmenter whose graph in float32 is exported once for all of these tests, and none in 8 bits is kept."""
    export = runtime._export

    def exported(network: DeepLab) -> bytes:
        path = kept / f"{runtime._digest(network)}.onnx"
        if not path.is_file():
            path.write_bytes(export(network))
        return path.read_bytes()

    monkeypatch.setattr(runtime, "_export", exported)
    segmenter.save(tmp_path / "fresh" / "segmenter")
    return tmp_path / "fresh"


def saved(folder: Path, images: list[np.ndarray]) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:02d}.png")
    return folder


def labels_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "labels").iterdir()}


@eight_bits
def test_int8__near_to_float32_and_kept(fresh: Path, tmp_path: Path) -> None:
    images = pictures(*[(40, 56), (64, 33)] * 8)
    exact = load_segmenter(fresh, device="cpu")
    eight = load_segmenter(fresh, device="cpu", precision="int8")
    for samples, said in (((), "none was given"), ((tmp_path / "none.png", b"no image"), "none.png")):
        with pytest.raises(ConfigError, match=said):
            eight.on("auto", images=1, samples=samples)
    few = eight.on("auto", images=1, samples=images[:3])
    assert list((fresh / "segmenter").rglob("*.onnx")) == []  # its scales suit few images
    made = eight.on("auto", images=1, samples=[b"no image", *images])
    assert len(list((fresh / "segmenter").rglob("*-int8.onnx"))) == 1
    again = eight.on("onnx", images=1)  # what the one before left
    for each in (few, made, again):
        assert each.runtime == "onnx"
        for ours, theirs in zip(each.segment_many(images[:4]), exact.segment_many(images[:4]), strict=True):
            assert (ours.labels == theirs.labels).mean() > 0.85
            assert np.abs(ours.confidence - theirs.confidence).mean() < 0.05
    assert few.predictor.graph != made.predictor.graph == again.predictor.graph


@eight_bits
def test_int8__scales_are_of_what_the_network_is_given(fresh: Path) -> None:
    eight = load_segmenter(fresh, device="cpu", precision="int8")
    careful = eight.read_carefully(CarefulConfig(clip="embedded:clip"))
    images = pictures((40, 56), (64, 33))
    for each in (eight, careful):
        inputs = each._inputs(each.predictor, images)
        assert [x.shape for x in inputs] == [(1, 3, 40, 56), (1, 3, 64, 33)]
    assert careful.careful.spent.images == 0


@eight_bits
def test_int8__convolutions_are_computed_by_onnxruntime(fresh: Path) -> None:
    eight = load_segmenter(fresh, device="cpu", precision="int8")
    with pytest.raises(ConfigError, match="leave out --runtime torch"):
        eight.on("torch", images=1)
    for each in (eight, eight.read_carefully(CarefulConfig(clip="embedded:clip"))):
        with pytest.raises(ConfigError, match=r"call segmenter\.on"):
            each.segment(pictures((40, 56))[0])


@eight_bits
def test_int8__without_the_packages(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "missing_packages", lambda: ["onnx"])
    monkeypatch.setattr(write, "missing_packages", lambda: ["onnx"])
    with pytest.raises(ConfigError, match="Or use --precision no"):
        load_segmenter(fresh, device="cpu", precision="int8").on("auto", images=1)


@eight_bits
def test_int8__read_with_care(fresh: Path) -> None:
    images, config = pictures((40, 56), (40, 56)), CarefulConfig(clip="embedded:clip")
    silent = replace(config, image_weight=0.0, window_weight=0.0)  # only the network, enlarged and mirrored
    for care in (config, silent):
        exact = load_segmenter(fresh, device="cpu").read_carefully(care)
        eight = load_segmenter(fresh, device="cpu", precision="int8").on("auto", images=1, samples=images)
        found = eight.read_carefully(care).segment_many(images)
        for ours, theirs in zip(found, exact.segment_many(images), strict=True):
            assert (ours.labels == theirs.labels).mean() > 0.85


@eight_bits
def test_int8__linear_layers_by_torch(query: Segmenter) -> None:
    eight = Segmenter(query.predictor, query.settings, precision="int8")
    assert eight.on("auto", images=10**9) is eight
    (image,) = pictures((48, 64))
    assert (eight.segment(image).labels == query.segment(image).labels).mean() > 0.85


@eight_bits
def test_int8__begun_predictions_keep_to_their_precision_and_graph(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = saved(tmp_path / "photos", pictures(*[(24, 32)] * SAMPLES))
    predict(fresh, photos, out=tmp_path / "first", precision="int8", device="cpu")
    for path in sorted((tmp_path / "first" / "labels").iterdir())[3:]:
        path.unlink()
    predict(fresh, photos, out=tmp_path / "first", precision="int8", device="cpu")
    predict(fresh, photos, out=tmp_path / "second", precision="int8", device="cpu")
    assert labels_in(tmp_path / "first") == labels_in(tmp_path / "second")
    with monkeypatch.context() as patch:
        patch.setattr(Segmenter, "on", lambda *_, **__: pytest.fail("exported before it was refused"))
        with pytest.raises(WorkspaceError, match="begun with --precision int8, this is no"):
            predict(fresh, photos, out=tmp_path / "first", device="cpu")
    (graph,) = (fresh / "segmenter").rglob("*-int8.onnx")
    graph.unlink()
    black = saved(tmp_path / "black", [np.zeros((24, 32, 3), dtype=np.uint8)] * SAMPLES)
    predict(fresh, black, out=tmp_path / "third", precision="int8", device="cpu")
    with pytest.raises(WorkspaceError, match="how it computes"):  # other scales are not mixed in
        predict(fresh, photos, out=tmp_path / "first", precision="int8", device="cpu")
