"""Join the masks of archives that were made part by part."""

from dataclasses import replace
from pathlib import Path

from namesake.archives import unique_images
from namesake.masks.store import MaskLookup, MaskWriter, count_masks, open_masks
from namesake.records import Archives, PseudoMasks
from namesake.workspace import stage


@stage("joined/masks", opens=open_masks)
def join_masks(out: Path, archives: Archives, *parts: PseudoMasks) -> PseudoMasks:
    """Gather masks that were made part by part.

    Args:
        out: The stage's folder.
        archives: The joined archives; they say which label an image has now.
        *parts: Masks of each part's archives, in the order in which the archives were joined. An image of several
            parts has the mask of the first.

    Returns:
        One mask an image, in the order of image ids. Counts as `saliency_masks` has them.
    """
    labels, tables = unique_images(archives), [MaskLookup(part) for part in parts]
    with MaskWriter(out) as writer:
        for image_id in writer.resume(list(labels)):
            table = next((table for table in tables if image_id in table), None)
            if table is None:
                writer.skip(image_id, "without a mask in every part")
            else:
                writer.write(replace(table[image_id], label=labels[image_id]))
    models = tuple(dict.fromkeys(card for part in parts for card in part.models))
    return PseudoMasks(out, counts=count_masks(out), models=models)
