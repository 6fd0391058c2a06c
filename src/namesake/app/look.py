"""A picture and a segmenter in; what was found in it out: less where a person asks for less, objects, files.

Knows no web page: `panes` shows what is found here.
"""

import hashlib
import re
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple, final

import numpy as np

from namesake.errors import NamesError
from namesake.images.encode import encode_picture
from namesake.names import read_names
from namesake.prediction.draw import number_objects, overlay
from namesake.prediction.export import encode_index_png, write_coco
from namesake.prediction.export.coco import INFO, annotations_of
from namesake.prediction.pieces import find_pieces
from namesake.records import Instances, Names, Prediction
from namesake.segmenter import Segmenter
from namesake.segmenter.kinds import TakesNames
from namesake.shapes import ImageArray, LabelArray, not_sure

View = Literal["areas", "objects", "confidence"]
REMEMBERED = 4
"""Predictions kept, so that the slider and the views do not ask the network again."""
PIECES = "The system finds no objects: each annotation is a connected piece of its label map, with its mean confidence."
LONGEST_TEXT, MOST_NAMES = 4000, 200


@dataclass(frozen=True)
class Found:
    """What a segmenter says of a picture, and what its labels mean."""

    names: Names
    prediction: Prediction

    def only(self, ticked: Sequence[str]) -> "Found":
        """The same, with every name that is not ticked become background."""
        kept = [label for label, name in enumerate(self.names.names, start=1) if name in ticked]
        labels, objects = self.prediction.labels, self.prediction.instances
        stays = np.isin(labels, [*kept, not_sure(len(self.names))])
        if objects is not None:
            objects = _chosen(objects, [label in kept for label in objects.labels])
        return replace(self, prediction=replace(self.prediction, labels=np.where(stays, labels, 0), instances=objects))

    def surer_than(self, least: float) -> "Found":
        """The same, with pixels below the confidence `least` (0 to 1) "not sure", and without objects below it."""
        found, objects = self.prediction, self.prediction.instances
        labels = np.where(found.confidence < least, not_sure(len(self.names)), found.labels)
        if objects is not None:
            objects = _chosen(objects, [score >= least for score in objects.scores])
        return replace(self, prediction=replace(found, labels=labels, instances=objects))


@final
class Viewer:
    """A segmenter with a short memory; safe in threads, one picture at a time."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter
        self._recent: OrderedDict[tuple[str, Names], Found] = OrderedDict()
        self._lock = Lock()

    @property
    def takes_names(self) -> bool:
        """Whether names may be typed; else those that it was trained with are ticked."""
        return isinstance(self.segmenter.predictor, TakesNames)

    def find(self, image: ImageArray, *, typed: str = "", ticked: Sequence[str] = ()) -> Found:
        """Segment a picture, or remember it.

        Args:
            image: RGB.
            typed: Names for open-vocabulary segmenters, a comma list or lines; the segmenter's own where it is blank.
            ticked: Names that closed-set segmenters shall show.

        Raises:
            NamesError: The names cannot be read, are too many or too long.
        """
        names = self._asked(typed) if self.takes_names and typed.strip() else self.segmenter.names
        digest = hashlib.blake2b(image.tobytes(), key=str(image.shape).encode()).hexdigest()
        with self._lock:
            found = self._recent.pop((digest, names), None) or Found(names, self._segment(image, names))
            self._recent[digest, names] = found
            if len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)
        return found if self.takes_names else found.only(ticked)

    def _asked(self, typed: str) -> Names:
        """What was typed; names that are the segmenter's own keep its other words for them, and for background."""
        own = self.segmenter.names
        if typed.strip() == listed(own.names):
            return own
        names = typed_names(typed)
        known = dict(zip(own.names, own.synonyms, strict=True)) if own.synonyms else {}
        pairs = zip(names.names, names.synonyms or [()] * len(names), strict=True)
        synonyms = tuple(words or known.get(name, ()) for name, words in pairs)
        same = names.background == Names(()).background
        return replace(
            names,
            synonyms=synonyms if any(synonyms) else (),
            background=own.background if same else names.background,
        )

    def _segment(self, image: ImageArray, names: Names) -> Prediction:
        chosen = self.segmenter if names == self.segmenter.names else self.segmenter.with_names(names)
        return chosen.segment(image)


