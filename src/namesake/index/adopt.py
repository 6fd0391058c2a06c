"""Make an index of embeddings that clip-retrieval made; nothing is embedded again."""

import os
import shutil
from pathlib import Path

from namesake.errors import DataError
from namesake.index.layout import (
    IMAGE,
    find_shards,
    open_embeddings,
    open_index,
    open_rows,
    read_column,
    shard_paths,
    write_description,
)
from namesake.records import Images, Index
from namesake.workspace import stage, write_atomically


@stage("index", opens=open_index, models=lambda encoder: (encoder,))
def adopt_embeddings(out: Path, images: Images, *, embeddings: str, encoder: str) -> Index:
    """Take over the embeddings of images, such as a part of LAION fetched with img2dataset and embedded there.

    Args:
        out: The stage's folder; the embeddings are linked there, or copied where the file system cannot link.
        images: Images as img2dataset left them: a folder of files, tar shards, or a table of paths; rows of the
            embeddings that name none of them are an error.
        embeddings: Folder with `img_emb/` and `metadata/` (clip-retrieval's layout).
        encoder: Source of the CLIP that made them; its text side will embed the names.

    Returns:
        The index, with the count `images`.

    Raises:
        DataError: Shards do not fit each other, or rows belong to none of `images`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = open_embeddings(Path(embeddings), images, encoder=encoder)
    shards = find_shards(Path(embeddings))
    first = 0
    for number, (rows, metadata) in enumerate(shards):
        own_rows, own_metadata = shard_paths(out, number, shards=len(shards))
        with write_atomically(own_rows) as unfinished:
            _link(rows, unfinished)
        count = len(open_rows(rows))
        columns = {IMAGE: list(found.images.ids[first : first + count])} | _sizes(metadata)
        with write_atomically(own_metadata) as unfinished:
            pq.write_table(pa.table(columns), unfinished)
        first += count
    (card,) = found.models
    write_description(
        out, images=images.folder, encoder=encoder, card=card, dim=found.dim, skipped=0, shards=len(shards)
    )
    return open_index(out)


def _link(file: Path, link: Path) -> None:
    try:
        os.link(file.resolve(), link)
    except OSError:
        shutil.copyfile(file, link)


def _sizes(metadata: Path) -> dict[str, list[int]]:
    """Width and height of a shard's images, where clip-retrieval was told to keep them."""
    try:
        return {axis: read_column(metadata, axis) for axis in ("width", "height")}
    except DataError:
        return {}
