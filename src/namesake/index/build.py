"""Embed images with CLIP and write the index, shard by shard.

Reading, encoding and writing overlap: threads decode and shrink ahead, the encoder embeds, one thread writes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from namesake.encoders import Clip, Precision, load_clip
from namesake.engines import Part, Work, spread
from namesake.errors import ConfigError, DataError, ImagesError, WeightsError
from namesake.images import read_image, work_ahead
from namesake.images.decode import read_content
from namesake.images.identity import identify
from namesake.index.layout import (
    DESCRIPTION,
    IMAGE,
    Shard,
    find_shards,
    open_index,
    open_rows,
    read_column,
    shard_paths,
    write_description,
)
from namesake.progress import Meter
from namesake.records import Images, Index
from namesake.shapes import ImageArray
from namesake.workspace import stage, write_array, write_bytes, write_parquet

SKIPPED = "skipped.jsonl"
SKIPPED_KEY = b"namesake.skipped"
"""Where a shard's metadata keeps its unreadable images and their reasons."""
DIGESTS_KEY = b"namesake.digests"
"""Where it keeps the digest of every image's bytes, readable or not."""
SHOWN = 3


@dataclass
class _Rows:
    """What one shard holds so far; a record is a row of its metadata."""

    number: int
    ids: tuple[str, ...]
    embeddings: Float[ndarray, "images dim"]
    records: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    pending: list[ImageArray] = field(default_factory=list)


@stage("index", opens=open_index, grows=True, models=lambda encoder: (encoder,), shared=True)
def build_index(
    out: Path,
    images: Images,
    *,
    encoder: str,
    batch_size: int = 32,
    shard_size: int = 10_000,
    device: str = "auto",
    precision: Precision = "no",
    engine: str = "local",
) -> Index:
    """Embed every image with CLIP's image encoder.

    The retrieval embeddings of ReCo, NamedMask and ZUTIS (NamedMask, section 3, "dynamic archive construction"): unit
    length, stored as float16.

    Args:
        out: The stage's folder; finished shards in it are kept. Where a finished index lies in it, rows of images that
            changed are made again in their shards, those of images that are gone go, and further shards hold what is
            new.
        images: The unlabelled images.
        encoder: Source of the CLIP.
        batch_size: Images an encoder step; a batch never spans two shards.
        shard_size: Ids a shard.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, "bf16", "fp16", or "int8" on the CPU; see `encoders.Precision`.
        engine: "local", "ray" or "ray:N"; see `engines.spread`.

    Returns:
        The index, with counts `images` and `skipped`; `skipped.jsonl` lists id and reason of unreadable images.

    Raises:
        ImagesError: Not one image can be read.
        WeightsError: The encoder cannot be loaded, or gives something else than numbers.
        ConfigError: A size below 1, or the device is not there.
    """
    if engine != "local":
        plan = _plan(images, out, batch_size, shard_size)
        digests = _digests(images)
        missing = [(number, ids) for number, ids, paths in plan if _todo(number, ids, paths, digests)]
        # planned and compared once: while shards are written, a worker would find another plan
        known = {image_id: digests[image_id] for _, ids in missing for image_id in ids}
        arguments: dict[str, Any] = {"images": images, "encoder": encoder, "batch_size": batch_size}
        arguments |= {"plan": {number: plan[number] for number, _ in missing}, "digests": known}
        arguments |= {"device": device, "precision": precision}
        spread(engine, _open_worker, arguments, missing, what="embedding images", total=len(images))
    return write_index(
        images,
        load_clip(encoder, device=device, precision=precision),
        encoder=encoder,
        out=out,
        batch_size=batch_size,
        shard_size=shard_size,
    )


def write_index(
    images: Images, clip: Clip, *, encoder: str, out: Path, batch_size: int = 32, shard_size: int = 10_000
) -> Index:
    """`build_index` with a CLIP that is loaded already; `encoder` is the source to load it from again."""
    plan, digests = _plan(images, out, batch_size, shard_size), _digests(images)
    paths = [paths for _, _, paths in plan]
    for left_over in {*out.glob("img_emb/*.npy"), *out.glob("metadata/*.parquet")} - {
        each for two in paths for each in two
    }:
        left_over.unlink()  # of an index of more images, begun here
    # embed what is missing, while the shard before is written
    todo = [part for shard in plan if (part := _todo(*shard, digests))]
    done = len(images) - sum(len(ids) for _, ids in todo)
    with Meter("embedding images", total=len(images), done=done) as meter, ThreadPoolExecutor(1) as writer:
        writing: Future[None] | None = None
        for rows in _embed(images, clip, todo, batch_size, meter):
            if writing is not None:
                writing.result()  # at most one finished shard waits in memory
            writing = writer.submit(_write_shard, plan[rows.number], rows, digests)
        if writing is not None:
            writing.result()
    skipped = _write_skipped(out, paths)
    if len(skipped) == len(images):
        reasons = " ".join(reason for _, reason in skipped[:SHOWN])
        raise ImagesError(
            f"not one of the {len(images)} images in {images.folder} can be read. {reasons} "
            f"All reasons: {out / SKIPPED}."
        )
    write_description(
        out,
        images=images.folder,
        encoder=encoder,
        card=clip.card,
        dim=clip.dim,
        skipped=len(skipped),
        shards=len(plan),
    )
    return open_index(out)


