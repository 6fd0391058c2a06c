"""The Segmenter: any input, original size, batches equal to single images, folders that open again."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.encoders.preprocess import IMAGENET
from namesake.errors import ConfigError, WeightsError, WorkspaceError
from namesake.images.geometry import resize
from namesake.locks import holding
from namesake.networks import DeepLab
from namesake.prediction import predict
from namesake.records import Names
from namesake.segmenter import Segmenter, load_segmenter
from namesake.workspace import LOCK


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_labels_are_the_argmax_of_the_networks_logits(segmenter: Segmenter, tiny_network: DeepLab) -> None:
    image = picture(37, 50)
    found = segmenter.segment(image)
    with torch.inference_mode():
        probabilities = tiny_network(IMAGENET.normalise([image]))[0].softmax(0)
    assert found.labels.dtype == np.uint8
    assert (found.labels == probabilities.argmax(0).numpy()).mean() > 0.999
    assert np.allclose(found.confidence, probabilities.max(0).values, atol=1e-5)
    assert found.instances is None


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (64, 3)])
def test_any_size(segmenter: Segmenter, size: tuple[int, int]) -> None:
    found = segmenter.segment(picture(*size))
    assert found.labels.shape == found.confidence.shape == size


def test_file_pil_and_array_are_the_same(segmenter: Segmenter, tmp_path: Path) -> None:
    image = picture(20, 30)
    Image.fromarray(image).save(tmp_path / "a.png")
    results = [
        segmenter.segment(x) for x in (image, Image.fromarray(image), tmp_path / "a.png", str(tmp_path / "a.png"))
    ]
    assert all(np.array_equal(result.labels, results[0].labels) for result in results)


def test_segment_many_keeps_the_order_and_equals_one_by_one(segmenter: Segmenter) -> None:
    images = [picture(20, 30, 0), picture(16, 16, 1), picture(20, 30, 2), picture(20, 30, 3), picture(16, 16, 4)]
    together = segmenter.segment_many(images, batch_size=2)
    for image, found in zip(images, together, strict=True):
        alone = segmenter.segment(image)
        assert np.allclose(found.confidence, alone.confidence, atol=1e-5)
        assert (found.labels == alone.labels).mean() > 0.999
    assert segmenter.segment_many([]) == []


def test_longer_side__network_sees_a_smaller_image(segmenter: Segmenter, tiny_network: DeepLab) -> None:
    image = picture(40, 80)
    found = segmenter.segment(image, resize_longer=32)
    small = resize(image, height=16, width=32)
    with torch.inference_mode():
        coarse = tiny_network.coarse(IMAGENET.normalise([small]))
    fine = torch.nn.functional.interpolate(coarse, size=(40, 80), mode="bilinear", align_corners=False)[0].softmax(0)
    assert found.labels.shape == (40, 80)
    assert np.allclose(found.confidence, fine.max(0).values, atol=1e-5)


def test_save_and_load(segmenter: Segmenter, names: Names, tmp_path: Path) -> None:
    segmenter.save(tmp_path / "run" / "segmenter")
    image = picture(24, 24)
    expected = segmenter.segment(image)
    for place in (tmp_path / "run", tmp_path / "run" / "segmenter", str(tmp_path / "run")):
        loaded = load_segmenter(place, device="cpu")
        assert loaded.names == names
        assert loaded.kind == "deeplab"
        assert np.array_equal(loaded.segment(image).labels, expected.labels)


def test_load__a_key_of_its_own_without_a_manifest(segmenter: Segmenter, tmp_path: Path) -> None:
    """Predictions that were begun by other weights are other work, also where no run made them."""
    keys = []
    for number, folder in enumerate(("a", "b", "c")):
        segmenter.save(tmp_path / folder)
        if number == 2:
            for weight in segmenter.predictor.network.parameters():
                weight.data += 1e-3
            segmenter.save(tmp_path / folder)
        keys.append(load_segmenter(tmp_path / folder, device="cpu").key)
    assert keys[0] == keys[1] != keys[2]
    image = picture(20, 30)
    Image.fromarray(image).save(tmp_path / "image.png")
    predict(tmp_path / "a", tmp_path / "image.png", out=tmp_path / "out", device="cpu")
    predict(tmp_path / "b", tmp_path / "image.png", out=tmp_path / "out", device="cpu")
    with pytest.raises(WorkspaceError, match="other settings"):
        predict(tmp_path / "c", tmp_path / "image.png", out=tmp_path / "out", device="cpu")


def test_predict__one_process_a_folder(segmenter: Segmenter, tmp_path: Path) -> None:
    segmenter.save(tmp_path / "a")
    Image.fromarray(picture(20, 30)).save(tmp_path / "image.png")
    with holding(tmp_path / "out" / LOCK), pytest.raises(WorkspaceError, match="is being written"):
        predict(tmp_path / "a", tmp_path / "image.png", out=tmp_path / "out", device="cpu")
    predict(tmp_path / "a", tmp_path / "image.png", out=tmp_path / "out", device="cpu")


def test_predict__not_by_several_processes(
    segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter.save(tmp_path / "a")
    Image.fromarray(picture(20, 30)).save(tmp_path / "image.png")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(ConfigError, match="predicting is done by one process"):
        predict(tmp_path / "a", tmp_path / "image.png", out=tmp_path / "out", device="cpu")


def test_load_needs_no_transformers(segmenter: Segmenter, tmp_path: Path) -> None:
    segmenter.save(tmp_path)
    code = (
        "import sys; from namesake.segmenter import load_segmenter; import numpy as np\n"
        f"load_segmenter({str(tmp_path)!r}, device='cpu').segment(np.zeros((9, 9, 3), np.uint8))\n"
        "assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_load__nothing_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="finished"):
        load_segmenter(tmp_path)


def test_load__no_weights(segmenter: Segmenter, tmp_path: Path) -> None:
    segmenter.save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        load_segmenter(tmp_path, device="cpu")


def change(folder: Path, **changes) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | changes))


def test_load__unknown_kind_lists_the_known_ones(segmenter: Segmenter, tmp_path: Path) -> None:
    segmenter.save(tmp_path)
    change(tmp_path, kind="oracle")
    with pytest.raises(WeightsError, match=r"'oracle'.*deeplab.*maskclip, saliency, saliency_clip"):
        load_segmenter(tmp_path, device="cpu")


def test_load__weights_of_other_names(segmenter: Segmenter, tmp_path: Path) -> None:
    segmenter.save(tmp_path)
    change(tmp_path, id2label={"0": "background", "1": "dog"})
    with pytest.raises(
        WeightsError, match=r"classifier\.classifier\.3\.weight \(3, 8, 1, 1\) instead of \(2, 8, 1, 1\)"
    ):
        load_segmenter(tmp_path, device="cpu")


@pytest.mark.parametrize("architecture", [{"depth": 3}, {"aspp": "wide"}])
def test_load__architecture_of_another_network(segmenter: Segmenter, tmp_path: Path, architecture) -> None:
    segmenter.save(tmp_path)
    change(tmp_path, architecture=architecture)
    with pytest.raises(WeightsError, match="no DeepLabv3"):
        load_segmenter(tmp_path, device="cpu")
