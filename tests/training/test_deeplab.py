"""Training the segmenter: it learns, it resumes to the same bytes, and it says what is wrong with a configuration."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import namesake.training.deeplab as module
from namesake.encoders.preprocess import IMAGENET
from namesake.errors import ConfigError, DataError, WeightsError
from namesake.networks import DeepLabConfig
from namesake.records import Archives, Names, PseudoMasks
from namesake.segmenter import load_segmenter
from namesake.segmenter.settings import normalise
from namesake.training import TrainingConfig, train_segmenter
from namesake.training.deeplab import grown, start_network
from namesake.training.samples.archives import Sample
from namesake.training.watching import watched_by
from namesake.workspace import Workspace

from .conftest import NAMES, Onlooker, draw

pytestmark = pytest.mark.slow

Collection = tuple[Archives, PseudoMasks]


def tiny(backbone: str, **changes) -> TrainingConfig:
    config = TrainingConfig(
        backbone=backbone,
        iterations=6,
        batch_size=4,
        crop_size=24,
        resize_range=(0.6, 1.0),
        learning_rate=3e-2,
        backbone_lr_factor=0.01,
        architecture=DeepLabConfig(low_level_channels=8, aspp_channels=16, atrous_rates=(1, 2), output_stride=4),
        num_workers=0,
        checkpoint_every=2,
    )
    return replace(config, **changes)


def test_train__learns_squares(collection: Collection, backbone: str, tmp_path: Path) -> None:
    archives, masks = collection
    folder = train_segmenter(
        tmp_path / "run", archives, masks, NAMES, config=tiny(backbone, iterations=80, batch_size=8)
    )
    segmenter = load_segmenter(tmp_path / "run", device="cpu")
    images, truth = draw(tmp_path, 8)
    from namesake.masks import rle

    right = total = 0
    for image_id, mask in zip(images.ids, truth, strict=True):
        found = segmenter.segment(images.path(image_id)).labels
        expected = rle.decode(mask.rle, mask.height, mask.width) * np.uint8(mask.label)
        right, total = right + int((found == expected).sum()), total + expected.size
    assert right / total > 0.9
    assert folder.counts == {"images": 8, "names": 2, "iterations": 80}
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 4


class KilledError(Exception):
    pass


def test_train__killed_and_resumed_gives_the_same_bytes(
    collection: Collection, backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives, masks = collection
    train_segmenter(tmp_path / "whole", archives, masks, NAMES, config=tiny(backbone))
    calls = 0
    original = module.pixel_loss

    def dying_loss(ignore: int):
        inner = original(ignore)

        def loss(network, batch: Sample):
            nonlocal calls
            calls += 1
            if calls == 4:
                raise KilledError
            return inner(network, batch)

        return loss

    monkeypatch.setattr(module, "pixel_loss", dying_loss)
    with pytest.raises(KilledError):
        train_segmenter(tmp_path / "killed", archives, masks, NAMES, config=tiny(backbone))
    assert not (tmp_path / "killed" / "config.json").exists()
    monkeypatch.undo()
    onlooker = Onlooker()
    with watched_by(onlooker):  # who is shown what it predicts meanwhile changes nothing
        train_segmenter(tmp_path / "killed", archives, masks, NAMES, config=tiny(backbone))
    assert [number for number, _ in onlooker.seen] == [3, 4, 5, 6]
    assert {names for _, names in onlooker.seen} == {NAMES.names}
    for file in ("model.safetensors", "config.json", "metrics.jsonl"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_train__as_a_stage_is_reused(collection: Collection, backbone: str, tmp_path: Path) -> None:
    archives, masks = collection
    config = tiny(backbone, iterations=2)
    with Workspace(tmp_path / "run") as workspace:
        workspace.step(train_segmenter, archives, masks, NAMES, config=config)
    with Workspace(tmp_path / "run") as workspace:
        again = workspace.step(train_segmenter, archives, masks, NAMES, config=config)
    assert workspace.stages[0]["reused"]
    assert again.names == NAMES
    assert again.counts["iterations"] == 2
    assert load_segmenter(tmp_path / "run", device="cpu").kind == "deeplab"


def test_config_json_says_what_it_was_made_of(collection: Collection, backbone: str, tmp_path: Path) -> None:
    archives, masks = collection
    train_segmenter(tmp_path / "run", archives, masks, NAMES, config=tiny(backbone, iterations=1))
    content = json.loads((tmp_path / "run" / "config.json").read_text())
    assert content["id2label"] == {"0": "background", "1": "red", "2": "blue"}
    assert content["architecture"]["hidden_sizes"] == [8, 16, 16, 32]
    assert content["models"][0]["source"] == backbone
    assert content["tier"] == "S"


def test_start_network__fills_the_backbone_and_draws_the_head_from_the_seed(backbone: str) -> None:
    before = torch.random.get_rng_state()
    network, _ = start_network(3, tiny(backbone))
    again, _ = start_network(3, tiny(backbone))
    other, _ = start_network(3, tiny(backbone, seed=1))
    assert torch.equal(torch.random.get_rng_state(), before)
    state = torch.load(backbone, weights_only=True)
    assert torch.equal(network.backbone.layer4[0].conv3.weight, state["layer4.0.conv3.weight"])
    assert torch.equal(network.classifier.project[0].weight, again.classifier.project[0].weight)
    assert not torch.equal(network.classifier.project[0].weight, other.classifier.project[0].weight)


def test_grown__known_labels_keep_their_rows_and_further_ones_are_drawn(backbone: str) -> None:
    small, large = (
        start_network(labels, tiny(backbone, seed=seed))[0].state_dict() for labels, seed in ((3, 1), (5, 2))
    )
    last = {key: value for key, value in large.items() if value.shape[:1] == (5,)}
    found = grown(small, large)
    assert found.keys() == last.keys() == {"classifier.classifier.3.weight", "classifier.classifier.3.bias"}
    for key, value in found.items():
        assert torch.equal(value[:3], small[key])
        assert torch.equal(value[3:], large[key][3:])
    backbone_alone = {key: value for key, value in small.items() if key.startswith("backbone.")}
    assert grown(backbone_alone, large) == {}


def test_normalise_equals_the_segmenters_own() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None]
    assert torch.allclose(normalise(batch, IMAGENET), IMAGENET.normalise([image]), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 1}, "batch_size"),
        ({"iterations": 0}, "iterations"),
        ({"copy_paste_max": 0}, "copy_paste_max"),
        ({"resize_range": (0.0, 1.0)}, "resize_range"),
        ({"resize_range": (1.0, 0.5)}, "resize_range"),
        ({"crop_size": 3}, "crop_size"),
    ],
)
def test_config__out_of_range(collection: Collection, backbone: str, tmp_path: Path, changes, message) -> None:
    archives, masks = collection
    with pytest.raises(ConfigError, match=message):
        train_segmenter(tmp_path / "run", archives, masks, NAMES, config=tiny(backbone, **changes))


def test_train__fewer_names_than_labels(collection: Collection, backbone: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="label 2"):
        train_segmenter(tmp_path / "run", *collection, Names(("red",)), config=tiny(backbone))


def test_train__missing_backbone(collection: Collection, tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        train_segmenter(tmp_path / "run", *collection, NAMES, config=tiny(str(tmp_path / "nowhere")))