Plan = tuple[int, tuple[str, ...], Shard]
"""Number, ids and files of a shard."""


def _plan(images: Images, out: Path, batch_size: int, shard_size: int) -> list[Plan]:
    """The shards: first those of an index that was finished here, less what is gone, then what is new."""
    if batch_size < 1 or shard_size < 1:
        raise ConfigError(f"expected batch_size and shard_size of 1 or more, found {batch_size} and {shard_size}.")
    there = frozenset(images.ids)
    kept = [(tuple(each for each in ids if each in there), paths) for ids, paths in _finished(out)]
    known = {image_id for ids, _ in kept for image_id in ids}
    new = [image_id for image_id in images.ids if image_id not in known]
    slices = [tuple(new[first : first + shard_size]) for first in range(0, len(new), shard_size)]
    if not known and not slices:
        raise ImagesError(f"expected images in {images.folder}, found none.")
    count = len(kept) + len(slices)
    further = [(ids, shard_paths(out, number, shards=count)) for number, ids in enumerate(slices, start=len(kept))]
    return [(number, ids, paths) for number, (ids, paths) in enumerate(kept + further)]


def _digests(images: Images) -> dict[str, str]:
    return {image_id: known.digest for image_id, known in identify(images).items()}


def _todo(number: int, ids: tuple[str, ...], paths: Shard, digests: Mapping[str, str]) -> Part | None:
    """Number of a shard, and those of its ids whose rows are not there yet or were made of other bytes.

    None where it is done: both files are there, of exactly these ids and the bytes that the images hold now.
    """
    wanted, before = {each: digests[each] for each in ids}, dict[str, str]()
    # what is not there, or was damaged from outside, is made again
    with suppress(OSError, ValueError, KeyError, TypeError, DataError):
        if len(open_rows(paths[0])) == len(read_column(paths[1], IMAGE)):
            before = _digests_of(paths[1])
            if before == wanted and sorted(_ids_of(paths[1])) == sorted(ids):
                return None
    return number, tuple(each for each in ids if before.get(each) != wanted[each])


def _finished(out: Path) -> list[tuple[tuple[str, ...], Shard]]:
    """Ids and files of the shards of an index that was finished in `out`."""
    try:
        count = int(json.loads((out / DESCRIPTION).read_text(encoding="utf-8"))["shards"])
        return [(_ids_of(paths[1]), paths) for paths in find_shards(out, below=count)]
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return []  # not there, or damaged from outside: made again


def _open_worker(
    *,
    images: Images,
    encoder: str,
    batch_size: int,
    plan: Mapping[int, Plan],
    digests: Mapping[str, str],
    device: str,
    precision: Precision,
) -> Work:
    """What embeds one shard after another, with the encoder in memory."""
    clip = load_clip(encoder, device=device, precision=precision)

    def work(part: Part, meter: Meter) -> None:
        todo = _todo(*plan[part[0]], digests)
        for rows in _embed(images, clip, [todo] if todo else [], batch_size, meter):
            _write_shard(plan[rows.number], rows, digests)

    return work


def _embed(
    images: Images, clip: Clip, shards: list[tuple[int, tuple[str, ...]]], batch_size: int, meter: Meter
) -> Iterator[_Rows]:
    """Embed the missing shards one after the other; reading goes on across their borders."""

    def read(image_id: str) -> tuple[dict[str, Any], ImageArray]:
        path = images.path(image_id)
        content = read_content(path)
        image = read_image(content, name=path.name)
        shaped = clip.preprocessing.shape(image)  # here, so that large images shrink before they wait
        record = {IMAGE: image_id, "width": image.shape[1], "height": image.shape[0], "bytes": len(content)}
        return record, shaped

    results = work_ahead(read, (image_id for _, ids in shards for image_id in ids), ahead=2 * batch_size)
    for number, ids in shards:
        rows = _Rows(number, ids, np.empty((len(ids), clip.dim), dtype=np.float16))
        for _ in ids:
            image_id, result = next(results)
            if isinstance(result, ImagesError):
                rows.skipped.append((image_id, str(result)))
            else:
                record, shaped = result
                rows.records.append(record)
                rows.pending.append(shaped)
            if len(rows.pending) == batch_size:
                _encode(rows, clip)
            meter.advance()
        _encode(rows, clip)
        yield rows


