"""Images and a CLIP in, an index on disk out, shard by shard. It knows no names: what is in the images stays unasked.

Reading, encoding and writing overlap: threads decode and shrink ahead, the encoder embeds, one thread writes.
"""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from namesake.encoders import Clip, load_clip
from namesake.errors import ConfigError, DataError, ImagesError, WeightsError
from namesake.images import read_image, work_ahead
from namesake.index.layout import IMAGE, Shard, open_index, open_rows, shard_paths, write_description
from namesake.progress import Meter
from namesake.records import Images, Index
from namesake.shapes import ImageArray
from namesake.workspace import stage, write_atomically

SKIPPED = "skipped.jsonl"
SKIPPED_KEY = b"namesake.skipped"
"""Where a shard's metadata keeps its unreadable images and their reasons."""
SHOWN = 3


class _Read(NamedTuple):
    height: int
    width: int
    bytes: int
    shaped: ImageArray


@dataclass
class _Rows:
    """What one shard holds so far."""

    number: int
    ids: tuple[str, ...]
    embeddings: Float[ndarray, "images dim"]
    metadata: dict[str, list[str | int]] = field(
        default_factory=lambda: {IMAGE: [], "width": [], "height": [], "bytes": []}
    )
    skipped: list[tuple[str, str]] = field(default_factory=list)
    pending: list[ImageArray] = field(default_factory=list)


@stage("index", opens=open_index)
def build_index(
    images: Images,
    *,
    encoder: str,
    out: Path,
    batch_size: int = 32,
    shard_size: int = 10_000,
    device: str = "auto",
) -> Index:
    """Embed every image with CLIP's image encoder.

    The retrieval embeddings of ReCo, NamedMask and ZUTIS (NamedMask, section 3, "dynamic archive construction"): unit
    length, stored as float16.

    Args:
        images: The unlabelled images.
        encoder: Source of the CLIP.
        out: The stage's folder; finished shards in it are kept.
        batch_size: Images an encoder step; a batch never spans two shards.
        shard_size: Ids a shard.
        device: "auto", "cpu" or "cuda".

    Returns:
        The index, with counts `images` and `skipped`; `skipped.jsonl` lists id and reason of unreadable images.

    Raises:
        ImagesError: Not one image can be read.
        WeightsError: The encoder cannot be loaded, or gives something else than numbers.
        ConfigError: A size below 1, or the device is not there.
    """
    return write_index(
        images,
        load_clip(encoder, device=device),
        encoder=encoder,
        out=out,
        batch_size=batch_size,
        shard_size=shard_size,
    )


def write_index(
    images: Images, clip: Clip, *, encoder: str, out: Path, batch_size: int = 32, shard_size: int = 10_000
) -> Index:
    """`build_index` with a CLIP that is loaded already; `encoder` is the source to load it from again."""
    if batch_size < 1 or shard_size < 1:
        raise ConfigError(f"expected batch_size and shard_size of 1 or more, found {batch_size} and {shard_size}.")
    slices = [images.ids[first : first + shard_size] for first in range(0, len(images), shard_size)]
    if not slices:
        raise ImagesError(f"expected images in {images.folder}, found none.")
    paths = [shard_paths(out, number, shards=len(slices)) for number in range(len(slices))]
    for folder in {path.parent for path in paths[0]}:
        folder.mkdir(parents=True, exist_ok=True)
    missing = [number for number, ids in enumerate(slices) if not _is_done(paths[number], ids)]
    done = len(images) - sum(len(slices[number]) for number in missing)
    with Meter("embedding images", total=len(images), done=done) as meter, ThreadPoolExecutor(1) as writer:
        writing: Future[None] | None = None
        for rows in _embed(images, clip, [(number, slices[number]) for number in missing], batch_size, meter):
            if writing is not None:
                writing.result()  # at most one finished shard waits in memory
            writing = writer.submit(_write_shard, paths[rows.number], rows)
        if writing is not None:
            writing.result()
    skipped = _write_skipped(out, paths)
    if skipped == len(images):
        raise ImagesError(_none_readable(images, out))
    write_description(out, images=images.folder, encoder=encoder, card=clip.card, dim=clip.dim, skipped=skipped)
    return open_index(out)


