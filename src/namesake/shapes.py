"""Shape aliases: what an array holds, in which axis order and dtype, said once.

Axes are words: `height width` are pixels of the original image unless a docstring names another frame.
"""

from jaxtyping import Bool, Int, UInt8
from numpy import ndarray

ImageArray = UInt8[ndarray, "height width 3"]
"""An RGB image, 0 to 255."""

MaskArray = Bool[ndarray, "height width"]
"""True where the object is."""

LabelArray = Int[ndarray, "height width"] | UInt8[ndarray, "height width"]
"""0 = background, i = the i-th name counted from 1, 255 = not sure (IGNORE)."""

IGNORE = 255
"""Label of pixels that nobody is sure of; no loss and no score counts them."""


def not_sure(names: int) -> int:
    """The label that means "not sure" beside `names` names: 255, or 65535 where 255 is a name's label."""
    return IGNORE if names < IGNORE else 65_535
