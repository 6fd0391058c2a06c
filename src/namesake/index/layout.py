"""Read and write an index on disk in clip-retrieval's layout.

`img_emb/img_emb_0.npy` holds float16 or float32 [rows, dim], `metadata/metadata_0.parquet` one row for each of them.
"""

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from namesake.documents import TEXT, is_text, refused
from namesake.errors import ConfigError, DataError
from namesake.images.paths import match_paths
from namesake.progress import note
from namesake.records import Images, Index, ModelCard
from namesake.workspace import write_json

DESCRIPTION = "index.json"
BLOCK = 16_384
"""Rows looked at together."""
IMAGE = "image_path"
"""clip-retrieval's column for the file of an image; in an index of ours it holds the image's id."""

SIZES = ("width", "height")
Shard = tuple[Path, Path]
"""Embeddings and metadata of the same images."""


def shard_paths(folder: Path, number: int, *, shards: int) -> Shard:
    """Files of one shard, numbered with as many digits as the last one has."""
    padded = str(number).zfill(len(str(shards - 1)))
    return folder / "img_emb" / f"img_emb_{padded}.npy", folder / "metadata" / f"metadata_{padded}.parquet"


def find_shards(folder: Path, *, below: float = inf) -> list[Shard]:
    """All shards of a folder whose numbers are below a limit, in the order of their numbers.

    Raises:
        DataError: There is none, or an embedding file has no metadata file beside it.
    """
    embeddings = _numbered(folder / "img_emb", "npy", below)
    metadata = _numbered(folder / "metadata", "parquet", below)
    if not embeddings:
        raise DataError(f"expected embeddings {folder}/img_emb/img_emb_0.npy (clip-retrieval's layout), found none.")
    if embeddings.keys() != metadata.keys():
        lonely = sorted(embeddings.keys() ^ metadata.keys())[:5]
        raise DataError(f"{folder}: the shards {lonely} lack their img_emb or their metadata file; make them again.")
    return [(embeddings[number], metadata[number]) for number in sorted(embeddings)]


def open_rows(path: Path) -> Float[ndarray, "rows dim"]:
    """Memory-map one shard's embeddings: float16 or float32 [rows, dim]; nothing is read yet.

    Raises:
        DataError: Not an array of that kind.
    """
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged head can raise nearly anything
        raise DataError(f"{path} is not a NumPy array ({error}); make it again.") from error
    if rows.ndim != 2 or rows.dtype not in (np.float16, np.float32):
        raise DataError(f"{path}: expected float16 or float32 [images, dim], found {rows.dtype} {rows.shape}.")
    return rows  # type: ignore[no-any-return]


def read_column(path: Path, column: str) -> list[Any]:
    """One column of a shard's metadata.

    Raises:
        DataError: The file cannot be read or has no such column.
    """
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=[column], partitioning=None).column(column).to_pylist()  # type: ignore[no-any-return]
    except (OSError, ValueError, KeyError) as error:  # pyarrow's errors are children of these
        raise DataError(f"{path}: cannot read the column {column!r}: {error}.") from error


def write_description(
    folder: Path, *, images: Path, encoder: str, card: ModelCard, dim: int, skipped: int, shards: int
) -> None:
    """Write what the shards do not say: whose images, which encoder, and how many shards are finished."""
    write_json(
        folder / DESCRIPTION,
        {
            "images": str(images),
            "encoder": encoder,
            "dim": dim,
            "skipped": skipped,
            "shards": shards,
            "model": asdict(card),
        },
    )


def open_index(folder: Path) -> Index:
    """Open what `build_index` wrote.

    Args:
        folder: The stage's folder.

    Returns:
        The index; `images.ids[row]` is the image of embedding `row`, unreadable images are not among them.

    Raises:
        DataError: Something is missing or damaged.
    """
    opened = open_description(folder)
    ids = [image_id for _, metadata in find_shards(folder) for image_id in read_column(metadata, IMAGE)]
    return replace(
        opened,
        counts={"images": len(ids), **opened.counts},
        images=Images(folder=opened.images.folder, ids=tuple(ids)),
    )


