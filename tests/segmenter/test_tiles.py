"""Tiles: they cover the image, merge without a seam, share one centre, and unite the objects that they cut."""

import numpy as np
import pytest
import torch

from namesake.errors import ConfigError
from namesake.images.geometry import Box
from namesake.segmenter import Segmenter, load_segmenter
from namesake.segmenter.tiles import Part, join, predict_tiled, tile_boxes, window


@pytest.mark.parametrize(("rows", "columns", "size"), [(3, 5, 8), (8, 8, 8), (9, 40, 8), (101, 64, 32)])
def test_boxes__cover_with_enough_overlap(rows: int, columns: int, size: int) -> None:
    boxes = tile_boxes(rows, columns, size=size)
    for axis, length in enumerate((rows, columns)):
        starts = sorted({box[axis] for box in boxes})
        side = min(size, length)
        assert starts[0] == 0
        assert starts[-1] + side == length
        assert all(before + side - after >= size // 4 for before, after in zip(starts, starts[1:], strict=False))


@pytest.mark.parametrize(("rows", "columns"), [(40, 16), (33, 77)])
def test_windows__every_cell_has_weight(rows: int, columns: int) -> None:
    total = torch.zeros(rows, columns)
    for box in tile_boxes(rows, columns, size=16):
        weight = window(box, rows=rows, columns=columns)
        assert weight.shape == (box.height, box.width)
        assert weight.max() <= 1
        total[box.top : box.top + box.height, box.left : box.left + box.width] += weight
    assert total.min() > 0.2


def test_window__nothing_at_inner_borders_all_at_the_images_own() -> None:
    weight = window(Box(0, 8, 16, 16), rows=40, columns=24)
    assert weight[0, -1] == weight[5, 8] == 1
    assert not weight[-1].any()
    assert not weight[:, 0].any()


@pytest.fixture
def local(query: Segmenter) -> Segmenter:
    """Every token depends on its own patch alone: no attention, no positions."""
    encoder = query.predictor.network.encoder
    with torch.no_grad():
        encoder.positional_embedding.zero_()
        for block in encoder.transformer["resblocks"]:
            block.attn.out_proj.weight.zero_()
            block.attn.out_proj.bias.zero_()
    return query


def test_tiles__equal_the_whole_where_tokens_are_local(local: Segmenter) -> None:
    """Then nothing but the merging could make a difference: crops do not change what is merged."""
    image = np.random.default_rng(5).integers(0, 256, (8 * 20, 8 * 27, 3), dtype=np.uint8)
    predictor = local.predictor
    tiled = predict_tiled(predictor, image, tile=64)
    from namesake.images.geometry import resize_longer_side

    with torch.inference_mode():
        small = resize_longer_side(image, side=64)
        centre = predictor.network.centre(predictor.input([small], to_patches=True))
        found = predictor.network(predictor.input([image], to_patches=False), centre=centre)
        whole = predictor.decide(predictor.compare(found)[0], height=160, width=216)
    assert np.allclose(tiled.confidence, whole.confidence, atol=1e-4)
    assert (tiled.labels == whole.labels).mean() > 0.9999


def test_tiles__any_size(query: Segmenter, tmp_path) -> None:
    query.save(tmp_path)
    tiling = load_segmenter(tmp_path, device="cpu", tile=64)
    image = np.random.default_rng(0).integers(0, 256, (101, 203, 3), dtype=np.uint8)
    found = tiling.segment(image)
    assert found.labels.shape == found.confidence.shape == found.instances.masks.shape[1:] == (101, 203)
    assert list(found.instances.scores) == sorted(found.instances.scores, reverse=True)
    small = np.ascontiguousarray(image[:64, :64])
    assert np.array_equal(tiling.segment(small).labels, query.segment(small).labels)


def test_tiles__a_closed_set_knows_none(segmenter: Segmenter) -> None:
    with pytest.raises(ConfigError, match="kind query or aligned"):
        Segmenter(segmenter.predictor, segmenter.settings, tile=64)


def half(top: int, left: int, mask: np.ndarray, label: int = 1, score: float = 0.5) -> Part:
    return Part(Box(top, left, *mask.shape), mask, label, score)


def test_join__an_object_that_two_tiles_cut_is_one() -> None:
    whole = np.zeros((8, 24), dtype=bool)
    whole[2:6, 4:20] = True
    parts = [half(0, 0, whole[:, :16], score=0.6), half(0, 8, whole[:, 8:], score=0.8)]
    (found,) = join(parts, rows=8, columns=24, overlap=0.3)
    assert np.array_equal(found.mask, whole)
    assert (found.label, found.score) == (1, 0.8)


@pytest.mark.parametrize("change", ["other label", "other place", "no shared pixels"])
def test_join__apart(change: str) -> None:
    first, second = np.zeros((8, 16), dtype=bool), np.zeros((8, 16), dtype=bool)
    first[2:6, 9:14] = True
    second[2:6, 1:6] = True  # the same place, seen from the next tile
    if change == "other place":
        second = np.roll(second, 4, axis=1)
    if change == "no shared pixels":
        first, second = np.roll(first, -8, axis=1), np.roll(second, 8, axis=1)
    label = 2 if change == "other label" else 1
    found = join([half(0, 0, first), half(0, 8, second, label)], rows=8, columns=24, overlap=0.3)
    assert len(found) == 2


def test_join__nothing() -> None:
    assert join([], rows=4, columns=4, overlap=0.3) == []