def _embed(
    images: Images, clip: Clip, shards: list[tuple[int, tuple[str, ...]]], batch_size: int, meter: Meter
) -> Iterator[_Rows]:
    """Embed the missing shards one after the other; reading goes on across their borders."""

    def read(image_id: str) -> _Read:
        image = read_image(images.path(image_id))
        shaped = clip.preprocessing.shape(image)  # here, so that large images shrink before they wait
        return _Read(image.shape[0], image.shape[1], images.path(image_id).stat().st_size, shaped)

    results = work_ahead(read, (image_id for _, ids in shards for image_id in ids), ahead=2 * batch_size)
    for number, ids in shards:
        rows = _Rows(number, ids, np.empty((len(ids), clip.dim), dtype=np.float16))
        for _ in ids:
            image_id, result = next(results)
            if isinstance(result, ImagesError):
                rows.skipped.append((image_id, str(result)))
            else:
                _take(rows, image_id, result)
            if len(rows.pending) == batch_size:
                _encode(rows, clip)
            meter.advance()
        _encode(rows, clip)
        yield rows


def _take(rows: _Rows, image_id: str, result: _Read) -> None:
    rows.pending.append(result.shaped)
    for column, value in (
        (IMAGE, image_id),
        ("width", result.width),
        ("height", result.height),
        ("bytes", result.bytes),
    ):
        rows.metadata[column].append(value)


def _encode(rows: _Rows, clip: Clip) -> None:
    if not rows.pending:
        return
    embeddings = clip.embed_images(rows.pending)
    if not np.isfinite(embeddings).all():
        raise WeightsError(
            f"{clip.card.source} gave embeddings that are no numbers. Try --device cpu; if that helps, "
            "the device's arithmetic is at fault, else the weights are damaged."
        )
    last = len(rows.metadata[IMAGE])
    rows.embeddings[last - len(rows.pending) : last] = embeddings
    rows.pending.clear()


def _write_shard(paths: Shard, rows: _Rows) -> None:
    """Write the embeddings, then the metadata, each atomically: with both, the shard is done."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with write_atomically(paths[0]) as unfinished, unfinished.open("wb") as file:
        np.save(file, rows.embeddings[: len(rows.metadata[IMAGE])], allow_pickle=False)
    schema = pa.schema(
        [(IMAGE, pa.string()), ("width", pa.int32()), ("height", pa.int32()), ("bytes", pa.int64())],
        metadata={SKIPPED_KEY: json.dumps(rows.skipped).encode()},
    )
    with write_atomically(paths[1]) as unfinished:
        pq.write_table(pa.table(rows.metadata, schema=schema), unfinished)


def _is_done(paths: Shard, ids: tuple[str, ...]) -> bool:
    """Whether both files of a shard are there and of exactly these ids."""
    import pyarrow.parquet as pq

    if not all(path.is_file() for path in paths):
        return False
    try:
        table = pq.read_table(paths[1], columns=[IMAGE], partitioning=None)
        found = table.column(IMAGE).to_pylist()
        skipped = [image_id for image_id, _ in json.loads(table.schema.metadata[SKIPPED_KEY])]
        return len(open_rows(paths[0])) == len(found) and sorted(found + skipped) == sorted(ids)
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return False  # damaged from outside: made again


def _write_skipped(out: Path, paths: Iterable[Shard]) -> int:
    """Gather the unreadable images of all shards in `skipped.jsonl`; returns how many there are."""
    import pyarrow.parquet as pq

    count = 0
    with write_atomically(out / SKIPPED) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        for _, metadata in paths:
            for image_id, reason in json.loads(pq.read_schema(metadata).metadata[SKIPPED_KEY]):
                file.write(json.dumps({"id": image_id, "reason": reason}, ensure_ascii=False) + "\n")
                count += 1
    return count


def _none_readable(images: Images, out: Path) -> str:
    with (out / SKIPPED).open(encoding="utf-8") as lines:
        reasons = [json.loads(line)["reason"] for line, _ in zip(lines, range(SHOWN), strict=False)]
    return (
        f"not one of the {len(images)} images in {images.folder} can be read. {' '.join(reasons)} "
        f"All reasons: {out / SKIPPED}."
    )
