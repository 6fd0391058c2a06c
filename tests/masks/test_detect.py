from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from namesake.images.geometry import resize
from namesake.masks import BilateralSolver, detect
from namesake.masks.detect import finish, propose_all, shrink
from namesake.networks import SelfMask

Draw = Callable[..., np.ndarray]


@pytest.fixture(autouse=True)
def lively(tiny_selfmask: SelfMask) -> None:
    """Masks of a random network cover all or nothing; larger queries make them cover a part."""
    with torch.no_grad():
        tiny_selfmask.decoder.norm.weight.mul_(3)
        tiny_selfmask.decoder.norm.bias.normal_()


def published(network: SelfMask, image: np.ndarray) -> tuple[np.ndarray, float]:
    """The steps as they are written down: every mask upsampled, then one chosen."""
    x = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        found = network((x - mean) / std)
    whole = functional.interpolate(found.mask_probs, scale_factor=4, mode="bilinear", align_corners=False)
    best = int(found.objectness[0].argmax())
    return whole[0, best, : image.shape[0], : image.shape[1]].numpy() > 0.5, float(found.objectness[0, best].sigmoid())


def test_propose_follows_the_published_steps(tiny_selfmask: SelfMask, draw: Draw) -> None:
    images = [draw(36, 44, seed=seed) for seed in range(2)]
    found = propose_all(tiny_selfmask, images, batch_size=2)
    for image, (mask, score) in zip(images, found, strict=True):
        expected, objectness = published(tiny_selfmask, image)
        assert np.array_equal(mask, expected)
        assert abs(score - objectness) < 1e-6
    assert 0 < np.mean([mask for mask, _ in found]) < 1


def test_propose_all_keeps_the_order_of_mixed_sizes(tiny_selfmask: SelfMask, draw: Draw) -> None:
    images = [draw(height, width, seed=height) for height, width in ((32, 40), (40, 32), (32, 40), (32, 32), (40, 32))]
    found = propose_all(tiny_selfmask, images, batch_size=2)
    for image, (mask, score) in zip(images, found, strict=True):
        ((alone, objectness),) = propose_all(tiny_selfmask, [image], batch_size=1)
        assert np.array_equal(mask, alone)
        assert abs(score - objectness) < 1e-6


def test_detect_is_its_steps_in_order(tiny_selfmask: SelfMask, draw: Draw) -> None:
    image = draw(50, 70, seed=0)
    small = resize(image, height=32, width=44)
    mask, _ = published(tiny_selfmask, small)
    refined = torch.from_numpy(BilateralSolver().refine(small, mask)).float()
    expected = functional.interpolate(refined[None, None], size=(50, 70), mode="nearest")[0, 0].numpy() > 0
    (found,) = detect(tiny_selfmask, [image])
    assert np.array_equal(found.mask, expected)


def test_detect__without_solver(tiny_selfmask: SelfMask, draw: Draw) -> None:
    image = draw(32, 32, seed=3)
    (found,) = detect(tiny_selfmask, [image], solver=None)
    assert np.array_equal(found.mask, published(tiny_selfmask, image)[0])


def test_detect__no_images(tiny_selfmask: SelfMask) -> None:
    assert detect(tiny_selfmask, []) == []


@pytest.mark.parametrize(
    ("size", "expected"),
    [((100, 133), (32, 42)), ((20, 10), (64, 32)), ((10, 40), (32, 128)), ((10, 41), (31, 128)), ((1, 500), (1, 128))],
)
def test_shrink(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert shrink(np.zeros((*size, 3), np.uint8), side=32).shape[:2] == expected


def test_shrink__no_side_keeps_the_image(draw: Draw) -> None:
    image = draw(20, 30, seed=0)
    assert shrink(image, side=None) is image


def test_finish__empty_mask_stays_empty(draw: Draw) -> None:
    mask = finish(np.zeros((32, 32), bool), draw(32, 32, seed=0), solver=BilateralSolver(), height=10, width=77)
    assert mask.shape == (10, 77)
    assert not mask.any()
