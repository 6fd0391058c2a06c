"""Text in, a font that has its letters out.

Text is set in Pillow's built-in font, so it looks alike everywhere; what that font lacks, in DejaVu Sans, which comes
with matplotlib (Latin, Greek, Cyrillic, Arabic, Hebrew, ...); what that lacks, in a font of the system.
"""

from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
NO_LETTER = "\uffff"
"""A code that no font has a letter for."""
CHECKED_AT = 15
"""Size of the letters that are looked at."""


def can_write(text: str) -> bool:
    """Whether a font is here that has every letter of a text."""
    return _font_for(text, CHECKED_AT) is not None


@lru_cache(maxsize=1024)
def set_text(text: str, size: int, width: int) -> tuple[str, Font]:
    """A text as it is drawn within `width` pixels, and its font; letters that no font has are spelled as codes."""
    font = _font_for(text, size)
    if font is None:
        text, font = text.encode("ascii", "backslashreplace").decode(), _fonts(size)[0]
    return _shortened(text, font, width), font


@lru_cache(maxsize=1024)
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
            if _has(ImageFont.truetype(path, CHECKED_AT), letters):
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