def open_description(folder: Path) -> Index:
    """Open an index without the ids of its images, which may be more than memory holds; it can be searched.

    Raises:
        DataError: Something is missing or damaged.
    """
    try:
        facts = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        images, encoder, dim = Path(facts["images"]), str(facts["encoder"]), int(facts["dim"])
        card, skipped = ModelCard(**facts["model"]), int(facts["skipped"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise DataError(f"{folder} is not a finished index ({error}). Run the index stage again.") from error
    return Index(
        folder=folder,
        counts={"skipped": skipped},
        models=(card,),
        images=Images(folder=images, ids=()),
        encoder=encoder,
        dim=dim,
    )


def open_embeddings(folder: Path, images: Images, *, encoder: str) -> Index:
    """Use embeddings that clip-retrieval made, as they are.

    Rows need not have unit length: search divides by it. A row's `image_path` may be an id, a path below
    `images.folder`, a path from elsewhere that ends in an id, or, of tar shards, an image's key (its name in the tar
    up to the first dot), which is what clip-retrieval writes of them.

    Args:
        folder: Holds `img_emb/` and `metadata/`.
        images: The folder that the images lie in now.
        encoder: Source of the CLIP that made the embeddings; its text encoder will be used.

    Returns:
        The index; `images.ids[row]` is the image of embedding `row`.

    Raises:
        DataError: Shards do not fit each other, or rows belong to none of `images`.
    """
    # paths of all rows, from shards that fit each other
    paths: list[str] = []
    dims = set()
    for rows, metadata in find_shards(folder):
        column = read_column(metadata, IMAGE)
        wrong = next((row for row, path in enumerate(column) if not is_text(path)), None)
        if wrong is not None:
            raise refused(metadata, f"row {wrong}", TEXT.words, column[wrong], field=IMAGE)
        array = open_rows(rows)
        if len(array) != len(column):
            raise DataError(f"{rows} has {len(array)} rows, {metadata} has {len(column)}; they must be of one run.")
        _check_finite(array, rows)
        dims.add(array.shape[1])
        paths.extend(column)
    if len(dims) != 1:
        raise DataError(f"{folder}: embeddings of {sorted(dims)} dimensions; one index holds those of one encoder.")
    # the image of each row: by its path, else by its key in a tar
    matched = match_paths(paths, images.ids, once=False)
    keys = _members_by_key(images.ids) if matched.unknown else {}
    found = matched.found | {path: keys[path] for path in matched.unknown if keys.get(path)}
    ids = [found.get(path, "") for path in paths]
    unknown = ids.count("")
    if unknown:
        raise DataError(
            f"{folder}: {unknown} of {len(ids)} rows name an image that is not in {images.folder}, or several there: "
            f"{matched.examples()}. Give the folder that was embedded."
        )
    without = len(images) - len(set(ids))
    if without:
        note(f"{folder}: {without} of {len(images)} images have no embedding and are not in the index.")
    return Index(
        folder=folder,
        counts={"images": len(ids), "skipped": 0},
        models=(ModelCard(name=encoder, source=encoder),),
        images=Images(folder=images.folder, ids=tuple(ids)),
        encoder=encoder,
        dim=dims.pop(),
    )


def read_embeddings(index: Index, rows: Sequence[int] | Int[ndarray, " rows"]) -> Float[ndarray, "rows dim"]:
    """Embeddings of some rows, in the order given, as float32 of unit length.

    Raises:
        DataError: A shard is damaged.
        IndexError: A row is not there.
    """
    wanted = np.asarray(rows, dtype=np.int64)
    if wanted.size and (wanted.min() < 0 or wanted.max() >= len(index.images)):
        raise IndexError(f"expected rows 0 to {len(index.images) - 1}, found {wanted.min()} to {wanted.max()}.")
    found = np.zeros((len(wanted), max(0, index.dim)), dtype=np.float32)
    first = 0
    for path, _ in find_shards(index.folder):
        shard = open_rows(path)
        if shard.shape[1] != index.dim:
            raise DataError(f"{path} holds vectors of {shard.shape[1]} dimensions, the index of {index.dim}.")
        # places in `wanted` of the rows that lie in this shard
        here = np.flatnonzero((wanted >= first) & (wanted < first + len(shard)))
        found[here] = shard[wanted[here] - first]
        first += len(shard)
    if first != len(index.images):
        raise DataError(f"{index.folder} holds {first} embeddings of {len(index.images)} images; make it again.")
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(length, 1e-12))  # a zero row stays zero


def image_sizes(index: Index) -> Int[ndarray, "rows 2"]:
    """Height and width in original pixels of every image of the index, in row order.

    Raises:
        ConfigError: The metadata has no sizes (embeddings made elsewhere).
    """
    try:
        columns = [
            [size for _, metadata in find_shards(index.folder) for size in read_column(metadata, axis)]
            for axis in ("height", "width")
        ]
    except DataError as error:
        raise ConfigError(
            f"{error} The size of an image is known for indexes built here only; drop the option "
            "that asks for it, or build the index here."
        ) from error
    return np.asarray(columns, dtype=np.int64).reshape(2, -1).T  # [2, rows] -> [rows, 2]


def sizes_of(metadata: Path) -> dict[str, list[int]]:
    """Widths and heights of the images of a shard; none where its metadata do not have them."""
    try:
        return {axis: read_column(metadata, axis) for axis in SIZES}
    except DataError:
        return {}


def link(file: Path, place: Path) -> None:
    """Link a file to another place, or copy it where links cannot be."""
    try:
        os.link(file.resolve(), place)
    except OSError:
        shutil.copyfile(file, place)


def _numbered(folder: Path, suffix: str, below: float) -> dict[int, Path]:
    found = {path: re.fullmatch(rf"{folder.name}_(\d+)\.{suffix}", path.name) for path in folder.glob(f"*.{suffix}")}
    return {int(match[1]): path for path, match in found.items() if match and int(match[1]) < below}


def _check_finite(rows: Float[ndarray, "rows dim"], path: Path) -> None:
    """Refuse vectors that hold no numbers: nothing can be near them."""
    for start in range(0, len(rows), BLOCK):
        wrong = np.flatnonzero(~np.isfinite(rows[start : start + BLOCK]).all(axis=1))
        if len(wrong):
            raise DataError(f"{path}: row {start + wrong[0]}: expected finite numbers, found others. Embed it again.")


def _members_by_key(ids: Sequence[str]) -> dict[str, str]:
    """Images in tars by their key in webdataset's sense; "" where several have the same."""
    keys: dict[str, str] = {}
    for image_id in ids:
        _, tar, member = image_id.partition(".tar/")
        if tar:
            folder, slash, name = member.rpartition("/")
            key = folder + slash + name.partition(".")[0]
            keys[key] = "" if key in keys else image_id
    return keys
