"""Label maps and pictures in, pictures for people out: colours, outlines, legends and sheets. Same in, same bytes out.

A name has one colour wherever it is drawn (`colours`), and stands on each of its large pieces where there is room. A
name that no font here can write is shown by its label.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8, UInt32
from numpy import ndarray
from PIL import Image, ImageDraw

from namesake.images.geometry import next_to_change, resize, scaled
from namesake.prediction.colours import colours_of, in_order
from namesake.prediction.fonts import can_write, set_text
from namesake.prediction.spots import find_spots
from namesake.records import Instances, Names
from namesake.shapes import IGNORE, ImageArray, LabelArray, not_sure

Colour = tuple[int, int, int]
Picture = UInt8[ndarray, "_ _ 3"]
"""An RGB image of any size, 0 to 255."""

Colours = UInt8[ndarray, "labels 3"]
"""RGB of each label; row 0, the background, is never drawn."""
Tile = tuple[Picture, str]
"""A picture and the caption below it."""

UNSURE_COLOUR, OUTLINE = (224, 224, 192), (12, 12, 12)
OPACITY = 0.45
THIN = 1000
"""Pixels of the longer side for which an outline is one pixel thin; it is two from twice as many on, and so forth."""
LEAST_SHARE = 0.001
"""Share of the picture below which a name is left out of the legend."""
PANEL, INK, MUTED = (24, 26, 30), (236, 238, 241), (70, 74, 82)
TEXT_SIZE = 15
LARGEST_TEXT = 96
NARROWEST = 320
"""Overlays of narrower pictures are enlarged by a whole factor, so that outlines and legend can be read."""
ENLARGED_TO = 4096
"""Longest side of a picture that was enlarged: a line of pixels must not become billions."""


def blend(
    image: ImageArray,
    labels: LabelArray,
    *,
    colours: Colours | None = None,
    unsure: int = IGNORE,
    opacity: float = OPACITY,
    objects: Int[ndarray, "height width"] | None = None,
) -> ImageArray:
    """The picture with every label's colour laid over its pixels, and an outline around each area and each object.

    The outline is dark outside and of the full colour inside, so that it shows on dark and on light pictures.

    Args:
        image: RGB.
        labels: At the image's size; 0 stays as it is.
        colours: Colour of each label; those of `colours.in_order` where no names are known.
        unsure: Label of pixels that are not sure; they are hatched.
        opacity: Opacity of the colour, 0 to 1.
        objects: The number of the object that a pixel is of, 0 for none; objects get a white line.

    Returns:
        RGB of the image's size.
    """
    return np.array(_blended(image, labels, colours, unsure=unsure, opacity=opacity, objects=objects))


def paint(
    labels: LabelArray, *, colours: Colours | None = None, unsure: int = IGNORE, opacity: float = OPACITY
) -> UInt8[ndarray, "height width 4"]:
    """What `blend` lays over a picture, as RGBA, 0 to 255."""
    fill, rings = _fill(labels, colours, unsure=unsure, opacity=opacity)
    _draw_lines(fill, labels, rings, unsure=unsure, striped=_stripe(opacity))
    return _channels(fill)


def overlay(
    image: ImageArray,
    labels: LabelArray,
    names: Names,
    *,
    instances: Instances | None = None,
    opacity: float = OPACITY,
    among: Sequence[str] = (),
) -> Picture:
    """`blend` with the names on their pieces, and a legend on a panel below; narrow pictures are enlarged.

    Args:
        image: RGB.
        labels: At the image's size; 0 = background, 1..K = names, 255 (65535 with more than 254 names) = not sure.
        names: The names, in label order.
        instances: Objects to outline, if the system finds them.
        opacity: Opacity of the colours, 0 to 1.
        among: Names that are seen beside these, as `colours_of` takes them.

    Returns:
        RGB; a whole multiple of the image's width, and higher by the legend. Very long and narrow pictures lie on a
        panel of the legend's width.
    """
    factor = max(1, min(-(-NARROWEST // image.shape[1]), ENLARGED_TO // max(image.shape[:2])))
    objects = None if instances is None else number_objects(instances, labels.shape)
    colours, unsure = colours_of(names.names, among=among), not_sure(len(names))
    picture = _blended(image, labels, colours, unsure=unsure, opacity=opacity, objects=objects, factor=factor)
    _write_names(picture, labels, names, colours=colours)
    width = max(picture.width, NARROWEST)
    below = _legend(entries(labels, names, colours=colours), width=width)
    whole = Image.new("RGB", (width, picture.height + below.height), PANEL)
    whole.paste(picture)
    whole.paste(below, (0, picture.height))
    return np.array(whole)


def number_objects(instances: Instances, shape: tuple[int, ...]) -> Int[ndarray, "height width"]:
    """The number of the object, from 1, that each pixel is of; of several the surest has it, 0 where there is none."""
    numbers = np.zeros(shape, dtype=np.int32)
    for place in np.argsort(instances.scores, kind="stable").tolist():
        numbers[instances.masks[place]] = place + 1
    return numbers


def _enlarge(picture: Any, factor: int) -> Any:  # noqa: ANN401
    return picture if factor == 1 else picture.repeat(factor, axis=1).repeat(factor, axis=0)  # whole rows in the end


def ink_on(colour: Sequence[int]) -> Colour:
    """Black or white, whichever reads better on a colour."""
    # relative luminance (WCAG); from 0.18 on black has the higher contrast
    red, green, blue = ((part / 255) ** 2.2 for part in colour)
    return (0, 0, 0) if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 else (255, 255, 255)


def entries(labels: LabelArray, names: Names, *, colours: Colours | None = None) -> list[tuple[str, Colour]]:
    """Name and colour of every label that covers at least a thousandth of the picture, in label order.

    "not sure" comes last, background is left out. A name that no font can write is called by its label.
    """
    counts = np.bincount(labels.ravel())
    present = np.flatnonzero(counts >= max(1, LEAST_SHARE * labels.size)).tolist()
    unsure, table = not_sure(len(names)), (colours_of(names.names) if colours is None else colours).tolist()
    found: list[tuple[str, Colour]] = [
        (_written(names, label), (red, green, blue))
        for label in present
        if label not in {0, unsure}
        for red, green, blue in [table[label]]
    ]
    return [*found, ("not sure", UNSURE_COLOUR)] if unsure in present else found


def legend(entries: Sequence[tuple[str, Colour]], *, width: int) -> Picture:
    """A dark panel with a swatch and the name of each entry, in as many lines as the width needs.

    Args:
        entries: Name and RGB colour each; an empty list says in words that nothing was found.
        width: Width of the panel in pixels; grows no wider for long names, which end in an ellipsis.

    Returns:
        RGB [height, width, 3].
    """
    return np.array(_legend(entries, width=width))


def contact_sheet(tiles: Sequence[Tile], *, columns: int = 4, side: int = 160) -> Picture:
    """Pictures in a grid on a dark ground, each fitted into a square, with its caption below.

    Args:
        tiles: Pictures of any size and their captions, in reading order; at least one.
        columns: Pictures a row; fewer where there are fewer tiles.
        side: Side of the square in pixels.

    Returns:
        RGB.
    """
    columns = min(columns, len(tiles))
    gap, caption = 8, TEXT_SIZE + 8
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (side + gap) + gap, rows * (side + caption + gap) + gap), PANEL)
    pen = ImageDraw.Draw(sheet)
    for number, (picture, text) in enumerate(tiles):
        left, top = gap + number % columns * (side + gap), gap + number // columns * (side + caption + gap)
        small = fitted(picture, side=side)
        pen.rectangle((left, top, left + side - 1, top + side - 1), fill=MUTED)
        sheet.paste(Image.fromarray(small), (left + (side - small.shape[1]) // 2, top + (side - small.shape[0]) // 2))
        shown, font = set_text(text, TEXT_SIZE, side)
        pen.text((left + side // 2, top + side + caption // 2), shown, INK, font, anchor="mm")
    return np.array(sheet)


def fitted(picture: Picture, *, side: int) -> Picture:
    """The picture resized so that its longer side is `side`; the aspect ratio stays."""
    return resize(picture, **scaled(picture, side / max(picture.shape[:2])), method="bilinear")


def _blended(
    image: ImageArray,
    labels: LabelArray,
    colours: Colours | None,
    *,
    unsure: int,
    opacity: float,
    objects: Int[ndarray, "height width"] | None,
    factor: int = 1,
) -> Image.Image:
    """`blend`, enlarged by a whole factor; lines stay as thin as they are."""
    fill, rings = _fill(labels, colours, unsure=unsure, opacity=opacity)
    drawn = _laid_over(image, fill)
    striped = _laid_over(image, np.full_like(fill, _stripe(opacity))) if (labels == unsure).any() else drawn
    # colours lie over the image's own pixels, lines over those of the enlarged picture
    drawn, striped, labels = (_enlarge(each, factor) for each in (drawn, striped, labels))
    objects = None if objects is None else _enlarge(objects, factor)
    _draw_lines(drawn, labels, rings, unsure=unsure, striped=striped, objects=objects)
    return Image.fromarray(_channels(drawn)).convert("RGB")


def _write_names(picture: Image.Image, labels: LabelArray, names: Names, *, colours: Colours) -> None:
    """Write each name on its large pieces, dark or light on a plate of its colour.

    Pieces that are too small for their plate, and those whose plate would cover another, go without. The picture has
    any size of the label map's shape.
    """
    width, height = picture.size
    size = min(max(13, max(height, width) // 64), LARGEST_TEXT)
    pen, placed = ImageDraw.Draw(picture), list[tuple[float, float, float, float]]()
    for spot in find_spots(labels, unsure=not_sure(len(names))):
        text, font = set_text(_written(names, spot.label), size, width // 3)
        across, down, colour = font.getlength(text) + size * 0.7, size * 1.4, tuple(colours[spot.label].tolist())
        if not text or across * down > 0.7 * spot.share * width * height:
            continue
        # the plate around the spot, moved into the picture
        left = min(max(spot.x * width - across / 2, 1), max(width - across - 2, 1))
        top = min(max(spot.y * height - down / 2, 1), max(height - down - 2, 1))
        plate = (left, top, left + across, top + down)
        if any(left < x1 and x0 < plate[2] and top < y1 and y0 < plate[3] for x0, y0, x1, y1 in placed):
            continue
        placed.append(plate)
        pen.rounded_rectangle(plate, radius=size // 4, fill=colour, outline=OUTLINE)
        pen.text((left + across / 2, top + down / 2), text, fill=ink_on(colour), font=font, anchor="mm")


def _written(names: Names, label: int) -> str:
    """The name of a label; its number where no font can write it."""
    name = names.names[label - 1]
    return name if can_write(name) else f"label {label}"


def _legend(entries: Sequence[tuple[str, Colour]], *, width: int) -> Image.Image:
    size = min(max(TEXT_SIZE, width // 48), LARGEST_TEXT)
    pad, line = size // 2, size + size // 2
    texts = [(*set_text(name, size, width - 4 * pad - size), colour) for name, colour in entries]
    # places: entries in lines, a new line where the next would not fit
    spots, left, top = [], pad, pad
    for text, font, _ in texts:
        advance = size + pad + int(font.getlength(text)) + 2 * pad
        if left > pad and left + advance > width:
            left, top = pad, top + line
        spots.append((left, top))
        left += advance
    panel = Image.new("RGB", (width, top + line + pad // 2), PANEL)
    pen = ImageDraw.Draw(panel)
    for (text, font, colour), (x, y) in zip(texts, spots, strict=True):
        pen.rectangle((x, y, x + size - 1, y + size - 1), fill=colour, outline=INK)
        pen.text((x + size + pad, y + size // 2), text, fill=INK, font=font, anchor="lm")
    if not texts:
        text, font = set_text("background: no name covers 0.1 %", size, width - 2 * pad)
        pen.text((pad, pad + size // 2), text, INK, font, anchor="lm")
    return panel


def _fill(
    labels: LabelArray, colours: Colours | None, *, unsure: int, opacity: float
) -> tuple[UInt32[ndarray, "height width"], UInt32[ndarray, " labels"]]:
    """What is laid over each pixel, and over the ring inside each label's outline: RGBA in 32 bits."""
    shown = np.where(labels == unsure, 0, labels)
    wide = (in_order(int(shown.max(initial=0)) + 1) if colours is None else colours).astype(np.int64)
    opacities = np.where(np.arange(len(wide)) > 0, round(255 * opacity), 0)[:, None]  # [labels, 1]
    areas = _packed(np.concatenate([wide, opacities], axis=1))
    rings = _packed(np.concatenate([wide, np.full_like(opacities, 255)], axis=1))
    return areas.take(shown, mode="clip"), rings  # no label is beyond the last; without the check it is much faster


