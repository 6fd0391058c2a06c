"""Label maps and pictures in, pictures for people out: colours, outlines, legends and sheets. Same in, same bytes out.

Colours are those of the VOC palette. Text is set in Pillow's built-in font, so it looks alike everywhere; what that
font lacks, in DejaVu Sans, which comes with matplotlib (Latin, Greek, Cyrillic, Arabic, Hebrew, ...); what that lacks,
in a font of the system; and a name that no font here can write is shown by its label.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8, UInt32
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from namesake.images.geometry import resize
from namesake.prediction.palette import palette
from namesake.records import Instances, Names
from namesake.shapes import IGNORE, ImageArray, LabelArray, not_sure

Colour = tuple[int, int, int]
Picture = UInt8[ndarray, "_ _ 3"]
"""An RGB image of any size, 0 to 255."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
NO_LETTER = "\uffff"
"""A code that no font has a letter for."""
Tile = tuple[Picture, str]
"""A picture and the caption below it."""

UNSURE_COLOUR, OUTLINE = (224, 224, 192), (12, 12, 12)
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
    unsure: int = IGNORE,
    opacity: float = 0.45,
    objects: Int[ndarray, "height width"] | None = None,
) -> ImageArray:
    """The picture with every label's colour laid over its pixels, and an outline around each area and each object.

    Args:
        image: RGB.
        labels: At the image's size; 0 stays as it is.
        unsure: Label of pixels that are not sure; they are hatched.
        opacity: Opacity of the colour, 0 to 1.
        objects: The number of the object that a pixel is of, 0 for none; objects get a white line.

    Returns:
        RGB of the image's size.
    """
    hatched = labels == unsure
    shown = np.where(hatched, 0, labels)
    outer, inner = _outlines(labels)
    areas, rings = _layer_colours(int(shown.max(initial=0)), opacity)
    layer = areas.take(shown)
    np.copyto(layer, rings.take(shown), where=inner & ~hatched)
    if hatched.any():
        stripes = np.add.outer(np.arange(labels.shape[0]), np.arange(labels.shape[1])) % 8 < 3
        layer[hatched & stripes] = _packed(np.array([[*UNSURE_COLOUR, round(255 * opacity)]]))
    layer[outer] = _packed(np.array([[*OUTLINE, 255]]))
    if objects is not None:
        layer[_next_to_change(objects) & (objects > 0)] = _packed(np.array([[*INK, 255]]))
    below = Image.fromarray(image).convert("RGBA")
    below.alpha_composite(Image.fromarray(layer.view(np.uint8).reshape(*layer.shape, 4)))
    return np.array(below.convert("RGB"))


