"""A picture and a segmenter in; what a person wants to see of it out: areas, objects or confidence, a legend, files.

Knows no web page: pictures are arrays, legends are HTML in which all words are escaped, files are paths.
"""

import hashlib
import re
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from threading import Lock
from typing import Any, Literal, NamedTuple, final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from namesake.errors import NamesError
from namesake.images.geometry import resize, resize_labels
from namesake.names import read_names
from namesake.prediction.colours import colours_of, in_order
from namesake.prediction.draw import UNSURE_COLOUR, Picture, blend
from namesake.prediction.export import annotation, encode_index_png, write_coco
from namesake.prediction.pieces import find_pieces
from namesake.records import Instances, Names, Prediction
from namesake.segmenter import Segmenter
from namesake.segmenter.kinds import TakesNames
from namesake.shapes import ImageArray, LabelArray, not_sure

View = Literal["areas", "objects", "confidence"]
REMEMBERED = 4
"""Predictions kept, so that the slider and the views do not ask the network again."""
OBJECTS = "Each annotation is one object with the system's score."
PIECES = "The system finds no objects: each annotation is a connected piece of its label map, with its mean confidence."
LONGEST_TEXT, MOST_NAMES, MOST_ROWS = 4000, 200, 20
SMALLEST, LARGEST = 640, 1280
"""Longer side of what is shown, in pixels; files for download keep the original size."""


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
        names = typed_names(typed) if self.takes_names and typed.strip() else self.segmenter.names
        digest = hashlib.blake2b(image.tobytes(), key=str(image.shape).encode()).hexdigest()
        with self._lock:
            found = self._recent.pop((digest, names), None) or Found(names, self._segment(image, names))
            self._recent[digest, names] = found
            if len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)
        return found if self.takes_names else found.only(ticked)

    def _segment(self, image: ImageArray, names: Names) -> Prediction:
        chosen = self.segmenter if names == self.segmenter.names else self.segmenter.with_names(names)
        return chosen.segment(image)


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


def picture(image: ImageArray, found: Found, view: View) -> Picture:
    """The view of a picture, at a size that suits a screen.

    Args:
        image: RGB, of the prediction's size.
        found: What was found in it.
        view: "areas": each name in its colour; "objects": each object in one, or each connected piece of an area where
            the system finds no objects; "confidence": viridis, dark = 0, yellow = 1.

    Returns:
        RGB.
    """
    prediction = found.prediction
    height, width = image.shape[:2]
    scale = min(max(height, width, SMALLEST), LARGEST) / max(height, width)
    size = {"height": max(1, round(height * scale)), "width": max(1, round(width * scale))}
    shown = resize(image, **size, method="bilinear")
    if view == "confidence":
        heat = _viridis(prediction.confidence)
        return np.rint(0.3 * shown + 0.7 * resize(heat, **size, method="nearest")).astype(np.uint8)
    if view == "objects":
        return blend(shown, resize_labels(_objects(found).numbers, **size))
    labels, unsure = resize_labels(prediction.labels, **size), not_sure(len(found.names))
    return blend(shown, labels, colours=colours_of(found.names.names), unsure=unsure)


def legend(found: Found, view: View) -> str:
    """The legend of a view as HTML."""
    if view == "confidence":
        low, middle, high = np.percentile(found.prediction.confidence, [5, 50, 95])
        return (
            '<div class="scale"></div><div class="ends"><span>0 %</span><span>100 %</span></div>'
            f"<p>Half of the pixels are at least {middle:.0%} sure; nine in ten lie from {low:.0%} to {high:.0%}.</p>"
        )
    return _object_rows(found) if view == "objects" else _area_rows(found)


def files(found: Found, *, name: str, folder: Path) -> tuple[Path, Path]:
    """Write the index PNG and the COCO json of what was found, at the original size, into a new folder.

    Args:
        found: What to write.
        name: Name of the picture; only what is safe of it goes into file names.
        folder: Where the new folder is made.

    Returns:
        The two files.
    """
    safe = re.sub(r"[^\w-]+", "-", Path(name).stem).strip("-")[:60] or "picture"
    place = Path(tempfile.mkdtemp(dir=folder))
    index, coco = place / f"{safe}-labels.png", place / f"{safe}-coco.json"
    index.write_bytes(encode_index_png(found.prediction.labels, names=len(found.names)))
    height, width = found.prediction.labels.shape
    write_coco(
        coco,
        names=found.names,
        images=[{"id": 1, "file_name": name, "height": height, "width": width}],
        annotations=({"id": number, "image_id": 1, **each} for number, each in enumerate(_annotations(found), start=1)),
        info={"description": PIECES if found.prediction.instances is None else OBJECTS},
    )
    return index, coco


