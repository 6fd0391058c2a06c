import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from namesake.masks.crops import CropFeatures
from namesake.masks.regions import NamedView, Regions, RegionsConfig, mean_features, paint, without_empty


def squares(*boxes: tuple[int, int, int, int], height: int = 12, width: int = 16) -> np.ndarray:
    masks = np.zeros((len(boxes), height, width), bool)
    for mask, (top, left, bottom, right) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return masks


def test_mean_features__patches_count_by_the_share_that_is_covered() -> None:
    patches = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).float()
    masks = squares((0, 0, 12, 16), (2, 3, 9, 10), (11, 15, 12, 16), (5, 5, 5, 5))
    found = mean_features(masks, patches)
    for mask, feature in zip(masks, found, strict=True):
        share = mask.reshape(3, 4, 4, 4).transpose(0, 2, 1, 3).reshape(3, 4, 16).mean(-1)
        wanted = normalize((torch.from_numpy(share).float()[..., None] * patches).sum((0, 1)), dim=0)
        torch.testing.assert_close(feature, wanted)


def test_mean_features__masks_whose_size_the_grid_does_not_divide() -> None:
    patches = torch.eye(2).reshape(1, 2, 2)
    found = mean_features(squares((0, 0, 7, 4), height=7, width=9), patches)
    assert found[0, 0] > found[0, 1] >= 0


def test_mean_features__no_mask() -> None:
    assert mean_features(np.zeros((0, 4, 4), bool), torch.zeros(2, 2, 3)).shape == (0, 3)


def test_paint__small_masks_lie_on_large_ones_and_the_surer_of_equals_on_top() -> None:
    masks = squares((0, 0, 4, 4), (0, 0, 12, 16), (0, 2, 4, 6))
    regions = Regions(masks, np.array([8, 7, 9]), np.array([0.9, 1.0, 0.5]))
    found = paint(regions, nothing=255)
    assert found[0, 0] == 8
    assert found[0, 2] == 8  # both small ones cover it
    assert found[0, 5] == 9
    assert found[11, 15] == 7


def test_paint__where_no_mask_lies() -> None:
    regions = Regions(np.zeros((0, 3, 3), bool), np.zeros(0, int), np.zeros(0))
    assert (paint(regions, nothing=255) == 255).all()


def test_without_empty() -> None:
    masks = squares((0, 0, 2, 2), (3, 3, 3, 3))
    found = without_empty(Regions(masks, np.array([4, 5]), np.array([0.1, 0.2])))
    assert found.words.tolist() == [4]


@pytest.mark.parametrize(("present_from", "wanted"), [("crops", [1]), ("patches", [0])])
def test_present__crops_or_patches_vote(present_from: str, wanted: list[int]) -> None:
    patches = torch.eye(3)[torch.zeros(2, 2, dtype=torch.long)]
    features = CropFeatures(torch.eye(3)[[1, 1, 2]], patches)
    view = NamedView(features, None, torch.eye(3), 8, 8, RegionsConfig(present_from=present_from))
    assert view.present().tolist() == wanted