def _encode(rows: _Rows, clip: Clip) -> None:
    if not rows.pending:
        return
    embeddings = clip.embed_images(rows.pending)
    if not np.isfinite(embeddings).all():
        raise WeightsError(
            f"{clip.card.source} gave embeddings that are no numbers. Try --device cpu; if that helps, "
            "the device's arithmetic is at fault, else the weights are damaged."
        )
    last = len(rows.records)
    rows.embeddings[last - len(rows.pending) : last] = embeddings
    rows.pending.clear()


def _write_shard(plan: Plan, rows: _Rows, digests: Mapping[str, str]) -> None:
    """Write the embeddings, then the metadata, each atomically: with both, the shard is done.

    Ids of the shard that are not among those of `rows` keep the rows that lie there.
    """
    import pyarrow as pa

    _, ids, paths = plan
    embeddings, records, skipped = rows.embeddings[: len(rows.records)], rows.records, rows.skipped
    if len(rows.ids) < len(ids):
        embeddings, records, skipped = _merge(paths, ids, rows)
        paths[1].unlink(missing_ok=True)  # while the two do not belong together, the shard is not done
    write_array(paths[0], embeddings)
    facts = {SKIPPED_KEY: json.dumps(skipped).encode()}
    facts[DIGESTS_KEY] = json.dumps({image_id: digests[image_id] for image_id in ids}).encode()
    schema = pa.schema(
        [(IMAGE, pa.string()), ("width", pa.int32()), ("height", pa.int32()), ("bytes", pa.int64())], metadata=facts
    )
    write_parquet(paths[1], pa.Table.from_pylist(records, schema=schema))


def _merge(
    paths: Shard, ids: tuple[str, ...], rows: _Rows
) -> tuple[Float[ndarray, "images dim"], list[dict[str, Any]], list[tuple[str, str]]]:
    """New rows and those of a shard that stay, in the order of `ids`."""
    import pyarrow.parquet as pq

    kept = frozenset(ids) - frozenset(rows.ids)
    table, old = pq.read_table(paths[1], partitioning=None), open_rows(paths[0])
    # by id: rows and reasons that stay, then the new ones
    found = {each[IMAGE]: (row, each) for row, each in zip(old, table.to_pylist(), strict=True) if each[IMAGE] in kept}
    found |= {each[IMAGE]: (row, each) for row, each in zip(rows.embeddings, rows.records, strict=False)}
    reasons = {each: why for each, why in json.loads(table.schema.metadata[SKIPPED_KEY]) if each in kept}
    reasons |= dict(rows.skipped)
    order = [found[each] for each in ids if each in found]
    embeddings = np.empty((len(order), rows.embeddings.shape[1]), dtype=np.float16)
    for place, (row, _) in enumerate(order):
        embeddings[place] = row
    return embeddings, [record for _, record in order], [(each, reasons[each]) for each in ids if each in reasons]


def _digests_of(metadata: Path) -> dict[str, str]:
    """Digest of the bytes of each image that a shard covers; none in shards of earlier versions."""
    import pyarrow.parquet as pq

    found = (pq.read_schema(metadata).metadata or {}).get(DIGESTS_KEY, b"{}")
    return dict(json.loads(found))


def _ids_of(metadata: Path) -> tuple[str, ...]:
    """All ids that a shard covers, readable or not."""
    import pyarrow.parquet as pq

    table = pq.read_table(metadata, columns=[IMAGE], partitioning=None)
    skipped = [image_id for image_id, _ in json.loads(table.schema.metadata[SKIPPED_KEY])]
    return (*table.column(IMAGE).to_pylist(), *skipped)


def _write_skipped(out: Path, paths: Iterable[Shard]) -> list[tuple[str, str]]:
    """Gather the unreadable images of all shards in `skipped.jsonl`; they and the reasons."""
    import pyarrow.parquet as pq

    listed = [json.loads(pq.read_schema(metadata).metadata[SKIPPED_KEY]) for _, metadata in paths]
    skipped = [(image_id, reason) for some in listed for image_id, reason in some]
    lines = (json.dumps({"id": each, "reason": reason}, ensure_ascii=False) + "\n" for each, reason in skipped)
    write_bytes(out / SKIPPED, "".join(lines))
    return skipped
