"""Encode overlapping crops of an enlarged image: one fine map of patch features, and a class token a crop.

FMbSeg, https://arxiv.org/abs/2403.09307, section 3.2.1 and appendix 1.1.2: the image is enlarged and cut into crops of
the size that CLIP was trained on, and the crops' patch grids are put together again.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from namesake.encoders import Clip
from namesake.errors import ConfigError
from namesake.images.geometry import resize
from namesake.shapes import ImageArray

CROPS_AT_ONCE = 16


class CropFeatures(NamedTuple):
    """Features of one image, each vector of length 1, in the joint space of images and texts.

    Attributes:
        tokens: One a crop, row by row of crops.
        patches: Covers the whole image.
    """

    tokens: Float[Tensor, "crops dim"]
    patches: Float[Tensor, "rows columns dim"]


def crop_features(
    clip: Clip, image: ImageArray, *, side: int, keep_last_mlp: bool = False, overview: bool = False
) -> CropFeatures:
    """Enlarge an image to a square, and embed its crops.

    Args:
        clip: The encoder; a crop is as large as the images that it was trained on.
        image: Image of any size; proportions are not kept.
        side: Side of the square in pixels, a multiple of the crop's; FMbSeg: 1344, four crops of 336 each way.
        keep_last_mlp: Keep the perceptron behind the last attention; see `Clip.wholes_and_patches`.
        overview: Add the class token of the whole image, shrunk to one crop, as a last one.

    Raises:
        ConfigError: `side` is no multiple of the crop.
    """
    crop = input_side(clip)
    if side < crop or side % crop:
        raise ConfigError(
            f"side is {side}, expected a multiple of the {crop} pixels that {clip.card.name} sees at once."
        )
    method, each = clip.preprocessing.method, side // crop
    large = clip.preprocessing.normalise([resize(image, height=side, width=side, method=method)])
    x = large[0].reshape(3, each, crop, each, crop).permute(1, 3, 0, 2, 4).flatten(0, 1)  # [crops, 3, crop, crop]
    parts = [clip.wholes_and_patches(some, keep_last_mlp=keep_last_mlp) for some in torch.split(x, CROPS_AT_ONCE)]
    tokens, patches = torch.cat([whole for whole, _ in parts]), torch.cat([patch for _, patch in parts])
    if overview:
        small = clip.preprocessing.normalise([resize(image, height=crop, width=crop, method=method)])
        tokens = torch.cat([tokens, clip.wholes_and_patches(small)[0]])
    # put the crops' grids together: patches of one line side by side, whatever their crop
    grid = patches.reshape(each, each, *patches.shape[1:])  # [crop row, crop column, patch row, patch column, dim]
    rows = grid.permute(0, 2, 1, 3, 4)  # crop row, patch row, crop column, patch column
    return CropFeatures(tokens, rows.flatten(2, 3).flatten(0, 1))


def input_side(clip: Clip) -> int:
    """Side in pixels of the square that an encoder was trained on, down to a multiple of its patch."""
    rule = clip.preprocessing
    side = (rule.crop or rule.size or (rule.shorter_side or 224,))[0]
    return side // clip.patch_size * clip.patch_size
