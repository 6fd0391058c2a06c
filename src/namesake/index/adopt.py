"""Make an index of embeddings that clip-retrieval made; nothing is embedded again."""

from collections.abc import Sequence
from pathlib import Path

from namesake.errors import DataError
from namesake.index.layout import (
    IMAGE,
    find_shards,
    link,
    open_embeddings,
    open_index,
    open_rows,
    shard_paths,
    sizes_of,
    write_description,
)
from namesake.records import Images, Index
from namesake.workspace import stage, write_atomically, write_parquet


@stage("index", opens=open_index, models=lambda encoder: (encoder,))
def adopt_embeddings(
    out: Path,
    images: Images,
    *,
    embeddings: str,
    encoder: str,
    shards: Sequence[tuple[str, int, int]] = (),
) -> Index:
    """Take over the embeddings of images, such as a part of LAION fetched with img2dataset and embedded there.

    Args:
        out: The stage's folder; the embeddings are linked there, or copied where the file system cannot link.
        images: Images as img2dataset left them: a folder of files, tar shards, or a table of paths; rows of the
            embeddings that name none of them are an error.
        embeddings: Folder with `img_emb/` and `metadata/` (clip-retrieval's layout).
        encoder: Source of the CLIP that made them; its text side will embed the names.
        shards: What `facts_of_shards` said of the folder, so that a run notices when others lie there; none: not asked.

    Returns:
        The index, with the count `images`.

    Raises:
        DataError: Shards do not fit each other, rows belong to none of `images`, or the shards changed meanwhile.
    """
    import pyarrow as pa

    found = open_embeddings(Path(embeddings), images, encoder=encoder)
    there = find_shards(Path(embeddings))
    first = 0
    for number, (rows, metadata) in enumerate(there):
        own_rows, own_metadata = shard_paths(out, number, shards=len(there))
        with write_atomically(own_rows) as unfinished:
            link(rows, unfinished)
        count = len(open_rows(rows))
        columns = {IMAGE: list(found.images.ids[first : first + count])} | sizes_of(metadata)
        write_parquet(own_metadata, pa.table(columns))
        first += count
    if shards and facts_of_shards(embeddings) != tuple(shards):
        raise DataError(f"the embeddings in {embeddings} changed while they were taken over. Run the same again.")
    (card,) = found.models
    write_description(
        out, images=images.folder, encoder=encoder, card=card, dim=found.dim, skipped=0, shards=len(there)
    )
    return open_index(out)


def facts_of_shards(embeddings: str) -> tuple[tuple[str, int, int], ...]:
    """Name, bytes and time of change in nanoseconds of each file of embeddings, in order; none where there is none."""
    try:
        files = [path for shard in find_shards(Path(embeddings)) for path in shard]
    except DataError:
        return ()  # the stage says what is missing
    return tuple((path.name, (facts := path.stat()).st_size, facts.st_mtime_ns) for path in files)
