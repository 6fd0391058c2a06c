from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.encoders import load_clip
from namesake.errors import ConfigError
from namesake.masks import rle
from namesake.masks.region_labels import KINDS, RegionLabels
from namesake.masks.store import MaskWriter
from namesake.records import Images, Names, PseudoMask
from namesake.segmenter import load_segmenter
from namesake.training.alignment import AlignmentTrainingConfig, train_alignment
from namesake.training.watching import watched_by
from tiny_models import write_clip, write_dino

from .conftest import Onlooker

NAMES = Names(("red", "dog"), background=("park",))


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a tiny DINO and a tiny CLIP."""
    home = tmp_path_factory.mktemp("encoders")
    return write_dino(home / "dino", "vit"), write_clip(home / "clip")


@pytest.fixture
def config(encoders: tuple[Path, Path]) -> AlignmentTrainingConfig:
    dino, clip = (str(folder) for folder in encoders)
    return AlignmentTrainingConfig(
        dense_encoder=dino, clip=clip, image_size=32, iterations=60, batch_size=4, optimizer="adamw",
        learning_rate=5e-3, logit_scale=5.0, automatic_fraction=1.0, num_workers=0, checkpoint_every=7,
    )  # fmt: skip


@pytest.fixture
def squares(collection, tmp_path: Path) -> tuple[Images, RegionLabels]:
    """Red and blue squares, named "red" and "dog", on "park"."""
    archives, masks = collection
    from namesake.masks.store import read_masks

    out = tmp_path / "labels"
    with MaskWriter(out / KINDS[0]) as prompted, MaskWriter(out / KINDS[1]) as automatic:
        for mask in read_masks(masks):
            inside = rle.decode(mask.rle, mask.height, mask.width)
            named = replace(mask, label=1 + mask.label)
            ground = PseudoMask(mask.image_id, 1, 0.9, mask.height, mask.width, rle.encode(np.ones_like(inside)))
            prompted.write_several([named])
            automatic.write_several([ground, named])
    return archives.images, RegionLabels(out, words=("park", "red", "dog"), labels=(0, 1, 2), clip="clip")


def test_train__learns_the_words_of_the_masks(squares, config: AlignmentTrainingConfig, tmp_path: Path) -> None:
    images, labels = squares
    made = train_alignment(tmp_path / "out", images, labels, NAMES, config=config, device="cpu")
    assert made.counts == {"images": 8, "names": 2, "iterations": 60}
    segmenter = load_segmenter(made.folder, device="cpu")
    centre = [segmenter.segment(images.path(image_id)).labels[10:14, 10:14] for image_id in images.ids]
    right = [np.bincount(found.ravel(), minlength=3)[1:].argmax() == i % 2 for i, found in enumerate(centre)]
    assert sum(right) >= 7
    assert not (tmp_path / "out" / "checkpoint.pt").exists()


def test_train__a_part_of_a_change_of_clips_own_patches(squares, config, encoders, tmp_path: Path) -> None:
    clip = str(encoders[1])
    chosen = replace(config, dense_encoder=clip, iterations=3, flip_prob=0.5)
    whole, part = (
        load_segmenter(
            train_alignment(
                tmp_path / str(weight), *squares, NAMES, config=replace(chosen, residual_weight=weight), device="cpu"
            ).folder
        ).predictor.alignment
        for weight in (1.0, 0.5)
    )
    assert whole.config.residual
    assert whole.project.weight.abs().max() > 0
    torch.testing.assert_close(part.project.weight, whole.project.weight / 2)


def test_train__a_change_of_another_models_patches(squares, config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"residual_weight is 0\.5, expected 0, where patches are of another model"):
        train_alignment(tmp_path, *squares, NAMES, config=replace(config, residual_weight=0.5), device="cpu")


@pytest.mark.parametrize("loss", ["supcon", "prototype"])
@pytest.mark.parametrize("module", ["linear", "mlp"])
def test_train__ablations_run(squares, config, loss: str, module: str, tmp_path: Path) -> None:
    chosen = replace(config, loss=loss, module=module, iterations=2, optimizer="sgd", label_sources="apart")
    made = train_alignment(tmp_path / "out", *squares, NAMES, config=chosen, device="cpu")
    assert made.kind == "aligned"


def test_train__interrupted_training_ends_with_the_same_bytes(
    squares, config: AlignmentTrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(config, iterations=12, flip_prob=0.5)
    whole = train_alignment(tmp_path / "whole", *squares, NAMES, config=short, device="cpu")
    from namesake.training import alignment

    real, calls = alignment.contrast, iter(range(10))

    def killed(*inputs, **options):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return real(*inputs, **options)

    monkeypatch.setattr(alignment, "contrast", killed)
    with pytest.raises(KeyboardInterrupt):
        train_alignment(tmp_path / "cut", *squares, NAMES, config=short, device="cpu")
    monkeypatch.undo()
    assert (tmp_path / "cut" / "checkpoint.pt").exists()
    onlooker = Onlooker()
    with watched_by(onlooker):  # who is shown what it predicts meanwhile changes nothing
        again = train_alignment(tmp_path / "cut", *squares, NAMES, config=short, device="cpu")
    assert [number for number, _ in onlooker.seen] == [8, 9, 10, 11, 12]
    assert {names for _, names in onlooker.seen} == {NAMES.names}
    files = [made.folder / "model.safetensors" for made in (whole, again)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_train__epochs_say_how_many_updates(squares, config: AlignmentTrainingConfig, tmp_path: Path) -> None:
    chosen = replace(config, iterations=0, epochs=3, batch_size=5)
    made = train_alignment(tmp_path / "out", *squares, NAMES, config=chosen, device="cpu")
    assert made.counts["iterations"] == 5  # 24 samples in batches of 5


def test_train__the_encoders_stay_frozen(squares, config: AlignmentTrainingConfig, tmp_path: Path) -> None:
    train_alignment(tmp_path / "out", *squares, NAMES, config=replace(config, iterations=2), device="cpu")
    texts = load_segmenter(tmp_path / "out", device="cpu").predictor.texts.numpy()
    clip = load_clip(config.clip, device="cpu")
    np.testing.assert_allclose(texts, clip.embed_names(["park", "red", "dog"], ['a photo of a "{}"']), atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 0},
        {"image_size": 0},
        {"optimizer": "lion"},
        {"loss": "triplet"},
        {"flip_prob": 2.0},
        {"automatic_fraction": 1.5},
        {"label_sources": "none"},
    ],
)
def test_train__values_out_of_range(squares, config, change: dict, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        train_alignment(tmp_path / "out", *squares, NAMES, config=replace(config, **change), device="cpu")


def test_train__the_patches_of_another_block(squares, config: AlignmentTrainingConfig, tmp_path: Path) -> None:
    made = train_alignment(
        tmp_path / "out", *squares, NAMES, config=replace(config, iterations=2, block=0), device="cpu"
    )
    encoder = load_segmenter(made.folder, device="cpu").predictor.encoder
    x = torch.zeros(1, 3, 32, 32) + torch.linspace(-1, 1, 32)
    assert torch.equal(encoder.patch_features(x), encoder.patch_features(x, block=0))
    assert not torch.equal(encoder.patch_features(x), encoder.patch_features(x, block=2))


def test_train__clip_has_no_other_block(squares, config: AlignmentTrainingConfig, tmp_path: Path) -> None:
    chosen = replace(config, dense_encoder=config.clip, block=0)
    with pytest.raises(ConfigError, match="block: expected none"):
        train_alignment(tmp_path / "out", *squares, NAMES, config=chosen, device="cpu")
