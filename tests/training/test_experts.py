"""Experts: each learns from its own archive, redraws its own images, and finished ones survive a kill."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import namesake.training.experts as module
from namesake.errors import ConfigError, DataError
from namesake.masks import rle
from namesake.masks.store import MaskWriter, read_masks, read_skipped
from namesake.networks import DeepLabConfig
from namesake.records import Archives, Names, PseudoMasks
from namesake.segmenter import load_segmenter
from namesake.training import ExpertsConfig, relabel_with_experts
from namesake.training.experts import cluster

pytestmark = pytest.mark.slow

Collection = tuple[Archives, PseudoMasks]


def tiny(backbone: str, **changes) -> ExpertsConfig:
    config = ExpertsConfig(
        backbone=backbone,
        iterations=3,
        batch_size=4,
        crop_size=24,
        resize_range=(0.6, 1.0),
        learning_rate=3e-2,
        backbone_lr_factor=0.01,
        architecture=DeepLabConfig(low_level_channels=8, aspp_channels=16, atrous_rates=(1, 2), output_stride=4),
        num_workers=0,
    )
    return replace(config, **changes)


def test_experts_redraw_every_image_once(collection: Collection, backbone: str, tmp_path: Path) -> None:
    archives, masks = collection
    redrawn = relabel_with_experts(tmp_path / "out", masks, archives, config=tiny(backbone))
    rows = list(read_masks(redrawn))
    assert [row.image_id for row in rows] == [
        "00.png",
        "02.png",
        "04.png",
        "06.png",
        "01.png",
        "03.png",
        "05.png",
        "07.png",
    ]
    assert [row.label for row in rows] == [1] * 4 + [2] * 4
    sizes = {mask.image_id: (mask.height, mask.width) for mask in read_masks(masks)}
    assert all((row.height, row.width) == sizes[row.image_id] for row in rows)
    assert redrawn.counts["masks"] == 8
    assert redrawn.counts["experts"] == 2
    assert not (tmp_path / "out" / "experts").exists()
    assert redrawn.models[-1].source == backbone


def test_experts_repair_bad_masks(collection: Collection, backbone: str, tmp_path: Path) -> None:
    """One image of four has a mask of the wrong place: its expert has learnt better from the others."""
    archives, masks = collection
    true = {mask.image_id: rle.decode(mask.rle, mask.height, mask.width) for mask in read_masks(masks)}
    with MaskWriter(tmp_path / "bad") as writer:
        for mask in read_masks(masks):
            wrong = np.zeros((mask.height, mask.width), bool)
            wrong[:, :6] = True
            writer.write(replace(mask, rle=rle.encode(wrong)) if mask.image_id == "02.png" else mask)
    config = tiny(backbone, iterations=100, batch_size=8)
    redrawn = relabel_with_experts(tmp_path / "out", PseudoMasks(tmp_path / "bad"), archives, config=config)
    found = {row.image_id: rle.decode(row.rle, row.height, row.width) for row in read_masks(redrawn)}
    iou = (found["02.png"] & true["02.png"]).sum() / (found["02.png"] | true["02.png"]).sum()
    assert iou > 0.5


class KilledError(Exception):
    pass


def test_experts__killed_in_the_second_give_the_same_bytes(
    collection: Collection, backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives, masks = collection
    config = tiny(backbone)
    relabel_with_experts(tmp_path / "whole", masks, archives, config=config)
    trained = []
    original = module.train_on

    def dying(*inputs, what: str, **options):
        trained.append(what)
        if len(trained) == 2:
            raise KilledError
        return original(*inputs, what=what, **options)

    monkeypatch.setattr(module, "train_on", dying)
    with pytest.raises(KilledError):
        relabel_with_experts(tmp_path / "killed", masks, archives, config=config)
    assert not list((tmp_path / "killed").glob("*.parquet"))
    relabel_with_experts(tmp_path / "killed", masks, archives, config=config)
    assert [what.split()[-1] for what in trained] == ["red", "blue", "blue"]
    whole, killed = ((tmp_path / name / "masks-00000.parquet").read_bytes() for name in ("whole", "killed"))
    assert whole == killed
    relabel_with_experts(tmp_path / "killed", masks, archives, config=config)
    assert len(trained) == 3


def test_experts__unreadable_image_is_skipped(collection: Collection, backbone: str, tmp_path: Path) -> None:
    archives, masks = collection
    with MaskWriter(tmp_path / "fewer") as writer:
        for mask in read_masks(masks):
            if mask.image_id == "03.png":
                writer.skip("03.png", "was broken before")
            else:
                writer.write(mask)
    archives.images.path("03.png").write_bytes(b"no image")
    redrawn = relabel_with_experts(tmp_path / "out", PseudoMasks(tmp_path / "fewer"), archives, config=tiny(backbone))
    assert [image_id for image_id, _ in read_skipped(redrawn.folder)] == ["03.png"]
    assert redrawn.counts["masks"] == 7


def test_experts__no_masks_at_all(collection: Collection, backbone: str, tmp_path: Path) -> None:
    with MaskWriter(tmp_path / "none") as writer:
        writer.skip("00.png", "broken")
    with pytest.raises(DataError, match="nothing to train on"):
        relabel_with_experts(tmp_path / "out", PseudoMasks(tmp_path / "none"), collection[0], config=tiny(backbone))


def test_experts__kept_ones_draw_as_they_drew(collection: Collection, backbone: str, tmp_path: Path) -> None:
    archives, masks = collection
    config = tiny(backbone, resize_longer=48, enlarge=True, threshold=0.6, keep=True)
    redrawn = relabel_with_experts(tmp_path / "masks" / "experts", masks, archives, config=config)
    kept = module.kept_experts(redrawn.folder)
    for row in read_masks(redrawn):
        segmenter = load_segmenter(kept[archives.names.names[row.label - 1]], device="cpu")
        assert (segmenter.settings.resize_longer, segmenter.settings.enlarge) == (48, True)
        assert segmenter.settings.threshold == 0.6
        found = segmenter.segment(archives.images.path(row.image_id)).labels > 0
        assert np.array_equal(found, rle.decode(row.rle, row.height, row.width))


def test_experts__none_for_names_that_another_stage_draws(
    collection: Collection, backbone: str, tmp_path: Path
) -> None:
    archives, masks = collection
    first = archives.names.names[0]
    redrawn = relabel_with_experts(tmp_path / "out", masks, archives, config=tiny(backbone), leave_out=(first,))
    assert redrawn.counts["experts"] == 1
    assert {row.label for row in read_masks(redrawn)} == {2}
    none = relabel_with_experts(
        tmp_path / "none", masks, archives, config=tiny(backbone), leave_out=archives.names.names
    )
    assert list(read_masks(none)) == []


def test_group_names__others_are_grouped_without_those_left_out(tmp_path: Path) -> None:
    names = Names(("dog", "sky", "cat", "car"))
    config = ExpertsConfig(groups=0)
    assert module.group_names(names, config, leave_out=("sky",), device="cpu").tolist() == [0, -1, 1, 2]
    grouped = module.group_names(
        names, ExpertsConfig(groups=2, clip="embedded:clip"), leave_out=("sky",), device="cpu"
    ).tolist()
    assert grouped[1] == -1
    assert set(grouped) == {-1, 0, 1}


def test_experts__one_group_for_all_names(
    collection: Collection, backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives, masks = collection
    monkeypatch.setattr(module, "group_names", lambda names, *_, **__: np.zeros(len(names), dtype=int))
    redrawn = relabel_with_experts(tmp_path / "out", masks, archives, config=tiny(backbone))
    rows = list(read_masks(redrawn))
    assert redrawn.counts["experts"] == 1
    assert sorted((row.image_id, row.label) for row in rows) == [(f"0{n}.png", n % 2 + 1) for n in range(8)]


def test_cluster_finds_separate_groups() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(3, 8)[[0, 0, 1, 2, 2, 2]]
    found = cluster(centres + rng.normal(0, 0.02, centres.shape), 3, seed=1)
    assert len({tuple(found[:2]), tuple(found[2:3]), tuple(found[3:])}) == 3
    assert found[0] == found[1]
    assert found[3] == found[4] == found[5]
    assert np.array_equal(found, cluster(centres + np.random.default_rng(0).normal(0, 0.02, centres.shape), 3, seed=1))


def test_cluster__as_many_groups_as_names_and_more() -> None:
    vectors = np.eye(4)
    assert sorted(cluster(vectors, 4, seed=0)) == [0, 1, 2, 3]
    with pytest.raises(ConfigError, match="1 to 4 groups"):
        cluster(vectors, 5, seed=0)
