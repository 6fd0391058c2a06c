"""Choose which images of one archive to keep out: those that are too small, and near duplicates."""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from namesake.errors import ConfigError


def first_of_near_duplicates(embeddings: Float[ndarray, "images dim"], *, threshold: float) -> Bool[ndarray, " images"]:
    """Which images to keep so that no two kept ones are nearly equal; of two such, the earlier one stays.

    Greedy in the order given: an image goes when its cosine with one that is already kept is above the threshold.

    Args:
        embeddings: Unit vectors, best rank first.
        threshold: Cosine, 0 to 1.

    Returns:
        True for the images kept; the first always is.

    Raises:
        ConfigError: A threshold outside 0 to 1.
    """
    if not 0 <= threshold <= 1:
        raise ConfigError(f"expected a near-duplicate threshold of 0 to 1 (a cosine), found {threshold}.")
    near = embeddings @ embeddings.T > threshold
    kept = np.ones(len(near), dtype=np.bool_)
    for image in range(len(near)):  # each decision rests on the ones before
        if kept[image]:
            kept[image + 1 :] &= ~near[image, image + 1 :]
    return kept


def large_enough(sizes: Int[ndarray, "images 2"], *, min_image_size: int) -> Bool[ndarray, " images"]:
    """True where both height and width are at least `min_image_size` original pixels."""
    return np.asarray(sizes.min(axis=1, initial=np.iinfo(np.int64).max) >= min_image_size)
