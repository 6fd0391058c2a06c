"""Choose which images of one archive to keep out as near duplicates."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray


def first_of_near_duplicates(embeddings: Float[ndarray, "images dim"], *, threshold: float) -> Bool[ndarray, " images"]:
    """Which images to keep so that no two kept ones are nearly equal; of two such, the earlier one stays.

    Greedy in the order given: an image goes when its cosine with one that is already kept is above the threshold.

    Args:
        embeddings: Unit vectors, best rank first.
        threshold: Cosine, 0 to 1.

    Returns:
        True for the images kept; the first always is.
    """
    near = embeddings @ embeddings.T > threshold  # [images, images]
    kept = np.ones(len(near), dtype=np.bool_)
    for image in range(len(near)):  # each decision rests on the ones before
        if kept[image]:
            kept[image + 1 :] &= ~near[image, image + 1 :]
    return kept
