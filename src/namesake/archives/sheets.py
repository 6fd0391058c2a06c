"""Draw one contact sheet a name: its best images with their scores. An unreadable image is a grey tile."""

import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from namesake.archives.store import Entries
from namesake.errors import ImagesError
from namesake.images import read_image, work_ahead
from namesake.images.geometry import resize_longer_side
from namesake.progress import Meter
from namesake.records import Images, Names
from namesake.shapes import ImageArray
from namesake.workspace import write_atomically

FOLDER = "sheets"
COLUMNS = 6
SHOWN = 24
"""Images on a sheet, best first."""
TILE = 128
CAPTION = 16
MARGIN = 4
LONGEST_NAME = 40


def draw_sheets(out: Path, entries: Entries, names: Names, images: Images) -> None:
    """Write `sheets/<label>-<name>.jpg` for every name with images.

    Args:
        out: The stage's folder.
        entries: The archives.
        names: Their names.
        images: `images.ids[row]` is the image of an entry.
    """
    starts = np.searchsorted(entries.archive, np.arange(1, len(names) + 2))
    shown = [
        (label, range(first, min(first + SHOWN, last)), last - first)
        for label, (first, last) in enumerate(zip(starts[:-1], starts[1:], strict=True), start=1)
        if last > first
    ]
    wanted = (images.ids[entries.row[entry]] for _, some, _ in shown for entry in some)
    tiles = work_ahead(lambda image_id: resize_longer_side(read_image(images.path(image_id)), side=TILE), wanted)
    with Meter("contact sheets", total=len(shown)) as meter:
        for label, some, size in shown:
            name = names.names[label - 1]
            captioned = [(next(tiles)[1], f"{entry - some.start + 1}  {entries.score[entry]:.3f}") for entry in some]
            sheet = draw_sheet(f"{label}  {name}  ({size} images)", captioned)
            with write_atomically(out / FOLDER / sheet_file(name, label, names=len(names))) as unfinished:
                sheet.save(unfinished, "JPEG", quality=85)
            meter.advance()


def sheet_file(name: str, label: int, *, names: int) -> str:
    """File name of a sheet: the label, padded so that files sort, and what of the name is safe in a file name."""
    safe = re.sub(r"[^\w-]+", "-", name).strip("-")[:LONGEST_NAME]
    return f"{str(label).zfill(len(str(names)))}-{safe or 'name'}.jpg"


def draw_sheet(title: str, tiles: list[tuple[ImageArray | ImagesError, str]]) -> Image.Image:
    """A grid of images, each with a line of text below; an ImagesError becomes a grey tile that says so."""
    lines = -(-len(tiles) // COLUMNS)
    step = TILE + MARGIN
    sheet = Image.new("RGB", (MARGIN + COLUMNS * step, 2 * MARGIN + CAPTION + lines * (step + CAPTION)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    pen.text((MARGIN, MARGIN), title, fill="black", font=font)
    for place, (tile, caption) in enumerate(tiles):
        left = MARGIN + place % COLUMNS * step
        top = 2 * MARGIN + CAPTION + place // COLUMNS * (step + CAPTION)
        if isinstance(tile, ImagesError):
            pen.rectangle((left, top, left + TILE, top + TILE), fill="lightgrey")
            pen.text((left + MARGIN, top + TILE // 2), "cannot be read", fill="black", font=font)
        else:
            height, width = tile.shape[:2]
            sheet.paste(Image.fromarray(tile), (left + (TILE - width) // 2, top + (TILE - height) // 2))
        pen.text((left, top + TILE), caption, fill="black", font=font)
    return sheet
