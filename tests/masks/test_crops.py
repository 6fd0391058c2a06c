from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.encoders import Clip, load_clip
from namesake.errors import ConfigError
from namesake.images.geometry import resize
from namesake.masks.crops import crop_features, input_side


@pytest.fixture
def clip(tiny_clip: Path) -> Clip:
    return load_clip(str(tiny_clip), device="cpu")


@pytest.fixture
def image(draw) -> np.ndarray:
    return draw(50, 70, seed=1)


def test_crops__every_patch_lies_where_it_was_cut(clip: Clip, image: np.ndarray) -> None:
    found = crop_features(clip, image, side=96)
    assert found.tokens.shape == (9, 10)
    assert found.patches.shape == (12, 12, 10)
    large = resize(image, height=96, width=96, method=clip.preprocessing.method)
    for row, column in [(0, 0), (0, 2), (1, 0), (2, 1)]:
        cut = np.ascontiguousarray(large[32 * row : 32 * row + 32, 32 * column : 32 * column + 32])
        whole, patches = clip.wholes_and_patches(clip.preprocessing.normalise([cut]))
        torch.testing.assert_close(found.tokens[3 * row + column], whole[0], atol=1e-5, rtol=0)
        block = found.patches[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        torch.testing.assert_close(block, patches[0], atol=1e-5, rtol=0)


def test_crops__overview_is_the_whole_image_as_a_last_token(clip: Clip, image: np.ndarray) -> None:
    found = crop_features(clip, image, side=64, overview=True)
    small = resize(image, height=32, width=32, method=clip.preprocessing.method)
    wanted = clip.wholes_and_patches(clip.preprocessing.normalise([small]))[0][0]
    assert len(found.tokens) == 5
    torch.testing.assert_close(found.tokens[4], wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", [0, 31, 48])
def test_crops__side_that_is_no_multiple_of_the_crop(clip: Clip, image: np.ndarray, side: int) -> None:
    with pytest.raises(ConfigError, match="multiple of the 32"):
        crop_features(clip, image, side=side)


def test_input_side(clip: Clip) -> None:
    assert input_side(clip) == 32