def listed(names: Sequence[str]) -> str:
    """Names as the box for them shows them; "" where they are too many to be typed there."""
    text = ", ".join(names)
    return text if len(text) <= LONGEST_TEXT and len(names) <= MOST_NAMES else ""


def typed_names(text: str) -> Names:
    """Names that a visitor typed: a comma list, or lines of `name, synonym`. Never a file, whatever it looks like.

    Raises:
        NamesError: None, one twice, too many, or too long a text.
    """
    if len(text) > LONGEST_TEXT:
        raise NamesError(f"expected names in at most {LONGEST_TEXT} characters, found {len(text)}. Type fewer names.")
    lines = [line.strip() for line in (text.splitlines() if "\n" in text.strip() else text.split(","))]
    names = read_names([line for line in lines if line])
    if len(names) > MOST_NAMES:
        raise NamesError(f"expected at most {MOST_NAMES} names, found {len(names)}. Type fewer names.")
    return names


def files(
    found: Found, image: ImageArray, *, name: str, folder: Path, among: Sequence[str] = ()
) -> tuple[Path, Path, Path]:
    """Write overlay, index PNG and COCO json of what was found, at the original size, into a new folder.

    Args:
        found: Predictions to write.
        image: RGB, in which it was found.
        name: Name of the picture; only what is safe of it goes into file names.
        among: Names of another run beside it, so that a name has one colour in both.
        folder: Parent of the new folder.

    Returns:
        The three files.
    """
    safe = re.sub(r"[^\w-]+", "-", Path(name).stem).strip("-")[:60] or "picture"
    place = Path(tempfile.mkdtemp(dir=folder))
    drawn, index, coco = (place / f"{safe}-{what}" for what in ("overlay.jpg", "labels.png", "coco.json"))
    objects = found.prediction.instances
    picture = overlay(image, found.prediction.labels, found.names, instances=objects, among=among)
    drawn.write_bytes(encode_picture(picture, "JPEG", quality=92))
    index.write_bytes(encode_index_png(found.prediction.labels, names=len(found.names)))
    height, width = found.prediction.labels.shape
    write_coco(
        coco,
        names=found.names,
        images=[{"id": 1, "file_name": name, "height": height, "width": width}],
        annotations=annotations_of(found.prediction, found.names),
        info={"description": PIECES if objects is None else INFO["instances"]},
    )
    return drawn, index, coco


class Numbered(NamedTuple):
    """Objects, or what stands for them: int [height, width] that counts them from 1; label and score of each."""

    numbers: LabelArray
    labels: tuple[int, ...]
    scores: tuple[float, ...]


def numbered(found: Found) -> Numbered:
    """The objects, the surer above; connected pieces of the areas where the system finds none."""
    objects = found.prediction.instances
    if objects is None:
        pieces = find_pieces(found.prediction, unsure=not_sure(len(found.names)))
        counted = np.where(pieces.numbers <= len(pieces.labels), pieces.numbers, 0)
        return Numbered(counted, pieces.labels, pieces.scores)
    placed = number_objects(objects, found.prediction.labels.shape)
    return Numbered(placed, objects.labels, objects.scores)


def _chosen(objects: Instances, stays: Sequence[bool]) -> Instances:
    places = [place for place, each in enumerate(stays) if each]
    return Instances(
        objects.masks[places],
        tuple(objects.labels[place] for place in places),
        tuple(objects.names[place] for place in places),
        tuple(objects.scores[place] for place in places),
    )