def _stripe(opacity: float) -> UInt32[ndarray, " 1"]:
    return _packed(np.array([[*UNSURE_COLOUR, round(255 * opacity)]]))


def _packed(colours: Int[ndarray, "n 4"]) -> UInt32[ndarray, " n"]:
    """RGBA values 0 to 255 as one number each, whose bytes in memory are in that order."""
    return colours.astype(np.uint8).view(np.uint32)[:, 0]


def _channels(packed: UInt32[ndarray, "height width"]) -> UInt8[ndarray, "height width 4"]:
    return packed.view(np.uint8).reshape(*packed.shape, 4)


def _laid_over(image: ImageArray, layer: UInt32[ndarray, "height width"]) -> UInt32[ndarray, "height width"]:
    below = Image.fromarray(image).convert("RGBA")
    below.alpha_composite(Image.fromarray(_channels(layer)))
    return np.array(below).view(np.uint32)[..., 0]


def _draw_lines(
    layer: UInt32[ndarray, "height width"],
    labels: LabelArray,
    rings: UInt32[ndarray, " labels"],
    *,
    unsure: int,
    striped: UInt32[ndarray, "..."],
    objects: Int[ndarray, "height width"] | None = None,
) -> None:
    """Draw the bright rings, the hatching, the dark outlines and the objects' lines, later ones above earlier."""
    outer, inner = _outlines(labels)
    hatched = labels == unsure
    if hatched.any():
        inner &= ~hatched
        # diagonal stripes, 3 of 8 pixels wide
        stripes = np.add.outer(np.arange(labels.shape[0]), np.arange(labels.shape[1])) % 8 < 3
        np.copyto(layer, striped, where=hatched & stripes)
    layer[inner] = rings[labels[inner]]
    layer[outer] = _packed(np.array([[*OUTLINE, 255]]))
    if objects is not None:
        layer[next_to_change(objects) & (objects > 0)] = _packed(np.array([[*INK, 255]]))


def _outlines(labels: LabelArray) -> tuple[Bool[ndarray, "height width"], Bool[ndarray, "height width"]]:
    """The outermost pixels of every area that is not background, and the ring just inside them."""
    step = max(1, max(labels.shape) // THIN)
    # large maps: outlines of a smaller map, enlarged, are `step` pixels thick
    small = labels[::step, ::step]
    areas = small > 0
    outer = next_to_change(small) & areas
    # areas touch at their outlines alone, so what is next to one inside is of the same area
    inner = next_to_change(outer) & areas & ~outer
    if step == 1:
        return outer, inner
    height, width = labels.shape
    return tuple(_enlarge(ring, step)[:height, :width] & (labels > 0) for ring in (outer, inner))
