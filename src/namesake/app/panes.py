"""What was found in a picture in, the HTML that shows it out: layers that a script fades, slides and reads; legends.

All words are escaped. `viewer.js` makes the layers move; without it they still show.
"""

import json
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from namesake.app.look import Found, View, numbered
from namesake.errors import listed
from namesake.images.encode import data_uri
from namesake.images.geometry import resize, resize_labels, scaled
from namesake.prediction.colours import colours_of
from namesake.prediction.draw import LEAST_SHARE, UNSURE_COLOUR, Colours, ink_on, paint
from namesake.prediction.spots import find_spots
from namesake.shapes import ImageArray, LabelArray, not_sure

SMALLEST, LARGEST, READ = 640, 1280, 640
"""Longer side of what is shown, and at most of the map under the mouse, in pixels."""
NAMED = 0.01
"""Share of the picture from which on a piece is named; smaller ones would lie below their names."""
WIDEST, HIGHEST = 0.4, 0.2
"""What a name takes of a pane's width, and by the size of its letters of its height, at most."""
MOST_ROWS, MOST_ABSENT = 20, 40
HINT = '<p class="hint">Drop a picture, or pick one.</p>'


class Shown(NamedTuple):
    """What one run found."""

    title: str
    found: Found


class Photo(NamedTuple):
    """The picture itself: its name, its content as a data URI, and height and width as they are shown."""

    name: str
    source: str
    size: dict[str, int]


class Parts(NamedTuple):
    """What a view distinguishes: its number at each pixel, and the colour, word, share and sureness of each number.

    Attributes:
        numbers: int [height, width]; 0 = background.
        colours: Colours of the numbers from 0 on.
        words: Words of the numbers from 0 on.
        shares: Share of the picture, 0 to 1.
        sure: Mean confidence, 0 to 1.
        unsure: The number of pixels that nobody is sure of; -1 where there is none.
    """

    numbers: LabelArray
    colours: Colours
    words: list[str]
    shares: list[float]
    sure: list[float]
    unsure: int


def panes(image: ImageArray, shown: Sequence[Shown], view: View, *, key: str, picture: str) -> str:
    """The panes of all runs as HTML.

    Args:
        image: RGB.
        shown: Findings of each run in it.
        view: "areas": each name in its colour; "objects": each object in a shade of it, or each connected piece of an
            area where the system finds no objects; "confidence": viridis, dark = 0, yellow = 1.
        key: Changes when the picture or the names do, so that the page scrolls to the answer once.
        picture: Name of the picture.
    """
    longer = max(image.shape[:2])
    size = scaled(image, min(max(longer, SMALLEST), LARGEST) / longer)
    photo = Photo(picture, data_uri(resize(image, **size, method="bilinear"), "JPEG", quality=88), size)
    every = [name for each in shown for name in each.found.names.names]
    made = [_pane(number, each, parts_of(each.found, view, every), view, photo) for number, each in enumerate(shown)]
    return f'<div class="panes" data-key="{escape(key)}" data-runs="{len(shown)}">{"".join(made)}</div>'


def waiting(titles: Sequence[str]) -> str:
    """What stands there before there is a picture."""
    made = [
        f'<figure class="pane" id="result-{number}"><figcaption>{escape(title)}</figcaption>'
        f'<div id="legend-{number}">{HINT}</div></figure>'
        for number, title in enumerate(titles)
    ]
    return f'<div class="panes" data-key="" data-runs="{len(titles)}">{"".join(made)}</div>'


