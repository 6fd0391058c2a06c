"""Pseudo-masks and the truth of the images they were drawn on in, how well each name's masks fit out.

Training never comes here: only a collection whose truth is known, such as rendered images, can be asked.
"""

import numpy as np

from namesake.errors import DataError
from namesake.evaluation.benchmarks import Benchmark, plain
from namesake.masks import rle
from namesake.masks.store import read_masks
from namesake.progress import track
from namesake.records import Names, PseudoMasks


def mask_iou_per_name(masks: PseudoMasks, names: Names, benchmark: Benchmark) -> dict[str, float]:
    """IoU of the pseudo-masks of each name with the true pixels of that name (NamedMask, Tables 1 and 2).

    Intersections and unions are summed over the images of a name. An image whose label is wrong has no pixel of its
    name, so its whole mask counts against it.

    Args:
        masks: One mask an image, with labels counted from 1 in the order of `names`.
        names: What the labels mean.
        benchmark: Truth of those images, under the same image ids.

    Returns:
        Percent by name, for the names that have a mask.

    Raises:
        DataError: The benchmark does not know a name or an image.
    """
    ids = {plain(name): number for number, name in benchmark.names.items()}
    unknown = [name for name in names.names if plain(name) not in ids]
    if unknown:
        raise DataError(f"{benchmark.name} has no truth for {', '.join(unknown[:5])}.")
    known = set(benchmark.images.ids)
    sums = np.zeros((len(names) + 1, 2), dtype=np.int64)
    for row in track(read_masks(masks), what="measuring masks"):
        if row.image_id not in known:
            raise DataError(f"{benchmark.name} has no image {row.image_id}, on which a mask was drawn.")
        if row.label:
            mask = rle.decode(row.rle, row.height, row.width)
            truth = benchmark.truth(row.image_id) == ids[plain(names.names[row.label - 1])]
            sums[row.label] += (np.count_nonzero(mask & truth), np.count_nonzero(mask | truth))
    return {
        name: 100 * float(both / either)
        for name, (both, either) in zip(names.names, sums[1:].tolist(), strict=True)
        if either
    }
