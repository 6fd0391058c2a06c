"""Write pseudo-masks as parquet shards, resumably, and read them as a stream or by image id.

A shard covers a fixed stretch of the list of image ids, appears on disk whole or not at all, and also carries the
images of its stretch that have no mask, with the reason. So work that was killed goes on at the first missing shard.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate, chain, count
from pathlib import Path
from types import TracebackType
from typing import Any

from namesake.engines import Part, Work, spread
from namesake.errors import DataError
from namesake.masks import rle
from namesake.progress import Meter
from namesake.records import PseudoMask, PseudoMasks
from namesake.workspace import read_facts, write_json, write_parquet

SHARD = "masks-{:05d}.parquet"
SKIPPED = "skipped.json"
WITHOUT = "unreadable, or without a mask before"
"""Why an image has no mask, where masks are drawn anew."""
SHARD_SIZE = 1000
"""Images a shard of masks, unless a stage says otherwise."""
ROWS_TOGETHER = 64  # rows of a row group: what a random look-up reads


class MaskWriter:
    """Writes masks in the order of a list of image ids, `shard_size` ids to a shard.

    Use as a context; leaving it with an error drops the unfinished shard, leaving it without one writes the last.

    Args:
        out: Folder of the shards.
        shard_size: Image ids a shard covers, with or without a mask; SHARD_SIZE if None.
        only: Write the shard of this number and leave all others alone; any shard may be the next one if None.
    """

    def __init__(self, out: Path, shard_size: int | None = None, *, only: int | None = None) -> None:
        self.out, self.shard_size, self._only = out, shard_size or SHARD_SIZE, only
        self._shard, self._images = only or 0, 0
        self._rows: list[PseudoMask] = []
        self._skipped: list[tuple[str, str]] = []

    def __enter__(self) -> "MaskWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            if self._rows or self._skipped:
                self._flush()
            if self._only is None:
                _finish(self.out, self._shard)

    def resume(self, ids: Sequence[str]) -> Sequence[str]:
        """Keep the shards that an earlier, killed run finished for the same ids; the ids that are still to be done."""
        self._shard = 0
        while _covers(self.out / SHARD.format(self._shard), ids, self._shard, self.shard_size):
            self._shard += 1
        for path in _shards(self.out)[self._shard :]:
            path.unlink()
        return ids[self._shard * self.shard_size :]

    def write(self, mask: PseudoMask) -> None:
        """Add the mask of the next image."""
        self.write_several([mask])

    def write_several(self, masks: Sequence[PseudoMask]) -> None:
        """Add the masks of the next image, one or more."""
        self._rows += masks
        self._count_image()

    def skip(self, image_id: str, reason: str) -> None:
        """Say that the next image has no mask, and why."""
        self._skipped.append((image_id, reason))
        self._count_image()

    def _count_image(self) -> None:
        self._images += 1
        if self._images == self.shard_size:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        metadata = {"skipped": json.dumps(self._skipped, ensure_ascii=False)}
        table = pa.table(
            {
                "image_id": pa.array([row.image_id for row in self._rows], pa.string()),
                "label": pa.array([row.label for row in self._rows], pa.int32()),
                "score": pa.array([row.score for row in self._rows], pa.float32()),
                "height": pa.array([row.height for row in self._rows], pa.int32()),
                "width": pa.array([row.width for row in self._rows], pa.int32()),
                "counts": pa.array([row.rle for row in self._rows], pa.binary()),
            }
        ).replace_schema_metadata(metadata)
        path = self.out / SHARD.format(self._shard)
        write_parquet(path, table, row_group_size=ROWS_TOGETHER, compression="zstd")
        self._shard += 1
        self._images, self._rows, self._skipped = 0, [], []


Outcome = Sequence[PseudoMask] | str
"""The masks of an image, or why it has none."""
Draw = Callable[[Sequence[str]], Iterable[tuple[str, tuple[Outcome, ...]]]]
"""Draws the masks of some images: each id in order, with an outcome for each folder that is written."""


def draw_masks(
    folders: Sequence[Path],
    ids: Sequence[str],
    open_drawer: Callable[..., Draw],
    arguments: Mapping[str, Any],
    *,
    what: str,
    shard_size: int | None = None,
    engine: str = "local",
) -> None:
    """Write the masks of images, shard by shard; the shards that a killed run finished are kept.

    Args:
        folders: Folders that masks are written to: one folder for each kind of them.
        ids: The images, in the order of the shards.
        open_drawer: Loads the models; called with `arguments` once a process. A function of a module, not a lambda.
        arguments: Records and settings by keyword, `device` among them.
        what: Words for the progress bar.
        shard_size: Images a shard; SHARD_SIZE if None.
        engine: "local", "ray" or "ray:N"; see `engines.spread`.

    Raises:
        NamesakeError: The error of drawing.
    """
    shard_size = shard_size or SHARD_SIZE
    stretches = [tuple(ids[first : first + shard_size]) for first in range(0, len(ids), shard_size)]
    missing = [
        part for part in enumerate(stretches) if not all(_there(folder, part[0], ids, shard_size) for folder in folders)
    ]
    whole = {"folders": folders, "open_drawer": open_drawer, "arguments": arguments, "shard_size": shard_size}
    spread(engine, _open_worker, whole | {"device": arguments["device"]}, missing, what=what, total=len(ids))
    for folder in folders:
        _finish(folder, len(stretches))


def _open_worker(
    *,
    folders: Sequence[Path],
    open_drawer: Callable[..., Draw],
    arguments: Mapping[str, Any],
    shard_size: int,
    device: str,  # noqa: ARG001 - the engine wants it by name
) -> Work:
    """Load the models, and return what writes the shards of some images, one in each folder."""
    draw = open_drawer(**arguments)

    def work(part: Part, meter: Meter) -> None:
        with ExitStack() as stack:
            writers = [stack.enter_context(MaskWriter(folder, shard_size, only=part[0])) for folder in folders]
            for image_id, outcomes in draw(part[1]):
                for writer, outcome in zip(writers, outcomes, strict=True):
                    if isinstance(outcome, str):
                        writer.skip(image_id, outcome)
                    else:
                        writer.write_several(outcome)
                meter.advance()

    return work


def _finish(out: Path, shards: int) -> None:
    """Delete what lies behind the last shard, and list the images without a mask."""
    for left_over in _shards(out)[shards:]:
        left_over.unlink()
    skipped = read_skipped(out)
    if skipped:
        write_json(out / SKIPPED, [{"image_id": image_id, "reason": reason} for image_id, reason in skipped])


def open_masks(folder: Path) -> PseudoMasks:
    """The pseudo-masks that lie in a folder, with the counts and models of its manifest.

    Raises:
        DataError: There are no masks in it.
    """
    if not _shards(folder):
        raise DataError(f"{folder} holds no masks: expected {SHARD.format(0)} in it. Run the mask stage first.")
    counts, models = read_facts(folder)
    return PseudoMasks(folder=folder, counts=counts or count_masks(folder), models=models)


def count_masks(folder: Path) -> dict[str, int]:
    """How many `masks` a folder holds, how many of them are `empty`, and how many images were `skipped`."""
    masks = empty = 0
    for path in _shards(folder):
        for row in _stream(path):
            masks += 1
            empty += rle.area(row.rle) == 0
    return {"masks": masks, "empty": empty, "skipped": len(read_skipped(folder))}


def read_skipped(folder: Path) -> list[tuple[str, str]]:
    """Images without a mask, with the reason."""
    return [skipped for path in _shards(folder) for skipped in _skipped_of(path)]


def read_masks(masks: PseudoMasks) -> Iterator[PseudoMask]:
    """All masks in the order in which they were written, a few rows in memory at a time.

    Raises:
        DataError: A shard is damaged.
    """
    for path in _shards(masks.folder):
        yield from _stream(path)


def lookup(masks: PseudoMasks, ids: Sequence[str]) -> list[PseudoMask]:
    """The masks of some images, in the order asked for; for many single questions keep a `MaskLookup` instead.

    Raises:
        DataError: An image has no mask, or a shard is damaged.
    """
    table = MaskLookup(masks)
    return [table[image_id] for image_id in ids]


class MaskLookup:
    """Masks by image id, in any order; holds the ids in memory and reads one small stretch of a shard a question.

    Copies of it may be used in other threads and processes.

    Args:
        masks: The masks to look in.

    Raises:
        DataError: There are none, or a shard is damaged.
    """

    def __init__(self, masks: PseudoMasks) -> None:
        self._paths = _shards(masks.folder)
        if not self._paths:
            raise DataError(f"{masks.folder} holds no masks. Run the mask stage first.")
        ids = [_ids_of(path) for path in self._paths]
        self._starts = list(accumulate(map(len, ids), initial=0))
        self._row: dict[str, int] = {}
        self._count: dict[str, int] = {}
        for row, image_id in enumerate(chain.from_iterable(ids)):
            self._row.setdefault(image_id, row)
            self._count[image_id] = self._count.get(image_id, 0) + 1

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._row

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __getitem__(self, image_id: str) -> PseudoMask:
        """The mask of an image, the first where there are several.

        Raises:
            DataError: It has none, or the shard is damaged.
        """
        return self._read(image_id, 1)[0]

    def several(self, image_id: str) -> list[PseudoMask]:
        """All masks of an image in the order in which they were written.

        Raises:
            DataError: It has none, or the shard is damaged.
        """
        return self._read(image_id, self._count.get(image_id, 0))

    def _read(self, image_id: str, wanted: int) -> list[PseudoMask]:
        if image_id not in self._row:
            raise DataError(f"{image_id!r} has no mask among the {len(self)} in {self._paths[0].parent}.")
        row = self._row[image_id]
        shard = bisect_right(self._starts, row) - 1
        # the row groups of the shard that hold the wanted rows
        first = row - self._starts[shard]
        groups = range(first // ROWS_TOGETHER, (first + wanted - 1) // ROWS_TOGETHER + 1)
        with _opened(self._paths[shard]) as file:
            rows = list(_records(file.read_row_groups(list(groups)).to_pydict()))
        start = first - groups.start * ROWS_TOGETHER
        return rows[start : start + wanted]


def _shards(folder: Path) -> list[Path]:
    """The shards from number 0 on, up to the first that is missing."""
    paths = (folder / SHARD.format(number) for number in count())
    found = []
    while (path := next(paths)).is_file():
        found.append(path)
    return found


def _covers(path: Path, ids: Sequence[str], shard: int, shard_size: int) -> bool:
    """Whether a shard is there and holds just its stretch of `ids`."""
    stretch = ids[shard * shard_size : (shard + 1) * shard_size]
    if not stretch or not path.is_file():
        return False
    found, skipped = list(dict.fromkeys(_ids_of(path))), {image_id for image_id, _ in _skipped_of(path)}
    return len(found) + len(skipped) == len(stretch) and found == [each for each in stretch if each not in skipped]


def _there(out: Path, number: int, ids: Sequence[str], shard_size: int) -> bool:
    try:
        return _covers(out / SHARD.format(number), ids, number, shard_size)
    except DataError:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An open shard; what goes wrong with it is a DataError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}). Delete {path.parent} and write the masks again.") from error


def _ids_of(path: Path) -> list[str]:
    with _opened(path) as file:
        ids: list[str] = file.read(columns=["image_id"])["image_id"].to_pylist()
    return ids


def _skipped_of(path: Path) -> list[tuple[str, str]]:
    with _opened(path) as file:
        metadata = file.schema_arrow.metadata or {}
    return [(image_id, reason) for image_id, reason in json.loads(metadata.get(b"skipped", b"[]"))]


def _stream(path: Path) -> Iterator[PseudoMask]:
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=ROWS_TOGETHER):
            yield from _records(batch.to_pydict())


def _records(columns: dict[str, list[Any]]) -> Iterator[PseudoMask]:
    fields = ("image_id", "label", "score", "height", "width", "counts")
    for row in zip(*(columns[name] for name in fields), strict=True):
        yield PseudoMask(*row)
