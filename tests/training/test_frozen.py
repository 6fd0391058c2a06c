"""A decoder on kept features: it learns, resumes to the same bytes, keeps what it computed, and says what is wrong."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import namesake.training.frozen as module
from namesake.encoders import load_dino
from namesake.encoders.preprocess import Preprocessing
from namesake.errors import ConfigError, DataError, WeightsError
from namesake.masks import rle
from namesake.networks.frozen import FrozenDecoderConfig
from namesake.records import Archives, Images, Names, PseudoMasks
from namesake.segmenter import load_segmenter
from namesake.training import FeaturesConfig, FrozenTrainingConfig, keep_features, train_on_features
from namesake.training.samples import features as store
from namesake.training.samples.archives import read_examples
from namesake.training.samples.features import CELLS, FeatureSamples, feature_reader, open_features
from namesake.training.watching import watched_by
from namesake.workspace import Workspace
from tiny_models import write_dino

from .conftest import NAMES, Onlooker, draw

Collection = tuple[Archives, PseudoMasks]


@pytest.fixture(scope="session")
def dino(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_dino(tmp_path_factory.mktemp("dino") / "dino", "dinov2"))


def tiny(dino: str, **changes) -> FrozenTrainingConfig:
    config = FrozenTrainingConfig(
        features=FeaturesConfig(dino=dino, resize_longer=64, batch_size=2),
        iterations=6,
        batch_size=4,
        window=3,
        learning_rate=1e-2,
        architecture=FrozenDecoderConfig(hidden_dim=32, layers=1, dropout=0.0),
        num_workers=0,
        checkpoint_every=2,
    )
    return replace(config, **changes)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("features*"))}


def test_features__those_of_the_encoder_in_half_precision(collection: Collection, dino: str, tmp_path: Path) -> None:
    archives, _ = collection
    kept = keep_features(tmp_path / "features", archives, config=tiny(dino).features, device="cpu")
    assert kept.counts["images"] == 8
    encoder, read = load_dino(dino, device="cpu"), feature_reader(open_features(tmp_path / "features"))
    from namesake.images import read_image

    rule = Preprocessing(encoder.preprocessing.mean, encoder.preprocessing.std)
    for image_id in archives.images.ids:
        x = rule.fit_patches([read_image(archives.images.path(image_id))], patch=8)
        expected = encoder.patch_features(x)[0].detach().numpy()
        np.testing.assert_allclose(read(image_id), expected, atol=2e-3 * np.abs(expected).max())


def test_features__killed_work_goes_on_and_more_images_join_behind(
    collection: Collection, dino: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives, _ = collection
    config = tiny(dino).features
    monkeypatch.setattr(store, "IMAGES_A_SHARD", 3)
    keep_features(tmp_path / "whole", archives, config=config, device="cpu")
    cut = tmp_path / "cut"
    cut.mkdir()
    for path in (tmp_path / "whole").glob("features*"):
        if "00002" not in path.name and path.name != "features-00001.json":  # killed within the second shard
            (cut / path.name).write_bytes(path.read_bytes())
    seen: list[str] = []
    read = store.read_image
    monkeypatch.setattr(store, "read_image", lambda path: seen.append(path.name) or read(path))
    again = keep_features(cut, archives, config=config, device="cpu")
    assert seen == list(archives.images.ids[3:])
    assert digests(cut) == digests(tmp_path / "whole")
    assert len(again.places) == 8
    monkeypatch.setattr(store, "unique_images", lambda _: {f"{number:02d}.png": 1 for number in range(10)})
    draw(archives.images.folder, 10)
    more = keep_features(cut, archives, config=config, device="cpu")
    assert len(more.places) == 10
    assert seen[5:] == ["08.png", "09.png"]


def test_features__of_a_picture_that_changed(
    collection: Collection, dino: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(collection[0].images.folder, tmp_path / "pictures")
    archives, config = (
        replace(collection[0], images=replace(collection[0].images, folder=tmp_path / "pictures")),
        tiny(dino).features,
    )
    changed, *others = archives.images.ids
    before = keep_features(tmp_path / "features", archives, config=config, device="cpu")
    old = feature_reader(before)(changed).copy()
    Image.new("RGB", (16, 40), (200, 30, 90)).save(archives.images.path(changed))
    seen: list[str] = []
    read = store.read_image
    monkeypatch.setattr(store, "read_image", lambda path: seen.append(path.name) or read(path))
    after = keep_features(tmp_path / "features", archives, config=config, device="cpu")
    assert seen == [changed]
    assert feature_reader(after)(changed).shape[:2] == (5, 2) != old.shape[:2]
    for image_id in others:
        assert np.array_equal(feature_reader(after)(image_id), feature_reader(before)(image_id))
    keep_features(tmp_path / "features", archives, config=config, device="cpu")
    assert seen == [changed]


def test_features__of_another_size_are_computed_anew(collection: Collection, dino: str, tmp_path: Path) -> None:
    archives, _ = collection
    config = tiny(dino).features
    keep_features(tmp_path / "features", archives, config=config, device="cpu")
    other = keep_features(tmp_path / "features", archives, config=replace(config, resize_longer=16), device="cpu")
    assert other.longer_side == 16
    assert {place[2:] for place in other.places.values()} == {(2, 2)}


def test_features__unreadable_image_is_left_out(collection: Collection, dino: str, tmp_path: Path) -> None:
    archives, _ = collection
    archives.images.path("03.png").write_bytes(b"no image")
    kept = keep_features(tmp_path / "features", archives, config=tiny(dino).features, device="cpu")
    assert kept.counts["images"] == 7
    assert kept.counts["unreadable"] == 1
    assert "03.png" not in kept.places


def test_features__damaged_description(collection: Collection, dino: str, tmp_path: Path) -> None:
    archives, _ = collection
    keep_features(tmp_path / "features", archives, config=tiny(dino).features, device="cpu")
    (tmp_path / "features" / "features.json").write_text("{")
    with pytest.raises(DataError, match="holds no features"):
        open_features(tmp_path / "features")


def test_samples__patches_take_their_labels_along(collection: Collection, dino: str, tmp_path: Path) -> None:
    """Every patch of a sample is one of a drawn image, with the labels of that image under it."""
    archives, masks = collection
    kept = keep_features(tmp_path / "features", archives, config=tiny(dino).features, device="cpu")
    examples, read = read_examples(archives, masks), feature_reader(kept)
    samples = FeatureSamples(examples, kept, window=5, copy_paste_max=3, flip=0.5, ignore=255, seed=0)
    known: dict[bytes, set[bytes]] = {}
    for line in range(len(examples)):
        found = read(examples.images.ids[examples.image[line]])
        rows, columns, _ = found.shape
        mask = store.resize_labels(examples.codes[int(examples.mask[line])], height=CELLS * rows, width=CELLS * columns)
        label = mask.astype(np.int64) * examples.label[line]
        for row in range(rows):
            for column in range(columns):
                cells = label[CELLS * row : CELLS * (row + 1), CELLS * column : CELLS * (column + 1)]
                known.setdefault(found[row, column].tobytes(), set()).update(
                    {cells.tobytes(), np.ascontiguousarray(cells[:, ::-1]).tobytes()}
                )
    mixed = 0
    for number in range(40):
        features, labels = (each.numpy() for each in samples[number])
        assert labels.shape == (20, 20)
        mixed += {1, 2} <= {*np.unique(labels)}
        for row in range(5):
            for column in range(5):
                cells = labels[CELLS * row : CELLS * (row + 1), CELLS * column : CELLS * (column + 1)]
                if (cells == 255).all():
                    assert not features[row, column].any()
                else:
                    assert np.ascontiguousarray(cells).tobytes() in known[features[row, column].tobytes()]
    assert mixed > 5
    again = FeatureSamples(examples, kept, window=5, copy_paste_max=3, flip=0.5, ignore=255, seed=0)[7]
    assert torch.equal(samples[7].features, again.features)


def test_train__learns_squares(collection: Collection, dino: str, tmp_path: Path) -> None:
    archives, masks = collection
    config = tiny(dino, iterations=150, batch_size=8)
    kept = keep_features(tmp_path / "features", archives, config=config.features, device="cpu")
    folder = train_on_features(tmp_path / "run", archives, masks, kept, NAMES, config=config, device="cpu")
    segmenter = load_segmenter(tmp_path / "run", device="cpu")
    assert segmenter.kind == "frozen"
    images, truth = draw(tmp_path, 8)
    right = total = 0
    for image_id, mask in zip(images.ids, truth, strict=True):
        found = segmenter.segment(images.path(image_id)).labels
        expected = rle.decode(mask.rle, mask.height, mask.width) * np.uint8(mask.label)
        right, total = right + int((found == expected).sum()), total + expected.size
    assert right / total > 0.85
    assert folder.counts == {"images": 8, "names": 2, "iterations": 150}
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
    encoder, own = load_dino(dino, device="cpu").vit.state_dict(), segmenter.predictor.network.encoder.state_dict()
    assert all(torch.equal(encoder[key], value) for key, value in own.items())


class KilledError(Exception):
    pass


def test_train__killed_and_resumed_gives_the_same_bytes(
    collection: Collection, dino: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives, masks = collection
    kept = keep_features(tmp_path / "features", archives, config=tiny(dino).features, device="cpu")
    train_on_features(tmp_path / "whole", archives, masks, kept, NAMES, config=tiny(dino), device="cpu")
    calls, original = 0, module.cell_loss

    def dying_loss(ignore: int):
        inner = original(ignore)

        def loss(decoder, batch):
            nonlocal calls
            calls += 1
            if calls == 4:
                raise KilledError
            return inner(decoder, batch)

        return loss

    monkeypatch.setattr(module, "cell_loss", dying_loss)
    with pytest.raises(KilledError):
        train_on_features(tmp_path / "killed", archives, masks, kept, NAMES, config=tiny(dino), device="cpu")
    monkeypatch.undo()
    onlooker = Onlooker()
    with watched_by(onlooker):  # who is shown what it predicts meanwhile changes nothing
        train_on_features(tmp_path / "killed", archives, masks, kept, NAMES, config=tiny(dino), device="cpu")
    assert [number for number, _ in onlooker.seen] == [3, 4, 5, 6]
    assert {names for _, names in onlooker.seen} == {NAMES.names}
    for file in ("model.safetensors", "config.json", "metrics.jsonl"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_train__as_stages_are_reused(collection: Collection, dino: str, tmp_path: Path) -> None:
    archives, masks = collection
    config = tiny(dino, iterations=2)
    for _ in range(2):
        with Workspace(tmp_path / "run") as workspace:
            kept = workspace.step(keep_features, archives, config=config.features, device="cpu")
            made = workspace.step(train_on_features, archives, masks, kept, NAMES, config=config, device="cpu")
    assert [stage["reused"] for stage in workspace.stages] == [True, True]
    assert made.kind == "frozen"
    content = json.loads((tmp_path / "run" / "segmenter" / "config.json").read_text())
    assert content["models"][-1]["source"] == dino
    assert content["preprocessing"]["resize_longer"] == 64


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": 0}, "iterations"),
        ({"batch_size": 0}, "batch_size"),
        ({"window": 0}, "window"),
        ({"copy_paste_max": 0}, "copy_paste_max"),
        ({"flip_prob": 1.5}, "flip_prob"),
    ],
)
def test_config__out_of_range(collection: Collection, dino: str, tmp_path: Path, changes, message) -> None:
    archives, masks = collection
    kept = keep_features(tmp_path / "features", archives, config=tiny(dino).features, device="cpu")
    with pytest.raises(ConfigError, match=message):
        train_on_features(tmp_path / "run", archives, masks, kept, NAMES, config=tiny(dino, **changes))


def test_train__features_of_other_images(collection: Collection, dino: str, tmp_path: Path) -> None:
    archives, masks = collection
    kept = keep_features(tmp_path / "features", archives, config=tiny(dino).features, device="cpu")
    kept = replace(kept, places={image_id: place for image_id, place in kept.places.items() if image_id != "05.png"})
    with pytest.raises(DataError, match=r"1 images, 05\.png"):
        train_on_features(tmp_path / "run", archives, masks, kept, NAMES, config=tiny(dino))


def test_train__fewer_names_than_labels(collection: Collection, dino: str, tmp_path: Path) -> None:
    archives, masks = collection
    kept = keep_features(tmp_path / "features", archives, config=tiny(dino).features, device="cpu")
    with pytest.raises(DataError, match="label 2"):
        train_on_features(tmp_path / "run", archives, masks, kept, Names(("red",)), config=tiny(dino))


def test_features__missing_encoder_or_images(collection: Collection, dino: str, tmp_path: Path) -> None:
    archives, _ = collection
    with pytest.raises(WeightsError):
        keep_features(tmp_path / "none", archives, config=FeaturesConfig(dino=str(tmp_path / "nowhere")))
    with pytest.raises(ConfigError, match="resize_longer"):
        keep_features(tmp_path / "none", archives, config=FeaturesConfig(dino=dino, resize_longer=3))
    from namesake.errors import ImagesError

    gone = replace(archives, images=Images(tmp_path / "gone", archives.images.ids))
    with pytest.raises(ImagesError, match="none of the 8"):
        keep_features(tmp_path / "none", gone, config=tiny(dino).features, device="cpu")
