"""Pseudo-masks and what a person decided of some of them in; the masks that training sees out."""

from dataclasses import dataclass
from pathlib import Path

from namesake.archives import unique_images
from namesake.masks import rle
from namesake.masks.store import WITHOUT, MaskLookup, MaskWriter, count_masks, open_masks
from namesake.progress import note
from namesake.records import Archives, ModelCard, PseudoMask, PseudoMasks
from namesake.workspace import stage

REJECTED = "rejected by a person"


@dataclass(frozen=True)
class MaskChoice:
    """What a person decided of the mask of one image.

    Attributes:
        image_id: The image.
        state: "accepted": the mask stays as the person saw it; "rejected": the image is left out of training;
            "corrected": the person's clicks made this mask, with a SAM.
        size: Height and width of the mask; () where there is none.
        counts: COCO's compressed run-length code; "" for "rejected", and for "accepted" where whatever is there stays.
        model: Source of the SAM that drew a corrected mask.
    """

    image_id: str
    state: str
    size: tuple[int, ...] = ()
    counts: str = ""
    model: str = ""


@stage("masks/curated", opens=open_masks)
def choose_masks(
    out: Path,
    masks: PseudoMasks,
    archives: Archives,
    *,
    choices: tuple[MaskChoice, ...],
    cards: tuple[ModelCard, ...] = (),
    shard_size: int = 1000,
) -> PseudoMasks:
    """Leave out the masks that a person rejected, and put in those that were accepted or corrected.

    Args:
        out: The stage's folder.
        masks: The masks as they were drawn.
        archives: The images, which say what label each has.
        choices: Choices of the person; those of images that are in no archive are passed over.
        cards: Models that drew corrected masks.
        shard_size: Images a shard.

    Returns:
        Masks in the order of image ids. Counts as `saliency_masks` has them, and `rejected`, `accepted`, `corrected`.
        Where a mask was corrected, the models of the tier M are among its own.

    Raises:
        DataError: A choice's code does not fit its size.
    """
    chosen = {each.image_id: each for each in choices}
    labels, table = unique_images(archives), MaskLookup(masks)
    used = dict.fromkeys(("rejected", "accepted", "corrected"), 0)
    for image_id in chosen.keys() & labels.keys():
        used[chosen[image_id].state] += 1
    with MaskWriter(out, shard_size) as writer:
        for image_id in writer.resume(list(labels)):
            choice = chosen.get(image_id)
            drawn = table.several(image_id) if image_id in table else []
            if choice is not None and choice.state == "rejected":
                writer.skip(image_id, REJECTED)
            elif choice is not None and choice.counts:
                writer.write(_mask(choice, labels[image_id]))
            elif drawn:
                writer.write_several(drawn)
            else:
                writer.skip(image_id, WITHOUT)
    models = tuple(dict.fromkeys((*masks.models, *(cards if used["corrected"] else ()))))
    gone = len(chosen) - sum(used.values())
    if gone:
        note(f"curation: {gone} of {len(chosen)} masks are of images that are in no archive any more; passed over.")
    return PseudoMasks(out, counts=count_masks(out) | used, models=models)


def _mask(choice: MaskChoice, label: int) -> PseudoMask:
    code = choice.counts.encode("ascii")
    height, width = choice.size
    rle.decode(code, height, width)  # a damaged code is told before it is written
    return PseudoMask(choice.image_id, label, 1.0, height, width, code)
