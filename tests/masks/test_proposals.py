from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.encoders import AutomaticConfig, load_sam
from namesake.masks.proposals import ClusterProposals, SaliencyProposals, draws_saliency, load_masks_from

EVERYTHING = AutomaticConfig(points_per_side=4, pred_iou_thresh=-9, stability_score_thresh=0.01, box_nms_thresh=0.999)


def test_sam__the_masks_that_it_draws_itself(tiny_sam: Path, draw) -> None:
    image = draw(40, 56, seed=2)
    points = np.array([[[10.0, 12.0], [30.0, 20.0]]])
    source = load_masks_from(str(tiny_sam), EVERYTHING, device="cpu")
    seen, sam = source.look(image), load_sam(str(tiny_sam), device="cpu")
    view = sam.embed(image)
    np.testing.assert_array_equal(seen.at_points(points).masks, sam.at_points(view, points).masks)
    np.testing.assert_array_equal(seen.all().masks, sam.automatic(view, EVERYTHING).masks)
    assert source.card.tier == "M"


def test_saliency_network__masks_of_the_images_size_without_any_human_mask(saliency_folder: Path, draw) -> None:
    source = load_masks_from(str(saliency_folder), EVERYTHING, device="cpu")
    found = source.look(draw(40, 56, seed=2)).at_points(np.array([[[10.0, 12.0]], [[99.0, -3.0]]]))
    assert found.masks.shape == (2, 40, 56)
    assert source.card.tier == "S"


@pytest.fixture
def halves() -> SaliencyProposals:
    """Queries for the left half, the right half, the left half again, and nothing."""
    probs = torch.zeros(4, 4, 4)
    probs[0, :, :2], probs[1, :, 2:], probs[2, :, :2] = 0.9, 0.8, 0.7
    return SaliencyProposals(probs, torch.tensor([0.5, 0.4, 0.6, 0.9]), (4, 4), AutomaticConfig())


def test_saliency__query_with_the_highest_probability_at_the_points_times_objectness(halves: SaliencyProposals) -> None:
    found = halves.at_points(np.array([[[0.5, 0.5], [1.5, 3.5]], [[3.5, 0.5], [2.5, 2.5]]]))
    assert found.masks[0, :, 0].all()
    assert not found.masks[0, :, 3].any()
    assert found.masks[1, :, 3].all()
    np.testing.assert_allclose(found.scores, [0.45, 0.32], rtol=1e-6)


def test_saliency__all_masks_once_from_the_most_object_like_without_empty_ones(halves: SaliencyProposals) -> None:
    found = halves.all()
    np.testing.assert_allclose(found.scores, [0.6, 0.4])
    assert found.masks[0, 0].tolist() == [True, True, False, False]


def test_saliency__no_query_is_sure() -> None:
    found = SaliencyProposals(torch.zeros(2, 4, 4), torch.tensor([0.9, 0.4]), (8, 6), AutomaticConfig()).all()
    assert found.masks.shape == (0, 8, 6)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [("selfmask_nq20.pt", True), ("embedded:saliency", True), ("facebook/sam-vit-huge", False)],
)
def test_draws_saliency__by_name(source: str, wanted: bool) -> None:
    assert draws_saliency(source) == wanted


@pytest.fixture
def clusters() -> ClusterProposals:
    """Cuts into 2, 3, 4, 6 and 8 parts of a picture of 24 columns: all vertical stripes."""
    stripes = [
        [(start * 24 // count, (start + 1) * 24 // count) for start in range(count)] for count in (2, 3, 4, 6, 8)
    ]
    masks = np.zeros((23, 4, 24), dtype=bool)
    for mask, (first, last) in zip(masks, [one for cut in stripes for one in cut], strict=True):
        mask[:, first:last] = True
    return ClusterProposals(masks, AutomaticConfig(box_nms_thresh=0.9))


def test_clusters__cover_the_picture_each_once(clusters: ClusterProposals) -> None:
    found = clusters.all()
    assert len({mask.tobytes() for mask in found.masks}) == len(found.masks) == 23
    assert (np.diff(found.scores) <= 0).all()


def test_clusters__equal_masks_are_taken_once(clusters: ClusterProposals) -> None:
    doubled = ClusterProposals(clusters.masks[[0, 1] * 11 + [0]], AutomaticConfig(box_nms_thresh=0.9)).all()
    assert len(doubled.masks) == 2


def test_clusters__the_mask_with_the_most_points(clusters: ClusterProposals) -> None:
    found = clusters.at_points(
        np.array([[[0.0, 0.0], [5.0, 2.0], [11.0, 3.0]], [[99.0, -1.0], [23.0, 1.0], [21.0, 2.0]]])
    )
    assert found.masks[0, 0, :12].all()
    assert not found.masks[0, 0, 12:].any()
    assert found.masks[1, 0, 21:].all()


def test_clusters__of_a_dino_without_any_human_mask(tiny_dino: Path, draw) -> None:
    source = load_masks_from(str(tiny_dino), EVERYTHING, device="cpu")
    seen = source.look(draw(40, 56, seed=2))
    assert seen.masks.shape == (23, 40, 56)
    assert seen.all().masks.any(axis=0).mean() > 0.95
    assert source.card.tier == "S"
    again = source.look(draw(40, 56, seed=2))
    np.testing.assert_array_equal(seen.masks, again.masks)
