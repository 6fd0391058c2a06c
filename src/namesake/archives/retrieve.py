"""For each name, retrieve the archive of images whose embeddings are most similar to the name's."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from namesake.archives.choices import ArchiveChoices, not_crossed_out, reworded
from namesake.archives.cleaning import first_of_near_duplicates
from namesake.archives.contest import Contested, settle
from namesake.archives.looks import look_for_faces
from namesake.archives.notes import say, take_notes, write_notes
from namesake.archives.sheets import draw_sheets
from namesake.archives.store import Entries, open_archives, write_description, write_table
from namesake.config import check, option
from namesake.encoders import load_clip
from namesake.errors import ImagesError
from namesake.index import image_sizes, read_embeddings, top_k
from namesake.names.doubts import Doubts, doubt
from namesake.names.prompts import TEMPLATES, embed
from namesake.records import Archives, Index, Names
from namesake.workspace import stage


@dataclass(frozen=True)
class ArchivesConfig:
    """What goes into an archive; the defaults are those of NamedMask and ZUTIS."""

    images_per_name: int = option(500, "Size of an archive.", paper="500", where="paper", at_least=1)
    contested: Contested = option(
        "last", 'Whose label an image in several archives gets: "last" (code), "best" or "drop"; see `contest.settle`.'
    )
    min_image_size: int = option(
        0, "Leave out images with a side of fewer original pixels; 0 keeps all (paper).", at_least=0
    )
    duplicate_threshold: float = option(
        1.0,
        "Leave out images whose cosine with a better one of the same archive is above this; 1 keeps all (paper).",
        above=0,
        at_most=1,
    )
    face_detector: str = option(
        "",
        "Leave out images with a face; a detector as `module:function`, such as "
        'namesake.archives.looks:cascade_faces. NamedMask\'s archives for ImageNet-S: RetinaFace. "" keeps all.',
    )


@stage("archives", opens=open_archives)
def retrieve(
    out: Path,
    index: Index,
    names: Names,
    *taken: Archives,
    config: ArchivesConfig = ArchivesConfig(),
    choices: ArchiveChoices | None = None,
    device: str = "auto",
) -> Archives:
    """Build an archive for each name: the images whose embedding is closest to the name's text embedding.

    NamedMask, section 3 ("dynamic archive construction") and ZUTIS, section 3.1: the 85 templates, names independent
    of each other, no threshold.

    Args:
        out: The stage's folder.
        index: Embeddings of the collection; its encoder's text side embeds the names.
        names: The names, with synonyms if there are any.
        taken: Archives of names that were there before; their images are left out, so that no earlier label changes.
            Four times `images_per_name` are looked at then.
        config: Size and cleaning. Where anything may be left out, twice `images_per_name` are looked at. Of a name
            with context words, images that are more like one of these are always left out.
        choices: Images that a person crossed out, whose places stay empty, and words that a person changed.
        device: "auto", "cpu" or "cuda".

    Returns:
        The archives, with counts `names`, `images` (each once), `contested` (images in several archives) and `short`
        (names with fewer images than asked). `notes.json` holds weak and short names, names that share images, and
        names that the encoder reads alike or does not know; `sheets/` a contact sheet a name.

    Raises:
        ConfigError: An option out of range.
        ImagesError: No archive has an image.
        WeightsError: The encoder cannot be loaded.
    """
    clip = load_clip(index.encoder, device=device)
    words = reworded(names, choices)
    text = embed(words, clip)
    against = [clip.embed_names(words, TEMPLATES) for words in names.against]
    doubts = doubt(words.names, text, clip, encoder=index.encoder)
    return write_archives(
        index, names, text, config=config, out=out, doubts=doubts, against=against, taken=taken, choices=choices
    )


def write_archives(
    index: Index,
    names: Names,
    text: Float[ndarray, "names dim"],
    *,
    config: ArchivesConfig,
    out: Path,
    doubts: Doubts = Doubts((), ()),  # noqa: B008
    against: Sequence[Float[ndarray, "words dim"]] = (),
    taken: Sequence[Archives] = (),
    choices: ArchiveChoices | None = None,
) -> Archives:
    """`retrieve` with the names' text embeddings [names, dim], in label order, and what is doubtful of them at hand.

    `against` holds the embeddings of each name's context words: none at all, or one array a name.
    """
    check(config)
    found = _find(index, names, text, config, against=against, taken=taken, choices=choices)
    kept, contested = settle(found, config.contested)
    listed = len(np.unique(found.row))
    if taken and not listed:
        raise ImagesError(
            f"no image is left for {', '.join(names.names[:8])}: all that CLIP finds are in the archives of names that "
            "were there before. Give more images (--append), or make a run of all names in another folder."
        )
    if not len(kept.row):
        raise ImagesError(
            f"no name has an image left: of {listed} images found, several names list {contested} "
            f"(contested={config.contested!r}). Use fewer images_per_name, or contested='best'."
        )
    asked = config.images_per_name
    notes = take_notes(found, kept, names=len(names), asked=asked)
    counts = {
        "names": len(names),
        "images": len(np.unique(kept.row)),
        "contested": contested,
        "short": len(notes.short),
    }
    write_table(out, kept, names, index.images.ids)
    write_notes(out, notes, names, doubts=doubts)
    draw_sheets(out, kept, names, index.images)
    say(notes, names, asked=asked, images=listed, contested=contested, rule=config.contested)
    write_description(out, images=index.images, names=names, counts=counts, models=index.models)
    return open_archives(out)


def _find(
    index: Index,
    names: Names,
    text: Float[ndarray, "names dim"],
    config: ArchivesConfig,
    *,
    against: Sequence[Float[ndarray, "words dim"]],
    taken: Sequence[Archives],
    choices: ArchiveChoices | None,
) -> Entries:
    """The best images of each name, cleaned, in label order."""
    cleaning = (
        config.face_detector or config.min_image_size > 0 or config.duplicate_threshold < 1 or any(map(len, against))
    )
    # the best images of each name, more than asked for where some may go: [names, images]
    scores, rows = top_k(index, text, config.images_per_name * (4 if taken else 2 if cleaning else 1))
    before = {image_id for archives in taken for image_id in archives.images.ids}
    keep = np.array([image_id not in before for image_id in index.images.ids])[rows]
    if config.min_image_size > 0:
        keep &= image_sizes(index)[rows].min(axis=-1) >= config.min_image_size
    for name, others in enumerate(against):
        if len(others):
            # no context word is nearer than the name: [images, words] -> [images]
            keep[name] &= (read_embeddings(index, rows[name]) @ others.T).max(axis=1) <= scores[name]
    faces: set[str] = set()
    if config.face_detector:
        faces = look_for_faces(index.images, _ids(index, rows[keep]), detector=config.face_detector)
    for kept, own in zip(keep, rows, strict=True):  # changes rows of `keep` in place
        _clean(kept, own, index, faces, config)
    # of those that are left, the best
    keep &= np.cumsum(keep, axis=1) <= config.images_per_name
    if choices is not None and choices.left_out:  # after the count: no image that nobody saw takes a place
        keep &= not_crossed_out([_ids(index, own) for own in rows], names, choices)
    # label of each entry: [names, images] -> [entries]
    archive = np.broadcast_to(np.arange(1, len(text) + 1)[:, None], rows.shape)[keep]
    return Entries(archive=archive, row=rows[keep], score=scores[keep], label=archive)


def _clean(
    kept: Bool[ndarray, " images"],
    rows: Int64[ndarray, " images"],
    index: Index,
    faces: Collection[str],
    config: ArchivesConfig,
) -> None:
    """Leave out, of one name's images that are still kept, those with a face and those nearly equal to a better one."""
    if faces:
        kept[kept] = [image_id not in faces for image_id in _ids(index, rows[kept])]
    if config.duplicate_threshold < 1:
        embeddings = read_embeddings(index, rows[kept])
        kept[kept] = first_of_near_duplicates(embeddings, threshold=config.duplicate_threshold)


def _ids(index: Index, rows: Int64[ndarray, " images"]) -> list[str]:
    return [index.images.ids[row] for row in rows]