def parts_of(found: Found, view: View, among: Sequence[str]) -> Parts:
    """What a view distinguishes."""
    own, prediction, names = colours_of(found.names.names, among=among), found.prediction, found.names.names
    if view != "objects":
        labels, unsure = prediction.labels, not_sure(len(names))
        numbers = np.where(labels == unsure, len(names) + 1, labels).astype(np.int64)
        colours = np.concatenate([own, np.array([UNSURE_COLOUR], np.uint8)])
        words, last = ["background", *names, "not sure"], len(names) + 1
    else:
        objects = numbered(found)
        numbers, last = objects.numbers.astype(np.int64), -1
        colours, words = _shaded(own, objects.labels), ["background", *(names[label - 1] for label in objects.labels)]
    # by part: share of the picture, and mean confidence; objects have scores of their own
    pixels = np.bincount(numbers.ravel(), minlength=len(words))
    sums = np.bincount(numbers.ravel(), weights=prediction.confidence.ravel(), minlength=len(words))
    sure = (sums / np.maximum(pixels, 1)).tolist()
    if view == "objects":
        sure = [sure[0], *objects.scores]
    return Parts(numbers, colours, words, (pixels / numbers.size).tolist(), sure, last)


def legend(parts: Parts, found: Found, view: View) -> str:
    """The legend of a view as HTML."""
    if view == "confidence":
        low, middle, high = np.percentile(found.prediction.confidence, [5, 50, 95])
        return (
            '<div class="scale"></div><div class="ends"><span>0 %</span><span>100 %</span></div>'
            f"<p>Half of the pixels are at least {middle:.0%} sure; nine in ten lie from {low:.0%} to {high:.0%}.</p>"
        )
    return _object_rows(parts, found) if view == "objects" else _area_rows(parts)


def _pane(number: int, shown: Shown, parts: Parts, view: View, photo: Photo) -> str:
    """One run: the picture below, fill and lines above, names on them, and the map that the mouse reads."""
    title, size = escape(shown.title), photo.size
    if view == "confidence":
        heat = _viridis(shown.found.prediction.confidence)
        layers = _layer("fill", data_uri(resize(heat, **size, method="nearest"), "JPEG", quality=88))
    else:
        small = resize_labels(parts.numbers, **size)
        fill, lines = (
            data_uri(paint(small, colours=parts.colours, unsure=parts.unsure, opacity=opacity), "PNG", compress_level=3)
            for opacity in (1.0, 0.0)
        )
        layers = _layer("fill", fill) + _layer("lines", lines) + _plates(parts)
    # what the mouse reads, and what a screen reader tells
    reads = data_uri(_readable(parts, shown.found, by_part=view == "objects"), "PNG", compress_level=3)
    words = escape(json.dumps(parts.words, ensure_ascii=False), quote=True)
    told = escape(f"{photo.name}, as {shown.title} sees it: {_told(parts)}", quote=True)
    return (
        f'<figure class="pane" id="result-{number}"><figcaption>{title}</figcaption>'
        f'<div class="stage" tabindex="0" role="group" aria-label="{title}: arrow keys and plus and minus move it" '
        f'data-words="{words}" data-view="{view}" data-read="{reads}"><div class="moved">'
        f'<img class="photo" src="{photo.source}" width="{size["width"]}" height="{size["height"]}" alt="{told}">'
        f'<div class="layers" aria-hidden="true">{layers}</div></div><output class="tip"></output></div>'
        f'<div id="legend-{number}">{legend(parts, shown.found, view)}</div></figure>'
    )


def _layer(kind: str, source: str) -> str:
    return f'<img class="{kind}" src="{source}" alt="">'


def _plates(parts: Parts) -> str:
    """Names on the large pieces."""
    plates = []
    for spot in find_spots(parts.numbers, unsure=parts.unsure):
        if spot.share < NAMED:
            continue
        colour = parts.colours[spot.label].tolist()
        plates.append(
            f'<span class="plate" style="left: {spot.x:.2%}; top: {spot.y:.2%}; '
            f"max-width: {WIDEST:.0%}; "
            f"transform: translate({-_within(spot.x, WIDEST):.0%}, {-_within(spot.y, HIGHEST):.0%}); "
            f'background: {_css(colour)}; color: {_css(ink_on(colour))}">{escape(parts.words[spot.label])}</span>'
        )
    return "".join(plates)


def _within(place: float, most: float) -> float:
    """The share of its own length by which what is at most `most` long goes back from `place` to stay within 0 to 1.

    It is half of its length, so it lies on the place, except near the ends.
    """
    return min(place / most, 0.5) if place < 0.5 else max(1 - (1 - place) / most, 0.5)


