"""Find what to distrust about archives: weak names, short archives, names that share images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from namesake.archives.store import Entries
from namesake.names.doubts import Doubts
from namesake.notices import caution
from namesake.records import Names
from namesake.workspace import write_json

FILE = "notes.json"
PAIRS = 20
SHOWN = 8
WEAK_MARGIN = 0.05
"""A name is weak when its best cosine is below the median over names by more than this."""
MOSTLY = 0.5
"""Share of the smaller archive from which two archives count as nearly the same."""


@dataclass(frozen=True)
class Notes:
    """What the archives themselves say of their quality, without any label.

    Attributes:
        sizes: Images an archive, in label order.
        best: Highest score of each name before contested images were settled; NaN where nothing was found.
        weak: Labels whose best score is below the median of all names' best scores by more than the margin: the
            collection may hold no such image.
        short: Labels with fewer images than asked.
        found: Images an archive before contested images were settled.
        pairs: Labels that share most images, as (label, label, images), most first.
    """

    sizes: Int64[ndarray, " names"]
    best: Float32[ndarray, " names"]
    weak: tuple[int, ...]
    short: tuple[int, ...]
    found: Int64[ndarray, " names"]
    pairs: tuple[tuple[int, int, int], ...]


def take_notes(found: Entries, kept: Entries, *, names: int, asked: int) -> Notes:
    """Look at what was found, and at what was kept after contested images were settled."""
    best = np.full(names, np.nan, dtype=np.float32)
    labels, first = np.unique(found.archive, return_index=True)
    # entries are ordered by score, so the first of an archive is its best
    best[labels - 1] = found.score[first]
    sizes = np.bincount(kept.archive, minlength=names + 1)[1:]
    weak = best < np.nanmedian(best) - WEAK_MARGIN
    return Notes(
        sizes=sizes,
        best=best,
        weak=tuple(int(label) for label in np.flatnonzero(weak) + 1),
        short=tuple(int(label) for label in np.flatnonzero(sizes < asked) + 1),
        found=np.bincount(found.archive, minlength=names + 1)[1:],
        pairs=_sharing(found, names),
    )


def write_notes(
    out: Path,
    notes: Notes,
    names: Names,
    *,
    doubts: Doubts = Doubts((), ()),  # noqa: B008
) -> None:
    """Write `notes.json`: what is doubtful, then one line a name."""
    write_json(
        out / FILE,
        {
            "weak_margin": WEAK_MARGIN,
            "median_best_score": _number(float(np.nanmedian(notes.best))),
            "weak": [names.names[label - 1] for label in notes.weak],
            "short": {names.names[label - 1]: int(notes.sizes[label - 1]) for label in notes.short},
            "share_images": [
                {"names": [names.names[a - 1], names.names[b - 1]], "images": n} for a, b, n in notes.pairs
            ],
            "read_alike": [{"names": [a, b], "cosine": cosine} for a, b, cosine in doubts.alike],
            "unknown_words": list(doubts.unknown),
            "names": [
                {"label": label, "name": name, "images": int(size), "best_score": _number(best)}
                for label, (name, size, best) in enumerate(
                    zip(names.names, notes.sizes, notes.best.tolist(), strict=True), start=1
                )
            ],
        },
    )


def say(notes: Notes, names: Names, *, asked: int, images: int, contested: int, rule: str) -> None:
    """Say in a few lines on standard error what a person should look at before going on."""
    if notes.weak:
        best = ", ".join(f"{names.names[label - 1]} {notes.best[label - 1]:.3f}" for label in notes.weak[:SHOWN])
        caution(
            f"archives: the collection may hold no image of: {best}{_rest(notes.weak)} (best score; the median over "
            f"names is {np.nanmedian(notes.best):.3f}). Look at their contact sheets."
        )
    if notes.short:
        sizes = ", ".join(f"{names.names[label - 1]} {notes.sizes[label - 1]}" for label in notes.short[:SHOWN])
        caution(f"archives: fewer than {asked} images for: {sizes}{_rest(notes.short)}.")
    same = [
        (f"{names.names[a - 1]} / {names.names[b - 1]} ({shared})", a)
        for a, b, shared in notes.pairs
        if MOSTLY * images >= min(notes.found[a - 1], notes.found[b - 1]) <= shared / MOSTLY
    ]
    if same:
        pairs = ", ".join(text for text, _ in same[:SHOWN])
        caution(
            f"archives: nearly the same images (shared) for: {pairs}{_rest(tuple(a for _, a in same))}. "
            "Training cannot tell these names apart: make one the synonym of the other, or choose other words."
        )
    if contested > images / 2:
        caution(
            f"archives: {contested} of {images} images are listed by several names and treated by the rule {rule!r}; "
            "their labels may be wrong. Use fewer images per name, or contested='best'."
        )


def _sharing(found: Entries, names: int) -> tuple[tuple[int, int, int], ...]:
    """The pairs of archives with most images in common."""
    from scipy.sparse import csr_array, triu

    _, image = np.unique(found.row, return_inverse=True)
    # membership [names, images]; its product with itself counts what two archives share, each pair once
    lists = csr_array((np.ones(len(image), dtype=np.int64), (found.archive - 1, image)), shape=(names, len(image)))
    common = triu(lists @ lists.T, k=1).tocoo()
    order = np.lexsort((common.col, common.row, -common.data))[:PAIRS]
    return tuple((int(common.row[i]) + 1, int(common.col[i]) + 1, int(common.data[i])) for i in order)


def _rest(labels: tuple[int, ...]) -> str:
    return f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""


def _number(score: float) -> float | None:
    return None if np.isnan(score) else round(score, 5)