def overlay(image: ImageArray, labels: LabelArray, names: Names, *, instances: Instances | None = None) -> Picture:
    """`blend` with a legend of the names that occur on a panel below; narrow pictures are enlarged.

    Args:
        image: RGB.
        labels: At the image's size; 0 = background, 1..K = names, 255 (65535 with more than 254 names) = not sure.
        names: The names, in label order.
        instances: Objects to outline, if the system finds them.

    Returns:
        RGB; a whole multiple of the image's width, and higher by the legend. Very long and narrow pictures lie on a
        panel of the legend's width.
    """
    factor = max(1, min(-(-NARROWEST // image.shape[1]), ENLARGED_TO // max(image.shape[:2])))
    enlarged, enlarged_labels = _enlarge(image, factor), _enlarge(labels, factor)
    objects = None if instances is None else _enlarge(number_objects(instances, labels.shape), factor)
    picture = blend(enlarged, enlarged_labels, unsure=not_sure(len(names)), objects=objects)
    if picture.shape[1] < NARROWEST:
        panel = np.full((picture.shape[0], NARROWEST - picture.shape[1], 3), PANEL, dtype=np.uint8)
        picture = np.concatenate([picture, panel], axis=1)
    return np.concatenate([picture, legend(entries(labels, names), width=picture.shape[1])])


def number_objects(instances: Instances, shape: tuple[int, ...]) -> Int[ndarray, "height width"]:
    """The number of the object, from 1, that each pixel is of; of several the surest has it, 0 where there is none."""
    numbers = np.zeros(shape, dtype=np.int32)
    for place in np.argsort(instances.scores, kind="stable").tolist():
        numbers[instances.masks[place]] = place + 1
    return numbers


def _enlarge(picture: Any, factor: int) -> Any:  # noqa: ANN401
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def entries(labels: LabelArray, names: Names) -> list[tuple[str, Colour]]:
    """Name and colour of every label that occurs, in label order; "not sure" comes last, background is left out.

    A name that no font can write is called by its label.
    """
    present = np.flatnonzero(np.bincount(labels.ravel())).tolist()
    unsure, colours = not_sure(len(names)), palette(len(names) + 1).tolist()
    found: list[tuple[str, Colour]] = [
        (names.names[label - 1] if can_write(names.names[label - 1]) else f"label {label}", (red, green, blue))
        for label in present
        if label not in {0, unsure}
        for red, green, blue in [colours[label]]
    ]
    return [*found, ("not sure", UNSURE_COLOUR)] if unsure in present else found


def legend(entries: Sequence[tuple[str, Colour]], *, width: int) -> Picture:
    """A dark panel with a swatch and the name of each entry, in as many lines as the width needs.

    Args:
        entries: Name and RGB colour each; an empty list says so in words.
        width: Width of the panel in pixels; grows no wider for long names, which end in an ellipsis.

    Returns:
        RGB [height, width, 3].
    """
    size = min(max(TEXT_SIZE, width // 48), LARGEST_TEXT)
    pad, line = size // 2, size + size // 2
    texts = [(*_set(name, size, width - 4 * pad - size), colour) for name, colour in entries]
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
        text, font = _set("background only", size, width - 2 * pad)
        pen.text((pad, pad + size // 2), text, INK, font, anchor="lm")
    return np.array(panel)


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
        shown, font = _set(text, TEXT_SIZE, side)
        pen.text((left + side // 2, top + side + caption // 2), shown, INK, font, anchor="mm")
    return np.array(sheet)


def fitted(picture: Picture, *, side: int) -> Picture:
    """The picture resized so that its longer side is `side`; the aspect ratio stays."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    return resize(picture, height=max(1, round(height * scale)), width=max(1, round(width * scale)), method="bilinear")


def _layer_colours(last: int, opacity: float) -> tuple[UInt32[ndarray, "labels"], UInt32[ndarray, "labels"]]:
    """For each label, what is laid over its pixels, and over the ring inside its outline: RGBA in 32 bits."""
    colours = palette(last + 1).astype(np.int64)
    opacities = np.where(np.arange(last + 1) > 0, round(255 * opacity), 0)[:, None]
    light = np.concatenate([(colours * 2 + 255) // 3, np.full_like(opacities, 255)], axis=1)
    return _packed(np.concatenate([colours, opacities], axis=1)), _packed(light)


def _packed(colours: Int[ndarray, "n 4"]) -> UInt32[ndarray, "n"]:
    """RGBA values 0 to 255 as one number each, whose bytes in memory are in that order."""
    return colours.astype(np.uint8).view(np.uint32)[:, 0]


def _outlines(labels: LabelArray) -> tuple[Bool[ndarray, "height width"], Bool[ndarray, "height width"]]:
    """The outermost pixels of every area that is not background, and the ring just inside them."""
    outer = _next_to_change(labels) & (labels > 0)
    inner = _next_to_change(np.where(outer, 0, labels)) & (labels > 0) & ~outer
    return outer, inner


def _next_to_change(labels: LabelArray) -> Bool[ndarray, "height width"]:
    """Pixels of which one of the four neighbours has another label."""
    changed = np.zeros(labels.shape, dtype=bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    changed[:, 1:] |= across
    changed[:, :-1] |= across
    changed[1:] |= down
    changed[:-1] |= down
    return changed


def can_write(text: str) -> bool:
    """Whether a font is here that has every letter of a text."""
    return _font_for(text, TEXT_SIZE) is not None


def _set(text: str, size: int, width: int) -> tuple[str, Font]:
    """A text as it is drawn within `width` pixels, and its font; letters that no font has are spelled as codes."""
    font = _font_for(text, size)
    if font is None:
        text, font = text.encode("ascii", "backslashreplace").decode(), _fonts(size)[0]
    return _shortened(text, font, width), font


def _font_for(text: str, size: int) -> Font | None:
    """The first font that has every letter of a text: one that is the same everywhere, else one of the system."""
    for font in _fonts(size):
        if _has(font, text):
            return font
    path = _system_font("".join(sorted(set(text))))
    return None if path is None else ImageFont.truetype(path, size)


@cache
def _fonts(size: int) -> tuple[Font, ...]:
    """The fonts that are here with every installation."""
    wide = files("matplotlib") / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    built_in = ImageFont.load_default(size)
    return (built_in, ImageFont.truetype(str(wide), size)) if wide.is_file() else (built_in,)


@lru_cache(maxsize=256)
def _system_font(letters: str) -> str | None:
    """File of a font of the system that has these letters; fonts of the Noto family first, then by name."""
    for path in _system_fonts():
        try:
            if _has(ImageFont.truetype(path, TEXT_SIZE), letters):
                return path
        except OSError:  # a font of bitmaps in another size, or a damaged one
            continue
    return None


@cache
def _system_fonts() -> tuple[str, ...]:
    from matplotlib.font_manager import findSystemFonts

    return tuple(sorted(findSystemFonts(), key=lambda path: ("noto" not in Path(path).name.lower(), path)))


def _has(font: Font, text: str) -> bool:
    """Whether a font has every letter of a text: those it lacks look like the sign for what is lacking."""
    lacking = _glyph(font, NO_LETTER)
    return all(_glyph(font, letter) != lacking for letter in dict.fromkeys(text) if not letter.isspace())


def _glyph(font: Font, letter: str) -> tuple[bytes, tuple[int, int]]:
    mask = font.getmask(letter)
    return bytes(mask), mask.size


def _shortened(text: str, font: Font, width: int) -> str:
    """The text, cut and ended in an ellipsis where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    fits = [end for end in range(len(text)) if font.getlength(text[:end] + "...") <= width]
    return text[: fits[-1]] + "..." if fits else ""