def _readable(parts: Parts, found: Found, *, by_part: bool) -> UInt8[ndarray, "height width 3"]:
    """What the mouse reads: number of the part in red and green, how sure it is in blue (0 to 255)."""
    size = scaled(parts.numbers, min(1.0, READ / max(parts.numbers.shape)))
    numbers = resize_labels(parts.numbers, **size)
    sure = np.rint(255 * (np.array(parts.sure) if by_part else found.prediction.confidence)).astype(np.uint8)
    sure = sure[numbers] if by_part else resize_labels(sure, **size)
    return np.stack([numbers % 256, numbers // 256, sure], axis=2).astype(np.uint8)


def _told(parts: Parts) -> str:
    """The largest parts in words, for those who do not see the picture."""
    order = [place for place in np.argsort(parts.shares)[::-1].tolist() if place and parts.shares[place] >= LEAST_SHARE]
    return ", ".join(f"{parts.words[place]} {parts.shares[place]:.0%}" for place in order[:6]) or "background only"


def _area_rows(parts: Parts) -> str:
    """Names with their share of the picture and mean confidence, the largest first; then the rest, and absent names."""
    order = np.argsort(-np.array(parts.shares), kind="stable").tolist()
    chosen = [place for place in order if parts.shares[place] >= LEAST_SHARE and place not in {0, parts.unsure}]
    rows = [_row(parts, place) for place in chosen]
    rows += [_row(parts, place) for place in (0, parts.unsure) if parts.shares[place]]
    absent = [word for place, word in enumerate(parts.words) if place not in {0, parts.unsure, *chosen}]
    rest = f"<p>Not found: {escape(listed(absent, most=MOST_ABSENT))}</p>" if absent else ""
    return _table(rows) + rest


def _object_rows(parts: Parts, found: Found) -> str:
    """Objects, the largest first."""
    order = (np.argsort(-np.array(parts.shares[1:]), kind="stable") + 1).tolist()
    rows = [_row(parts, place) for place in order[:MOST_ROWS] if parts.shares[place] >= LEAST_SHARE]
    smaller = len(order) - len(rows)
    rest = f"<p>and {smaller} smaller {'one' if smaller == 1 else 'ones'}</p>" if smaller else ""
    pieces = "<p>This run finds areas, not objects: each connected piece is shown.</p>"
    head = "" if found.prediction.instances is not None else pieces
    return f"{head}{_table(rows) if order else '<p>No object was found.</p>'}{rest}"


def _table(rows: Sequence[str]) -> str:
    head = (
        '<thead><tr><th scope="col">name</th><th scope="col">of the picture</th><th scope="col">sure</th></tr></thead>'
    )
    return f'<table class="legend">{head}<tbody>{"".join(rows)}</tbody></table>' if rows else ""


def _row(parts: Parts, place: int) -> str:
    style = f' style="background: {_css(parts.colours[place].tolist())}"' if place else ""
    sure = "" if place == parts.unsure else f"{parts.sure[place]:.0%}"
    return (
        f'<tr data-part="{place}"><td><span class="swatch"{style}></span>{escape(parts.words[place])}</td>'
        f"<td>{parts.shares[place]:.1%}</td><td>{sure}</td></tr>"
    )


def _css(colour: Sequence[int]) -> str:
    red, green, blue = colour
    return f"rgb({red}, {green}, {blue})"


def _shaded(own: Colours, labels: Sequence[int]) -> Colours:
    """Colours of objects: the first of a name has the name's, the next ones lighter and darker ones in turn."""
    made, seen = [own[0]], dict[int, int]()
    for label in labels:
        turn = seen[label] = seen.get(label, -1) + 1
        wide = own[label].astype(np.int64)
        # as it is, halfway to white, darker
        made.append([wide, (wide + 255) // 2, wide * 5 // 9][turn % 3].astype(np.uint8))
    return np.stack(made)


def _viridis(values: Float[ndarray, "height width"]) -> UInt8[ndarray, "height width 3"]:
    import matplotlib as mpl

    return np.asarray(mpl.colormaps["viridis"](values, bytes=True)[..., :3])
