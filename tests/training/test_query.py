"""Training the query segmenter: it learns names and objects, resumes to the same bytes, and says what is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import namesake.training.query as module
from namesake.config import override
from namesake.encoders import load_clip
from namesake.errors import ConfigError, DataError
from namesake.masks import rle
from namesake.masks.store import read_masks
from namesake.networks.zutis import QuerySegmenterConfig
from namesake.records import Archives, Names, PseudoMasks
from namesake.segmenter import load_segmenter
from namesake.training import QueryTrainingConfig, train_query_segmenter
from namesake.training.watching import watched_by
from tiny_models import write_clip

from .conftest import NAMES, Onlooker, draw

pytestmark = pytest.mark.slow

Collection = tuple[Archives, PseudoMasks]
FILES = ("model.safetensors", "config.json", "metrics.jsonl")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("clip") / "clip"))


def tiny(clip: str, **changes) -> QueryTrainingConfig:
    config = QueryTrainingConfig(
        clip=clip,
        iterations=6,
        batch_size=4,
        crop_size=24,
        resize_range=(0.6, 1.0),
        color_jitter=0.2,
        copy_paste_max=2,
        learning_rate=5e-3,
        backbone_lr_factor=1.0,
        logit_scale=10.0,
        architecture=QuerySegmenterConfig(
            queries=5, layers=2, heads=4, mlp_dim=16, hidden_dim=16, interpolate_offset=0.0
        ),
        num_workers=0,
        checkpoint_every=2,
    )
    return replace(config, **changes)


def test_train__learns_squares(collection: Collection, tmp_path: Path) -> None:
    archives, masks = collection
    config = tiny("embedded:clip", iterations=60, learning_rate=2e-3, init="he")
    config = replace(config, batch_size=8, backbone_lr_factor=0.3, checkpoint_every=1000)
    folder = train_query_segmenter(tmp_path / "run", archives, masks, NAMES, config=config, device="cpu")
    segmenter = load_segmenter(tmp_path / "run", device="cpu")
    images, truth = draw(tmp_path, 8)
    right = total = 0
    for image_id, mask in zip(images.ids, truth, strict=True):
        found = segmenter.segment(images.path(image_id)).labels
        inside = rle.decode(mask.rle, mask.height, mask.width)
        right, total = right + int((found == inside * np.uint8(mask.label)).sum()), total + inside.size
    assert right / total > 0.85
    losses = [json.loads(line)["mask"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.85 * losses[0]
    assert folder.counts == {"images": 8, "names": 2, "iterations": 60}
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


class KilledError(Exception):
    pass


@pytest.mark.parametrize("rounds", [0, 1])
def test_train__killed_and_resumed_gives_the_same_bytes(
    collection: Collection, clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    archives, masks = collection
    config = tiny(clip, rounds=rounds, unsure_fraction=0.1)
    train_query_segmenter(tmp_path / "whole", archives, masks, NAMES, config=config, device="cpu")
    calls = 0
    original = module.query_loss

    def dying_loss(*args, **options):
        inner = original(*args, **options)

        def loss(network, batch):
            nonlocal calls
            calls += 1
            if calls == 4 + 6 * rounds:
                raise KilledError
            return inner(network, batch)

        return loss

    monkeypatch.setattr(module, "query_loss", dying_loss)
    with pytest.raises(KilledError):
        train_query_segmenter(tmp_path / "killed", archives, masks, NAMES, config=config, device="cpu")
    assert not (tmp_path / "killed" / "config.json").exists()
    monkeypatch.undo()
    onlooker = Onlooker()
    with watched_by(onlooker):  # who is shown what it predicts meanwhile changes nothing
        train_query_segmenter(tmp_path / "killed", archives, masks, NAMES, config=config, device="cpu")
    assert [number for number, _ in onlooker.seen] == [3, 4, 5, 6]  # rounds that came to an end are not trained again
    assert {names for _, names in onlooker.seen} == {NAMES.names}
    for file in FILES:
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_rounds__teach_the_next_what_they_found(collection: Collection, clip: str, tmp_path: Path) -> None:
    archives, masks = collection
    train_query_segmenter(tmp_path / "run", archives, masks, NAMES, config=tiny(clip, rounds=1), device="cpu")
    own = list(read_masks(PseudoMasks(tmp_path / "run" / "round-0" / "objects")))
    said = json.loads((tmp_path / "run" / "round-0" / "objects" / "objects.json").read_text())
    assert said == {"objects": len(own), "images": 8}
    assert {mask.label for mask in own} <= {1, 2}


def test_stop_gradient__the_encoder_learns_from_names_alone(collection: Collection, clip: str, tmp_path: Path) -> None:
    """With the naming switched off by its labels, masks move the encoder only without the stop."""
    loaded = load_clip(clip, device="cpu")
    for stops in (True, False):
        config = tiny(clip)
        config = replace(config, architecture=replace(config.architecture, stop_gradient=stops))
        network = module.start_network(loaded, config).train()
        batch = module.InstanceBatch(
            torch.randint(0, 255, (2, 3, 24, 24), dtype=torch.uint8),
            torch.full((2, 24, 24), 255),
            torch.ones(2, 24, 24, dtype=torch.uint8),
            (1, 1),
        )
        texts = torch.nn.functional.normalize(torch.randn(3, 10), dim=1)
        loss = module.query_loss(texts, (0, 1, 2), loaded.preprocessing, config=config, ignore=255)
        loss(network, batch)["loss"].backward()
        moved = sum(
            float(weight.grad.abs().sum()) for weight in network.encoder.parameters() if weight.grad is not None
        )
        assert (moved > 0) is not stops
        assert float(network.ffn1.layers[0].weight.grad.abs().sum()) > 0


def test_config_json_says_how_it_names(collection: Collection, clip: str, tmp_path: Path) -> None:
    archives, masks = collection
    train_query_segmenter(tmp_path / "run", archives, masks, NAMES, config=tiny(clip, iterations=1), device="cpu")
    content = json.loads((tmp_path / "run" / "config.json").read_text())
    assert content["kind"] == "query"
    assert content["architecture"]["clip"] == clip
    assert content["architecture"]["certainty"]["logit_scale"] >= 1
    assert content["id2label"] == {"0": "background", "1": "red", "2": "blue"}


@pytest.mark.parametrize(
    "change",
    [
        "iterations=0",
        "copy_paste_max=13",
        "unsure_fraction=1.0",
        "targets=boxes",
        "prompts=some",
        "rounds=-1",
    ],
)
def test_config__out_of_range(collection: Collection, clip: str, tmp_path: Path, change: str) -> None:
    with pytest.raises(ConfigError, match=change.partition("=")[0]):
        config = override(tiny(clip), [change])
        train_query_segmenter(tmp_path / "run", *collection, NAMES, config=config, device="cpu")


def test_archives__more_labels_than_names(collection: Collection, clip: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are 1 names"):
        train_query_segmenter(tmp_path / "run", *collection, Names(("red",)), config=tiny(clip), device="cpu")