def _annotations(found: Found) -> Iterator[dict[str, Any]]:
    objects = found.prediction.instances
    if objects is None:
        pieces = find_pieces(found.prediction, unsure=not_sure(len(found.names)))
        masks, labels, scores = pieces.masks(), pieces.labels, pieces.scores
    else:
        masks, labels, scores = iter(objects.masks), objects.labels, objects.scores
    for mask, label, score in zip(masks, labels, scores, strict=True):
        yield annotation(mask, label=label, score=score)


def _area_rows(found: Found) -> str:
    """Names with their share of the picture and mean confidence; then the rest of the picture, and absent names."""
    labels, confidence, unsure = found.prediction.labels, found.prediction.confidence, not_sure(len(found.names))
    colours, rows, last = colours_of(found.names.names), [], []
    for label, pixels in zip(*np.unique(labels, return_counts=True), strict=True):
        share, sure = f"{pixels / labels.size:.1%}", f"sure {confidence[labels == label].mean():.0%}"
        if label == 0:
            last.append(_row(None, "background", share, sure))
        elif label == unsure:
            last.append(_row(UNSURE_COLOUR, "not sure", share, ""))
        else:
            rows.append(_row(colours[label], found.names.names[label - 1], share, sure))
    absent = [name for label, name in enumerate(found.names.names, start=1) if label not in labels]
    rest = f"<p>Not found: {escape(', '.join(absent[:40]))}{' …' if len(absent) > 40 else ''}</p>" if absent else ""
    return _table([*rows, *last]) + rest


def _table(rows: Sequence[str]) -> str:
    return f'<table class="legend">{"".join(rows)}</table>' if rows else ""


def _row(colour: Sequence[int] | ndarray | None, name: str, share: str, sure: str) -> str:
    style = "" if colour is None else f' style="background: rgb({", ".join(str(int(part)) for part in colour)})"'
    return f'<tr><td><span class="swatch"{style}></span>{escape(name)}</td><td>{share}</td><td>{sure}</td></tr>'


class _Objects(NamedTuple):
    """Objects, or what stands for them: int [height, width] that counts them from 1; label and score of each."""

    numbers: LabelArray
    labels: tuple[int, ...]
    scores: tuple[float, ...]


def _objects(found: Found) -> _Objects:
    """The objects, the surer above; connected pieces of the areas where the system finds none."""
    objects = found.prediction.instances
    if objects is None:
        pieces = find_pieces(found.prediction, unsure=not_sure(len(found.names)))
        counted = np.where(pieces.numbers <= len(pieces.labels), pieces.numbers, 0)
        return _Objects(counted, pieces.labels, pieces.scores)
    placed = np.zeros(found.prediction.labels.shape, dtype=np.int32)
    for place in np.argsort(objects.scores, kind="stable"):
        placed[objects.masks[place]] = place + 1
    return _Objects(placed, objects.labels, objects.scores)


def _object_rows(found: Found) -> str:
    """Objects, the largest first."""
    numbers, labels, scores = _objects(found)
    colours, pixels = in_order(len(labels) + 1), np.bincount(numbers.ravel(), minlength=len(labels) + 1)[1:]
    rows = [
        _row(
            colours[place + 1],
            found.names.names[labels[place] - 1],
            f"{pixels[place] / numbers.size:.1%}",
            f"sure {scores[place]:.0%}",
        )
        for place in np.argsort(-pixels, kind="stable")[:MOST_ROWS]
    ]
    rest = f"<p>and {len(labels) - len(rows)} smaller ones</p>" if len(rows) < len(labels) else ""
    pieces = "<p>This run finds areas, not objects: each connected piece is shown.</p>"
    head = "" if found.prediction.instances is not None else pieces
    return f"{head}{_table(rows) or '<p>No object was found.</p>'}{rest}"


def _chosen(objects: Instances, stays: Sequence[bool]) -> Instances:
    places = [place for place, each in enumerate(stays) if each]
    return Instances(
        objects.masks[places],
        tuple(objects.labels[place] for place in places),
        tuple(objects.names[place] for place in places),
        tuple(objects.scores[place] for place in places),
    )


def _viridis(values: Float[ndarray, "height width"]) -> Picture:
    import matplotlib as mpl

    return np.asarray(mpl.colormaps["viridis"](values, bytes=True)[..., :3])
