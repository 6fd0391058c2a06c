"""Segment a query segmenter's own archives, so that it can be trained again on the objects that it finds.

A pseudo-mask shows one object an image, and merges those that touch. What a trained decoder finds may tell them apart:
its surest objects are the targets of another round of training (self-training, as in CutLER, https://arxiv.org/abs/
2301.11320, section 3.4).
"""

from pathlib import Path

from namesake.errors import ImagesError
from namesake.images import read_ahead
from namesake.images.geometry import limit_longer_side
from namesake.masks import rle
from namesake.masks.store import MaskWriter
from namesake.progress import track
from namesake.records import Images, Instances, PseudoMask, PseudoMasks
from namesake.segmenter.query import OpenVocabulary
from namesake.workspace import write_json

DONE = "objects.json"


def found_objects(out: Path) -> PseudoMasks | None:
    """What `find_own_objects` wrote to a folder; None where it did not come to an end."""
    return PseudoMasks(out) if (out / DONE).is_file() else None


def find_own_objects(
    predictor: OpenVocabulary, images: Images, *, out: Path, resize_longer: int, least_relative_score: float = 0.75
) -> PseudoMasks:
    """Write, for each image, the objects that the segmenter is nearly as sure of as of its surest one there.

    Args:
        predictor: A trained segmenter.
        images: Its archives'.
        out: Folder of the shards; what a killed call left there is written again.
        resize_longer: Larger images are shrunk to this side, as they are when the segmenter is used.
        least_relative_score: Least ratio of an object's score to the highest in its image.

    Returns:
        Several masks an image, the surest in front.
    """
    found = 0
    with MaskWriter(out) as writer:
        for image_id, image in track(read_ahead(images, images.ids), what="own objects", total=len(images)):
            if isinstance(image, ImagesError):
                continue
            small = limit_longer_side(image, side=resize_longer)
            (prediction,) = predictor.predict([small], height=image.shape[0], width=image.shape[1])
            if prediction.instances is None:
                continue
            for mask in _rows(image_id, prediction.instances, least_relative_score):
                writer.write(mask)
                found += 1
    write_json(out / DONE, {"objects": found, "images": len(images)})
    return PseudoMasks(out)


def _rows(image_id: str, objects: Instances, least_relative_score: float) -> list[PseudoMask]:
    height, width = objects.masks.shape[1:]
    kept = [i for i, score in enumerate(objects.scores) if score >= least_relative_score * objects.scores[0]]
    codes = rle.encode_batch(objects.masks[kept])
    return [
        PseudoMask(image_id, objects.labels[i], objects.scores[i], height, width, code)
        for i, code in zip(kept, codes, strict=True)
    ]
