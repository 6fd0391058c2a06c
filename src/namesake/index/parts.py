"""Indexes of the parts of a collection in, one small index of all images that some query may find out.

The parts are searched one after the other; of each, only the best rows and their ids stay, so no process holds the ids
of the whole, nor of a part. Searching what was gathered finds what searching one index of everything would.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from namesake.errors import ConfigError, WorkspaceError
from namesake.images.decode import look_at, read_content
from namesake.index.layout import (
    IMAGE,
    SIZES,
    find_shards,
    link,
    open_description,
    open_index,
    open_rows,
    read_column,
    shard_paths,
    sizes_of,
    write_description,
)
from namesake.index.search import top_k
from namesake.progress import track
from namesake.records import Index
from namesake.workspace import write_array, write_atomically, write_json, write_parquet

IMAGES, CLAIM = "images", "gathered.json"
SOURCE = "source"
"""Column of the metadata with the path that an image came from."""


def gather_index(
    out: Path, parts: Sequence[Path], queries: Float[ndarray, "queries dim"], k: int, *, overwrite: bool = False
) -> Index:
    """Copy what is among the k nearest of any query out of the indexes of parts, images and embeddings.

    `top_k(gathered, queries, k)` gives the scores of `top_k` of one index of all parts, for the same images in the same
    order, and so does any smaller k: a row that is among the best of all is among the best of its part.

    Args:
        out: A new folder, or one in which this same work was begun. It holds an index (`img_emb/`, `metadata/`), and
            the images themselves in `images/`, as links where the disk can, called by part and row; `source` in the
            metadata says where each came from.
        parts: Folders of the indexes, in the order of the whole.
        queries: Query vectors, as in `top_k`.
        k: Number of images a query.
        overwrite: Replace what other parts or queries made.

    Returns:
        The index of what was gathered.

    Raises:
        ConfigError: There is no part, or parts are of different encoders.
        DataError: A part is damaged.
        WorkspaceError: `out` holds other work, or cannot be written.
    """
    opened = [open_description(part) for part in parts]
    kinds = {(each.encoder, each.dim) for each in opened}
    if len(kinds) != 1:
        told = ", ".join(f"{encoder} ({dim} dimensions)" for encoder, dim in sorted(kinds)) or "none"
        raise ConfigError(f"expected parts that one encoder embedded, found {told}. Embed all with the same.")
    digest = hashlib.blake2b(np.ascontiguousarray(queries).tobytes(), digest_size=8).hexdigest()
    claim: dict[str, Any] = {"parts": [str(part.resolve()) for part in parts], "k": k, "queries": digest}
    if _is_done(out, claim, overwrite=overwrite):
        return open_index(out)
    found = _search(opened, queries, k)
    for number, (part, rows) in enumerate(zip(opened, found, strict=True)):
        _copy(out, part, rows, number, parts=len(parts))
    (card,), first = opened[0].models, opened[0]
    write_description(
        out, images=out / IMAGES, encoder=first.encoder, card=card, dim=first.dim, skipped=0, shards=len(parts)
    )
    write_json(out / CLAIM, claim | {"finished": True})
    return open_index(out)


def _search(parts: Sequence[Index], queries: Float[ndarray, "queries dim"], k: int) -> list[Int[ndarray, " rows"]]:
    """Rows of each part, ascending, that reach the score of any query's k-th best image of all parts."""
    floor = np.full(len(queries), -np.inf, dtype=np.float32)
    best = np.full((len(queries), 0), -np.inf, dtype=np.float32)
    kept: list[tuple[Float[ndarray, "queries some"], Int[ndarray, "queries some"]]] = []
    for part in track(parts, what="searching parts"):
        scores, rows = top_k(part, queries, k)
        kept.append((scores, rows))
        # the k best scores of the parts so far, descending; the last one is what a row has to reach
        best = -np.sort(-np.concatenate([best, scores], axis=1), axis=1)[:, :k]
        if best.shape[1] == k:
            floor = best[:, -1]
    # scores are rounded to float32, which keeps their order: equal ones stay, and the exact search decides
    return [np.unique(rows[scores >= floor[:, None]]) for scores, rows in kept]


def _copy(out: Path, part: Index, rows: Int[ndarray, " rows"], number: int, *, parts: int) -> None:
    """Write one shard of what was gathered: images, embeddings as they are, metadata."""
    import pyarrow as pa

    embeddings, columns = [], {IMAGE: [], SOURCE: [], **{axis: [] for axis in SIZES}}  # type: ignore[var-annotated]
    first = 0
    for path, metadata in find_shards(part.folder):
        shard = open_rows(path)
        # rows of this shard, counted within it
        here = rows[(rows >= first) & (rows < first + len(shard))] - first
        if len(here):
            embeddings.append(np.asarray(shard[here]))
            ids = read_column(metadata, IMAGE)
            sizes = sizes_of(metadata)
            for row in here.tolist():
                source = part.images.folder / ids[row]
                columns[IMAGE].append(_bring(source, out / IMAGES, f"{number:04d}/{first + row:010d}"))
                columns[SOURCE].append(str(source))
                for axis in SIZES:
                    columns[axis].append(sizes[axis][row] if sizes else None)
        first += len(shard)
    # the shard; sizes only where those of all its images are known
    own_rows, own_metadata = shard_paths(out, number, shards=parts)
    write_array(own_rows, np.concatenate(embeddings) if embeddings else np.empty((0, part.dim), dtype=np.float16))
    if None in columns[SIZES[0]]:
        columns = {name: values for name, values in columns.items() if name not in SIZES}
    schema = pa.schema([(name, pa.int32() if name in SIZES else pa.string()) for name in columns])
    write_parquet(own_metadata, pa.table(columns, schema=schema))


def _bring(source: Path, home: Path, stem: str) -> str:
    """Link or copy an image, out of a tar or table too; its new id."""
    suffix = source.suffix.lower()
    plain = source.is_file()
    content = b"" if plain and suffix else read_content(source)
    if not suffix:
        suffix = f".{look_at(content, name=source.name).format.lower() or 'image'}"
    target = home / f"{stem}{suffix}"
    if not target.is_file():
        with write_atomically(target) as unfinished:
            if plain and not content:
                link(source, unfinished)
            else:
                unfinished.write_bytes(content)
    return f"{stem}{suffix}"


def _is_done(out: Path, claim: dict[str, Any], *, overwrite: bool) -> bool:
    """Whether this same work is finished in `out`; marks it as begun where it is not.

    Raises:
        WorkspaceError: `out` holds other work or files of the user.
    """
    try:
        found = json.loads((out / CLAIM).read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = None
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{out / CLAIM} is damaged ({error}). Delete {out} or choose another --out.") from error
    if found is None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WorkspaceError(f"{out} is not empty and holds nothing gathered; --out wants a new folder.")
    same = isinstance(found, dict) and {key: found.get(key) for key in claim} == claim
    if found is not None and not same:
        if not overwrite:
            raise WorkspaceError(f"{out} holds what was gathered of other parts or names. Use --overwrite.")
        shutil.rmtree(out)
    if same and found.get("finished"):
        return True
    write_json(out / CLAIM, claim)
    return False
