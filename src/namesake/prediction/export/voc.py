"""A dataset in, the pair of class and object masks that VOC and CVAT ("Segmentation mask 1.1") read out."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from namesake.images.encode import encode_picture
from namesake.images.palette import palette
from namesake.names.spelling import BACKGROUND, spelling
from namesake.prediction.export.dataset import Dataset, LabelledImage
from namesake.prediction.export.index_png import encode_index_png
from namesake.records import Names
from namesake.shapes import IGNORE, LabelArray, not_sure
from namesake.workspace import write_bytes

FOLDER = "voc"
UNSURE = ("ignored", "not sure")
"""What the label map calls pixels that are not sure: the first that is no name."""
MOST_OBJECTS = 254
"""Numbers that an 8-bit map has beside 0 and 255."""


def export_voc(dataset: Dataset) -> dict[str, Any]:
    """Write `voc/`: SegmentationClass, SegmentationObject, ImageSets/Segmentation/default.txt and labelmap.txt.

    Class masks hold the labels in VOC's palette (colours without one beyond 254 names), 255 where not sure. Object
    masks number the objects of an image from 1 and hold 0 elsewhere; CVAT takes an object's class from the class mask,
    so an object has only the pixels of its own label there, and of two objects the surer has a pixel.

    Returns:
        `objects`; `objects_lost` (no pixel left, or more than 254 in an image); `pixels_lost` of all objects;
        `names_changed`, where the label map cannot hold a name as it is.
    """
    folder, kept, lost, pixels = dataset.folder / FOLDER, 0, 0, 0
    stems = []
    for image in dataset.read():
        labels = dataset.labels(image)
        numbers, found = _number(image, labels)
        kept, lost = kept + found, lost + len(image.annotations) - found
        pixels += sum(each["area"] for each in image.annotations) - int(np.count_nonzero(numbers))
        write_bytes(folder / f"SegmentationClass/{image.stem}.png", _class_png(labels, names=len(dataset.names)))
        write_bytes(folder / f"SegmentationObject/{image.stem}.png", encode_index_png(numbers, names=MOST_OBJECTS))
        stems.append(image.stem)
    write_bytes(folder / "ImageSets/Segmentation/default.txt", "".join(f"{stem}\n" for stem in sorted(stems)))
    write_bytes(folder / "labelmap.txt", "\n".join([*_label_map(dataset), ""]))
    written = zip(dataset.names.names, label_names(dataset.names)[1:-1], strict=True)
    changed = {name: other for name, other in written if name != other}
    facts = {"path": FOLDER, "objects": kept, "objects_lost": lost, "pixels_lost": pixels}
    return facts | ({"names_changed": changed} if changed else {})


def label_names(names: Names) -> list[str]:
    """What the label map calls background, the names, and what is not sure; no two are one name.

    A colon ends a name there and "#" at its beginning makes the line a comment, so both become "_"; a name that is
    there already gets a number.
    """
    found: dict[str, str] = {}
    for name in (BACKGROUND, *names.names):
        written = name.replace(":", "_")
        written = f"_{written[1:]}" if written.startswith("#") else written
        found |= _first_free((written, *(f"{written}_{number}" for number in range(2, len(names) + 3))), found)
    found |= _first_free((*UNSURE, *(f"{UNSURE[0]}_{number}" for number in range(2, len(names) + 3))), found)
    return list(found.values())


def _first_free(words: Iterable[str], taken: Mapping[str, str]) -> dict[str, str]:
    return next({spelling(word): word} for word in words if spelling(word) not in taken)


def _number(image: LabelledImage, labels: LabelArray) -> tuple[LabelArray, int]:
    """The object map of an image, and how many objects it has; numbers follow the order of the annotations."""
    order = sorted(range(len(image.annotations)), key=lambda place: image.annotations[place]["score"])
    numbers = np.zeros(labels.shape, dtype=np.int32)
    for place in order:
        each = image.annotations[place]
        numbers[image.mask(each) & (labels == each["category_id"])] = place + 1
    seen = np.unique(numbers[numbers > 0])[:MOST_OBJECTS]
    table = np.zeros(len(order) + 1, dtype=np.int32)
    table[seen] = np.arange(1, len(seen) + 1)
    return table[numbers], len(seen)


def _class_png(labels: LabelArray, *, names: int) -> bytes:
    if not_sure(names) == IGNORE:
        return encode_index_png(labels, names=names)
    colours = _colours(names)
    return encode_picture(colours[np.minimum(labels, names + 1)], "PNG")


def _colours(names: int) -> UInt8[ndarray, "labels 3"]:
    """Colours of background, the names, and what is not sure: that of 255, unless it is a name's."""
    unsure = not_sure(names) if not_sure(names) == IGNORE else names + 1
    return palette(unsure + 1)[[*range(names + 1), unsure]]


def _label_map(dataset: Dataset) -> list[str]:
    """Lines `name:red,green,blue::`."""
    colours = zip(label_names(dataset.names), _colours(len(dataset.names)).tolist(), strict=True)
    lines = [f"{name}:{red},{green},{blue}::" for name, (red, green, blue) in colours]
    return ["# label:color_rgb:parts:actions", *lines]
