"""The kind `frozen`: a folder of its own opens without the encoder that it was made from, and says what is damaged."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.errors import ConfigError, WeightsError
from namesake.records import Names
from namesake.segmenter import Segmenter, load_segmenter
from namesake.segmenter.classify import decide


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_saved_and_opened__the_same_labels(frozen: Segmenter, tmp_path: Path) -> None:
    folder = frozen.save(tmp_path / "segmenter")
    again = load_segmenter(tmp_path / "segmenter", device="cpu")
    assert folder.kind == again.kind == "frozen"
    assert again.names == frozen.names
    image = picture(40, 52)
    np.testing.assert_array_equal(again.segment(image).confidence, frozen.segment(image).confidence)
    assert len(np.unique(frozen.segment(image).labels)) > 1


def test_predict__labels_of_the_logits_at_the_size_of_the_image(frozen: Segmenter) -> None:
    image = picture(48, 40)
    predictor = frozen.predictor
    with torch.inference_mode():
        logits = predictor.network(predictor.preprocessing.normalise([image]))
    expected = decide(logits[0], height=48, width=40)
    found = frozen.segment(image)
    assert (found.labels == expected.labels).mean() > 0.999
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-4)


def test_predict__a_large_image_is_shrunk_and_a_small_one_is_one_patch(frozen: Segmenter) -> None:
    assert frozen.segment(picture(300, 200)).labels.shape == (300, 200)
    assert frozen.segment(picture(3, 5)).labels.shape == (3, 5)


def test_names__are_fixed(frozen: Segmenter) -> None:
    with pytest.raises(ConfigError, match="only knows the names"):
        frozen.with_names(Names(("bird",)))


@pytest.mark.parametrize("damage", ["no decoder", "no encoder", "weights"])
def test_open__damaged(frozen: Segmenter, tmp_path: Path, damage: str) -> None:
    frozen.save(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    if damage == "weights":
        content["architecture"]["decoder"]["hidden_dim"] = 12
    else:
        content["architecture"].pop(damage.removeprefix("no "))
    (tmp_path / "config.json").write_text(json.dumps(content))
    message = "does not fit" if damage == "weights" else "describes no frozen encoder"
    with pytest.raises(WeightsError, match=message):
        load_segmenter(tmp_path, device="cpu")
