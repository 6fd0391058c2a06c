"""Join the archives of some names with those of names that were added later."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from namesake.archives.store import Entries, open_archives, rows, write_description, write_table
from namesake.errors import ConfigError, ImagesError
from namesake.names.spelling import spelling
from namesake.records import Archives, Names
from namesake.workspace import stage

ADDED = "added"
"""Folder in a run of what belongs to names that joined it later: `added/01/archives`, ..."""


@stage("joined/archives", opens=open_archives)
def join_archives(out: Path, first: Archives, *others: Archives) -> Archives:
    """Put the archives of further names after those of earlier ones, which stay as they are.

    An image that is in an archive of an earlier part stays there alone, so that no earlier label changes.

    Args:
        out: The stage's folder.
        first: The archives that were made first.
        *others: Those made later, of the same images and of other names.

    Returns:
        The archives of all names, with counts `names`, `images` and `contested` (left out of a later part).

    Raises:
        ConfigError: A name is in two parts.
        ImagesError: All images of a later name are in earlier archives.
    """
    import pyarrow as pa

    parts = (first, *others)
    names = join_names([part.names for part in parts])
    tables = [rows(each) for each in parts]
    part = np.repeat(np.arange(len(parts)), [len(table) for table in tables])
    table = pa.concat_tables(tables)
    label, score = table["label"].to_numpy(), table["score"].to_numpy()
    ids, row = np.unique(table["image_id"].to_pylist(), return_inverse=True)
    # an image belongs to the first part that has it: number of that part, by image
    owner = np.full(len(ids), len(parts))
    np.minimum.at(owner, row, part)
    kept = owner[row] == part
    place = {each: number for number, each in enumerate(names.names, start=1)}
    offset = np.array([0, *accumulate(len(each.names) for each in parts)])
    archive = np.array([place[each] for each in table["name"].to_pylist()], dtype=np.int64)
    missing = sorted({*range(offset[1] + 1, offset[-1] + 1)} - {*archive[kept].tolist()})
    if missing:
        raise ImagesError(
            f"every image found for {', '.join(names.names[label - 1] for label in missing)} belongs to an earlier "
            "name. Give it as a synonym of that name, or run all names anew in another --out."
        )
    entries = Entries(archive, row, score, label + offset[part])
    write_table(out, Entries(*(column[kept] for column in entries)), names, ids.tolist())
    counts = {"names": len(names), "images": len(ids), "contested": len(np.unique(row[~kept]))}
    models = tuple(dict.fromkeys(card for each in parts for card in each.models))
    write_description(out, images=first.images, names=names, counts=counts, models=models)
    return open_archives(out)


def join_names(parts: Sequence[Names]) -> Names:
    """All names, those of the first part first; background words are the first part's.

    Raises:
        ConfigError: A name is in two parts.
    """
    names = tuple(name for part in parts for name in part.names)
    keys = [spelling(name) for name in names]
    twice = sorted({name for name, key in zip(names, keys, strict=True) if keys.count(key) > 1})
    if twice:
        raise ConfigError(f"expected other names than those there already, found {', '.join(twice)} again.")
    synonyms, against = (
        tuple(words for part, some in zip(parts, each, strict=True) for words in some or ((),) * len(part))
        for each in ([part.synonyms for part in parts], [part.against for part in parts])
    )
    return Names(
        names,
        synonyms=synonyms if any(synonyms) else (),
        background=parts[0].background,
        against=against if any(against) else (),
    )
