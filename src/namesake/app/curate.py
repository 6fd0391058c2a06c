"""A run folder in; the images and masks that it learned from as tiles, and what a person chose of them, out.

Choices are written into the run's `curation.json`, from which `namesake run` goes on; nothing is trained here.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from threading import Lock
from typing import Any, Literal, NamedTuple, final

import numpy as np

from namesake.archives import open_archives, rows
from namesake.encoders import KNOWN, Sam, find, load_sam
from namesake.errors import DataError, ImagesError
from namesake.evaluation.report.run_folder import read_json
from namesake.evaluation.report.sections import archives_of, figure, masks_of
from namesake.images import read_image
from namesake.images.geometry import resize_labels
from namesake.masks import MaskLookup, rle
from namesake.masks.choices import MaskChoice
from namesake.names import read_kept_names
from namesake.prediction.colours import colours_of
from namesake.prediction.draw import Picture, blend, fitted
from namesake.records import PseudoMask
from namesake.shapes import ImageArray, MaskArray
from namesake.systems.curation import CURATION, Curation, read_curation, write_curation

Order = Literal["best images first", "worst masks first"]
ORDERS: tuple[Order, ...] = ("best images first", "worst masks first")
TILES, SIDE, CLICKED_SIDE = 24, 192, 768
WITHOUT_ARCHIVES = "<p>This run has no archives: it learned from no images.</p>"
BUTTONS = {
    "cross": "Not a {}",
    "accepted": "Good mask",
    "rejected": "Bad mask",
    "redraw": "Redraw",
}


class Tile(NamedTuple):
    """An image of an archive."""

    image_id: str
    rank: int
    score: float
    mask: PseudoMask | None


@dataclass(frozen=True)
class Click:
    """A mask that is being drawn: its image, the points (x, y) in original pixels, and what SAM made of them."""

    image_id: str
    points: tuple[tuple[float, float], ...] = ()
    size: tuple[int, int] = (0, 0)
    counts: str = ""


@final
class Curator:
    """One run; safe in threads.

    Args:
        run: Its folder.
        allowed: Whether choices may be made; else they are shown only.
        device: Device of a SAM: "auto", "cpu" or "cuda".
    """

    def __init__(self, run: Path, *, allowed: bool, device: str = "auto") -> None:
        self.run, self.allowed, self.device = run, allowed, device
        record = read_json(run / "run.json")
        self.images, self.command = Path(str(record.get("images", ""))), str(record.get("command", ""))
        self.sam_source = _sam_at_hand(str(record.get("preset", "")))
        self.names = read_kept_names(run)
        self._lock = Lock()
        self._sam: Sam | None = None

    def words(self, name: str) -> str:
        """The words that CLIP looks for, with commas between them."""
        changed = read_curation(self.run / CURATION).words(name)
        return ", ".join(changed or self._own_words(name))

    def reword(self, name: str, text: str) -> None:
        """Change the words of a name; its own again where there are none.

        Raises:
            DataError: The page may only be looked at, or there is no such name.
        """
        words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
        words = () if words == self._own_words(name) else words
        self._change(name, lambda kept: kept.with_archive(name, crossed=kept.crossed(name), words=words))

    def choose(self, name: str, image_id: str, choice: str) -> None:
        """Cross an image out, or accept or reject its mask; a second time takes it back.

        Raises:
            DataError: The page may only be looked at, or there is no such name, image or choice.
        """
        if choice not in {"cross", "accepted", "rejected"}:
            raise DataError(f"expected cross, accepted or rejected, found {choice[:40]!r}.")
        tile = self._tile(name, image_id)

        def change(kept: Curation) -> Curation:
            if choice == "cross":
                return kept.with_archive(name, crossed=kept.crossed(name) ^ {image_id}, words=kept.words(name))
            before = kept.mask(image_id)
            return kept.with_mask(image_id, None if before and before.state == choice else _as_it_is(tile, choice))

        self._change(name, change)

    def click(self, name: str, click: Click, point: tuple[float, float] | None) -> tuple[Click, Picture]:
        """Add a point to a mask that is being drawn, or start it anew with none.

        Args:
            name: Whose archive has the image.
            click: The mask so far.
            point: (x, y) in pixels of the picture that was shown.

        Returns:
            The mask with that point, and its picture.

        Raises:
            DataError: There is no such name or image, or no SAM is at hand.
        """
        self._tile(name, click.image_id)
        image = read_image(self.images / click.image_id)
        height, width = image.shape[:2]
        # from the picture that was shown to original pixels
        scale = max(height, width) / CLICKED_SIDE
        points = (*click.points, (point[0] * scale, point[1] * scale)) if point else ()
        if not points:
            return Click(click.image_id, size=(height, width)), fitted(image, side=CLICKED_SIDE)
        mask = self._draw(image, points)
        made = Click(click.image_id, points, (height, width), rle.encode(mask).decode("ascii"))
        return made, self._shown(image, mask, name, points)

    def keep(self, name: str, click: Click) -> None:
        """Take the mask that was drawn in place of the one that was there.

        Raises:
            DataError: The page may only be looked at, or nothing was drawn.
        """
        self._tile(name, click.image_id)
        if not click.counts:
            raise DataError("there is no new mask yet. Click on the thing first.")
        choice = MaskChoice(click.image_id, "corrected", click.size, click.counts, self.sam_source)
        self._change(name, lambda kept: kept.with_mask(click.image_id, choice))

    def tiles(self, name: str, order: Order, page: int) -> str:
        """A page of an archive as HTML; pages count from 1."""
        found = self._archive(name)
        if not found:
            return WITHOUT_ARCHIVES
        if order == "worst masks first":
            found.sort(key=lambda tile: (tile.mask is not None, tile.mask.score if tile.mask else 0.0))
        pages = -(-len(found) // TILES)
        start = (min(max(page, 1), pages) - 1) * TILES
        shown = found[start : start + TILES]
        kept = read_curation(self.run / CURATION)
        made = "".join(self._figure(tile, name, kept) for tile in shown)
        head = f"<p>{start + 1} to {start + len(shown)} of {len(found)} images, on {pages} pages</p>"
        return f'{head}<div class="figures">{made}</div>'

    def state(self) -> str:
        """What has been chosen so far, and how the run goes on, as HTML."""
        kept = read_curation(self.run / CURATION)
        if not self.allowed:
            return "<p>Choices are made where the page is on this machine only, or asks for a password.</p>"
        if not kept.key:
            return "<p>Nothing is chosen yet. What you choose is saved at once, and the next training follows it.</p>"
        tier = " Masks made by clicks with SAM make the run one of tier M." if kept.corrected else ""
        line = escape(self.command or f"namesake run … --out {shlex.quote(str(self.run))}")
        return (
            f"<p>Saved in {escape(str(self.run / CURATION))}: {kept}.{tier} The line that made the run goes on from "
            f"there:</p><pre>{line}</pre>"
        )

    def _own_words(self, name: str) -> tuple[str, ...]:
        if name not in self.names.names:
            raise DataError(f"expected one of the run's names, found {name[:60]!r}.")
        return self.names.words[self.names.names.index(name)]

    def _archive(self, name: str) -> list[Tile]:
        """Images of an archive, best first, with those that are crossed out but not yet gone."""
        import pyarrow.compute as pc

        opened = masks_of(self.run, curated=False)
        table = MaskLookup(opened) if opened is not None else None
        entries = [rows(open_archives(folder)) for folder in archives_of(self.run)]
        own = [row for each in entries for row in each.filter(pc.equal(each["name"], name)).to_pylist()]
        ids = [row["image_id"] for row in own]
        masks = [table[image_id] if table is not None and image_id in table else None for image_id in ids]
        return [Tile(row["image_id"], row["rank"], row["score"], mask) for row, mask in zip(own, masks, strict=True)]

    def _tile(self, name: str, image_id: str) -> Tile:
        tile = next((tile for tile in self._archive(name) if tile.image_id == image_id), None)
        if tile is None:
            raise DataError(f"expected an image of the archive of {name[:60]!r}, found {image_id[:60]!r}.")
        return tile

    def _change(self, name: str, change: Callable[[Curation], Curation]) -> None:
        self._own_words(name)
        if not self.allowed:
            raise DataError("this page may only be looked at: it is open to others without a password.")
        with self._lock:
            path = self.run / CURATION
            write_curation(change(read_curation(path)), path)

    def _draw(self, image: ImageArray, points: tuple[tuple[float, float], ...]) -> MaskArray:
        if not self.sam_source:
            raise DataError("there is no SAM on this machine: namesake fetch --preset paper fetches one.")
        with self._lock:
            self._sam = self._sam or load_sam(self.sam_source, device=self.device)
            return np.asarray(self._sam.at_points(self._sam.embed(image), np.array([points])).masks[0])

    def _shown(self, image: ImageArray, mask: MaskArray, name: str, points: tuple[tuple[float, float], ...]) -> Picture:
        large = fitted(image, side=CLICKED_SIDE)
        height, width = large.shape[:2]
        inside = resize_labels(mask.astype(np.uint8), height=height, width=width)
        drawn = blend(large, inside, colours=colours_of((name,)))
        # each point as a white square with a dark rim
        for x, y in points:
            row, column = int(y * height / image.shape[0]), int(x * width / image.shape[1])
            drawn[max(0, row - 5) : row + 6, max(0, column - 5) : column + 6] = (12, 12, 12)
            drawn[max(0, row - 3) : row + 4, max(0, column - 3) : column + 4] = (255, 255, 255)
        return drawn

    def _figure(self, tile: Tile, name: str, kept: Curation) -> str:
        """One image with its mask, its scores, and buttons that say what is chosen."""
        choice, crossed = kept.mask(tile.image_id), tile.image_id in kept.crossed(name)
        state = choice.state if choice is not None else ""
        try:
            image = read_image(self.images / tile.image_id)
        except ImagesError:
            return f'<figure class="tile"><p>{escape(tile.image_id)} is gone.</p></figure>'
        small = fitted(image, side=SIDE)
        mask = _mask_of(tile, choice, image.shape[:2])
        if mask is not None:
            inside = resize_labels(mask.astype(np.uint8), height=small.shape[0], width=small.shape[1])
            small = blend(small, inside, colours=colours_of((name,)), opacity=0.6)
        score = f"mask {tile.mask.score:.2f}" if tile.mask else "no mask"
        told = f"{tile.rank} · {tile.score:.3f} · {state or score}"
        alt = escape(f"image {tile.rank} of {name}{', crossed out' if crossed else ''}", quote=True)
        pressed = {"cross": crossed, "accepted": state == "accepted", "rejected": state == "rejected", "redraw": False}
        if not self.sam_source or tile.mask is None:
            pressed.pop("redraw")
        buttons = "".join(
            f'<button type="button" data-choice="{what}" data-image="{escape(tile.image_id, quote=True)}" '
            f'aria-pressed="{str(on).lower()}">{escape(BUTTONS[what].format(name))}</button>'
            for what, on in pressed.items()
        )
        shown = figure(small, caption=alt)
        classes = " ".join(["tile", state, "crossed" if crossed else ""]).strip()
        return (
            f'<figure class="{classes}"><img src="{shown.source}" width="{shown.width}" height="{shown.height}" '
            f'alt="{alt}"><figcaption>{escape(told)}</figcaption>'
            f"{f'<div class=choices>{buttons}</div>' if self.allowed else ''}</figure>"
        )


def _as_it_is(tile: Tile, state: str) -> MaskChoice:
    """The choice of the mask that the person sees."""
    if state == "rejected" or tile.mask is None:
        return MaskChoice(tile.image_id, state)
    mask = tile.mask
    return MaskChoice(tile.image_id, state, (mask.height, mask.width), mask.rle.decode("ascii"))


def _mask_of(tile: Tile, choice: MaskChoice | None, shape: tuple[int, ...]) -> MaskArray | None:
    """The mask that training would see, or that was rejected; None where there is none of the image's size."""
    if choice is not None and choice.counts:
        code, size = choice.counts.encode("ascii"), choice.size
    elif tile.mask is not None:
        code, size = tile.mask.rle, (tile.mask.height, tile.mask.width)
    else:
        return None
    return rle.decode(code, size[0], size[1]) if size == shape else None


def _sam_at_hand(preset: str) -> str:
    """Source of a SAM on this machine, the embedded one for runs with embedded models; "" where there is none."""
    if preset == "mini":
        return "embedded:sam"
    known: list[Any] = [source for source, model in KNOWN.items() if model.kind == "sam"]
    return next((source for source in known if find(source, kind="sam").status == "found"), "")
