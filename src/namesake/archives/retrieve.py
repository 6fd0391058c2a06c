"""An index and names in, an archive of the most similar images for each name out. It knows no masks and no labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from namesake.archives.cleaning import first_of_near_duplicates, large_enough
from namesake.archives.contest import Contested, settle
from namesake.archives.notes import say, take_notes, write_notes
from namesake.archives.sheets import draw_sheets
from namesake.archives.store import Entries, open_archives, write_description, write_table
from namesake.encoders import load_clip
from namesake.errors import ConfigError, ImagesError
from namesake.index import image_sizes, read_embeddings, top_k
from namesake.names.prompts import TEMPLATES, embed
from namesake.records import Archives, Index, Names
from namesake.workspace import stage

WEAK_MARGIN = 0.05
"""How far a name's best cosine may lie below the median of all names' before the name is called weak."""


@stage("archives", opens=open_archives)
def retrieve(
    index: Index,
    names: Names,
    *,
    out: Path,
    images_per_name: int = 500,
    contested: Contested = "last",
    templates: Sequence[str] = TEMPLATES,
    min_side: int = 0,
    near_duplicates: float | None = None,
    weak_margin: float = WEAK_MARGIN,
    sheet_images: int = 24,
    device: str = "auto",
) -> Archives:
    """Build an archive for each name: the images whose embedding is closest to the name's text embedding.

    NamedMask, section 3 ("dynamic archive construction") and ZUTIS, section 3.1: 85 templates, 500 images a name, names
    independent of each other, no threshold.

    Args:
        index: Embeddings of the collection; its encoder's text side embeds the names.
        names: The names, with synonyms if there are any.
        out: The stage's folder.
        images_per_name: Size of an archive.
        contested: "last", "best" or "drop": whose label an image in several archives gets (`contest.settle`).
        templates: Prompt templates.
        min_side: Leave out images with a shorter side below so many original pixels; 0 keeps all.
        near_duplicates: Leave out images whose cosine with a better one of the same archive is above this; None keeps
            all. With either of these two, twice `images_per_name` are looked at.
        weak_margin: A name whose best cosine is below the median over names by more than this is reported as weak.
        sheet_images: Images on a contact sheet; 0 draws none.
        device: "auto", "cpu" or "cuda".

    Returns:
        The archives, with counts `names`, `images` (each once), `contested` (images in several archives) and `short`
        (names with fewer images than asked). `notes.json` holds weak and short names and names that share images.

    Raises:
        ConfigError: An option out of range.
        ImagesError: No archive has an image.
        WeightsError: The encoder cannot be loaded.
    """
    text = embed(names, load_clip(index.encoder, device=device), templates)
    return write_archives(index, names, text, out=out, images_per_name=images_per_name, contested=contested,
                          min_side=min_side, near_duplicates=near_duplicates, weak_margin=weak_margin,
                          sheet_images=sheet_images)


def write_archives(
    index: Index,
    names: Names,
    text: Float[ndarray, "names dim"],
    *,
    out: Path,
    images_per_name: int = 500,
    contested: Contested = "last",
    min_side: int = 0,
    near_duplicates: float | None = None,
    weak_margin: float = WEAK_MARGIN,
    sheet_images: int = 24,
) -> Archives:
    """`retrieve` with the names' text embeddings [names, dim] at hand, in label order."""
    if images_per_name < 1:
        raise ConfigError(f"expected images_per_name of 1 or more, found {images_per_name}.")
    found = _find(index, text, images_per_name, min_side=min_side, near_duplicates=near_duplicates)
    kept, disputed = settle(found, contested)
    if not len(kept.row):
        raise ImagesError(f"no name has an image left: of {len(np.unique(found.row))} images found, several names list "
                          f"{disputed} (contested={contested!r}). Use fewer images_per_name, or contested='best'.")
    notes = take_notes(found, kept, names=len(names), asked=images_per_name, weak_margin=weak_margin)
    images = len(np.unique(kept.row))
    counts = {"names": len(names), "images": images, "contested": disputed, "short": len(notes.short)}
    write_table(out, kept, names, index.images.ids)
    write_notes(out, notes, names, options={"images_per_name": images_per_name, "contested": contested,
                                            "weak_margin": weak_margin})
    draw_sheets(out, kept, names, index.images, count=sheet_images)
    say(notes, names, asked=images_per_name, images=len(np.unique(found.row)), contested=disputed, rule=contested)
    write_description(out, images=index.images, names=names, counts=counts, models=index.models)
    return open_archives(out)


def _find(
    index: Index,
    text: Float[ndarray, "names dim"],
    images_per_name: int,
    *,
    min_side: int,
    near_duplicates: float | None,
) -> Entries:
    """The best images of each name, cleaned, in label order."""
    cleaning = min_side > 0 or near_duplicates is not None
    scores, rows = top_k(index, text, images_per_name * (2 if cleaning else 1))
    keep = np.ones(rows.shape, dtype=np.bool_)
    if min_side > 0:
        keep = large_enough(image_sizes(index)[rows.ravel()], min_side=min_side).reshape(rows.shape)
    if near_duplicates is not None:
        for kept, own in zip(keep, rows, strict=True):
            of_size = np.flatnonzero(kept)
            kept[of_size] = first_of_near_duplicates(read_embeddings(index, own[of_size]), threshold=near_duplicates)
    keep &= np.cumsum(keep, axis=1) <= images_per_name
    archive = np.broadcast_to(np.arange(1, len(text) + 1)[:, None], rows.shape)[keep]
    return Entries(archive=archive, row=rows[keep], score=scores[keep], label=archive)
