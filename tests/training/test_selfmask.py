"""Training the saliency network: samples, what it starts from, that it learns, and resumes to the same bytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import namesake.training.selfmask as module
from namesake.errors import ConfigError, DataError
from namesake.images import read_image
from namesake.masks.store import MaskWriter
from namesake.networks.selfmask import load_selfmask
from namesake.records import Archives, PseudoMasks
from namesake.training import SaliencyTrainingConfig, train_saliency
from namesake.training.samples.archives import Sample
from namesake.training.selfmask import SaliencySamples, start_saliency
from namesake.workspace import Workspace

Collection = tuple[Archives, PseudoMasks]


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random ViT folder of transformers with its preprocessing."""
    import json

    from transformers import ViTConfig, ViTModel

    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = ViTConfig(**sizes, patch_size=4, image_size=16, layer_norm_eps=1e-6)
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    entries = {
        "image_processor_type": "ViTImageProcessor",
        "size": {"height": 16, "width": 16},
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.2, 0.2],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(entries))
    return str(folder)


def tiny(encoder: str, **changes) -> SaliencyTrainingConfig:
    config = SaliencyTrainingConfig(
        backbone=encoder,
        queries=3,
        layers=2,
        iterations=6,
        batch_size=4,
        image_size=16,
        resize_shorter=16,
        resize_range=(0.7, 1.0),
        learning_rate=3e-3,
        num_workers=0,
        checkpoint_every=2,
    )
    return replace(config, **changes)


def test_samples__every_image_once_a_pass(
    collection: Collection, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives, masks = collection
    samples = SaliencySamples(archives.images, masks, tiny(encoder))
    seen: list[Path] = []
    monkeypatch.setattr(samples, "_read", lambda path: seen.append(path) or read_image(path))
    for index in range(16):
        samples[index]
    assert sorted(seen[:8]) == sorted(seen[8:]) == sorted(archives.images.path(each) for each in archives.images.ids)
    assert seen[:8] != seen[8:]


def test_sample__content_in_the_upper_left_corner_and_no_label_outside(collection: Collection, encoder: str) -> None:
    archives, masks = collection
    samples = SaliencySamples(archives.images, masks, tiny(encoder, resize_range=(0.5, 0.5)))
    for index in range(8):
        sample = samples[index]
        assert sample.image.shape == (3, 16, 16)
        assert set(np.unique(sample.labels).tolist()) == {0, 1}
        assert not sample.labels[8:].any()
        halves = sample.labels[:, :8].any(), sample.labels[:, 8:].any()
        assert halves in ((True, False), (False, True))  # on the right where it was flipped


def test_sample_is_a_function_of_its_number(collection: Collection, encoder: str) -> None:
    archives, masks = collection
    one, other = (SaliencySamples(archives.images, masks, tiny(encoder)) for _ in range(2))
    other[20], other[3]
    assert torch.equal(one[13].image, other[13].image)
    assert torch.equal(one[13].labels, other[13].labels)
    assert not torch.equal(one[13].image, one[21].image)


def test_samples__no_masks(collection: Collection, encoder: str, tmp_path: Path) -> None:
    with MaskWriter(tmp_path / "none") as writer:
        writer.skip("00.png", "broken")
    with pytest.raises(DataError, match="nothing to train on"):
        SaliencySamples(collection[0].images, PseudoMasks(tmp_path / "none"), tiny(encoder))


def test_start__encoder_and_its_preprocessing(encoder: str) -> None:
    network, card = start_saliency(tiny(encoder))
    assert network.config.preprocessing.mean == (0.5, 0.4, 0.3)
    assert network.config.preprocessing.shorter_side == 16
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert card.source == encoder
    again, _ = start_saliency(tiny(encoder))
    assert torch.equal(network.query_embed, again.query_embed)


def test_loss__batch_with_and_without_objects(encoder: str) -> None:
    """Samples whose object was cut away do not count; a batch of only such is still a finite loss."""
    network, _ = start_saliency(tiny(encoder))
    network.train()
    loss = module.query_loss(network.config.preprocessing, inverted_ranking=False)
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    labels = torch.zeros(3, 16, 16, dtype=torch.uint8)
    labels[:2, 4:9, 4:9] = 1
    with torch.no_grad():
        together = loss(network, Sample(images, labels))["loss"]
        alone = loss(network, Sample(images[:2], labels[:2]))["loss"]
    assert float(together) == pytest.approx(float(alone), abs=1e-5)
    assert loss(network, Sample(images[2:], labels[2:]))["loss"].isfinite()


def test_train__learns_and_is_loaded_again(collection: Collection, encoder: str, tmp_path: Path) -> None:
    archives, masks = collection
    config = tiny(encoder, iterations=60, batch_size=8)
    made = train_saliency(tmp_path / "run", archives.images, masks, config=config)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    import json

    first, last = json.loads(lines[0]), json.loads(lines[-1])
    assert last["dice"] < 0.9 * first["dice"]
    assert made.counts == {"images": 8, "iterations": 60}
    network = load_selfmask(tmp_path / "run", device="cpu")
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 20, 16)).mask_probs.shape == (1, 3, 10, 8)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


class KilledError(Exception):
    pass


@pytest.mark.parametrize("sawtooth_lr", [False, True])
def test_train__killed_and_resumed_gives_the_same_bytes(
    collection: Collection, encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sawtooth_lr: bool
) -> None:
    archives, masks = collection
    config = tiny(encoder, sawtooth_lr=sawtooth_lr)
    train_saliency(tmp_path / "whole", archives.images, masks, config=config)
    original, calls = module.query_loss, []

    def dying_loss(*inputs, **options):
        inner = original(*inputs, **options)

        def loss(network, batch):
            calls.append(1)
            if len(calls) == 4:
                raise KilledError
            return inner(network, batch)

        return loss

    monkeypatch.setattr(module, "query_loss", dying_loss)
    with pytest.raises(KilledError):
        train_saliency(tmp_path / "killed", archives.images, masks, config=config)
    train_saliency(tmp_path / "killed", archives.images, masks, config=config)
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_train__as_a_stage_is_reused(collection: Collection, encoder: str, tmp_path: Path) -> None:
    archives, masks = collection
    with Workspace(tmp_path / "run") as workspace:
        workspace.step(train_saliency, archives.images, masks, config=tiny(encoder, iterations=1))
    with Workspace(tmp_path / "run") as workspace:
        again = workspace.step(train_saliency, archives.images, masks, config=tiny(encoder, iterations=1))
    assert workspace.stages[0]["reused"]
    assert again.counts["iterations"] == 1
    assert again.models[-1].source == encoder


@pytest.mark.parametrize(
    "changes", [{"resize_range": (0.5, 1.5)}, {"queries": 0}, {"iterations": 0}, {"image_size": 8}]
)
def test_config__out_of_range(collection: Collection, encoder: str, tmp_path: Path, changes) -> None:
    archives, masks = collection
    with pytest.raises(ConfigError, match=next(iter(changes))):
        train_saliency(tmp_path / "run", archives.images, masks, config=tiny(encoder, **changes))
