"""Exact search over an index: ours, a straightforward reference and the bare matrix product, over the same files.

    python benchmarks/search.py [--images 1281167 --dim 768 --names 919 --k 500]

ImageNet's training images and the names of ImageNet-S-919 by default, in one memory map of 2 GB. The reference, the
published code's way (all embeddings in one float32 array and one full argsort a name), gets an eighth of the images.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float
from numpy import ndarray

from claims import claim
from namesake.index import top_k
from namesake.index.layout import IMAGE, find_shards, open_rows, shard_paths
from namesake.records import Images, Index

Found = tuple[Float[ndarray, "names k"], ndarray]


class Run(NamedTuple):
    """What one search took, and what it found."""

    seconds: float
    cpu: float
    megabytes: float
    found: object


def main() -> None:
    """Make random embeddings, search them in three ways, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag, value in (("images", 1_281_167), ("dim", 768), ("names", 919), ("k", 500), ("shard-size", 2_000_000)):
        parser.add_argument(f"--{flag}", type=int, default=value)
    options = parser.parse_args()
    queries = unit(np.random.default_rng(1).standard_normal((options.names, options.dim), dtype=np.float32))
    for images, whole in ((options.images, True), (options.images // 8, False)):
        what = f"top {options.k} of {options.names} names over {images:,} x {options.dim} float16"
        with tempfile.TemporaryDirectory() as folder:
            index = write_random(Path(folder), images, options.dim, options.shard_size)
            ours = measure(lambda index=index: top_k(index, queries, options.k))
            against = bare_product if whole else argsort_per_name
            other = measure(lambda index=index, against=against: against(index, queries, options.k))
        if whole:
            report(what, ours, other)
        else:
            agree(ours.found, other.found)
            claim(what, f"{ours.cpu:.1f} CPU s", ratio=other.cpu / ours.cpu, to="times as fast as an argsort a name")


def report(what: str, ours: Run, bare: Run) -> None:
    """Time against the bare product, and memory."""
    floor = f"{bare.cpu:.1f} CPU s ({bare.seconds:.1f} s)"
    figure = f"{ours.cpu:.1f} CPU s ({ours.seconds:.1f} s)"
    ratio = ours.cpu / bare.cpu
    claim(what, figure, ratio=ratio, to="times the bare product", target=("at most", 1.25), floor=floor)
    ratio = ours.megabytes / 1000
    claim(f"{what}: resident", f"{ours.megabytes:.0f} MB", ratio=ratio, to="GB", target=("at most", 1.0))


def unit(rows: Float[ndarray, "rows dim"]) -> Float[ndarray, "rows dim"]:
    """Rows of length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def write_random(folder: Path, images: int, dim: int, shard_size: int) -> Index:
    """An index of random unit vectors."""
    rng = np.random.default_rng(0)
    shards = range(0, images, shard_size)
    for number, first in enumerate(shards):
        count = min(shard_size, images - first)
        embeddings, metadata = shard_paths(folder, number, shards=len(shards))
        for path in (embeddings, metadata):
            path.parent.mkdir(exist_ok=True)
        rows = np.lib.format.open_memmap(embeddings, mode="w+", dtype=np.float16, shape=(count, dim))
        for start in range(0, count, 10_000):
            some = rows[start : start + 10_000]
            some[:] = unit(rng.standard_normal(some.shape, dtype=np.float32))
        rows.flush()
        pq.write_table(pa.table({IMAGE: [f"{first + row}.jpg" for row in range(count)]}), metadata)
    ids = tuple(f"{row}.jpg" for row in range(images))
    return Index(folder=folder, images=Images(folder, ids), encoder="random", dim=dim)


def bare_product(index: Index, queries: Float[ndarray, "names dim"], _: int) -> None:
    """The least that can be done: every row to float32, times every query, result thrown away."""
    matrix = torch.from_numpy(queries)
    for path, _ in find_shards(index.folder):
        shard = open_rows(path)
        for first in range(0, len(shard), 4096):
            _ = matrix @ torch.from_numpy(np.array(shard[first : first + 4096])).float().T


def argsort_per_name(index: Index, queries: Float[ndarray, "names dim"], k: int) -> Found:
    """The published way."""
    embeddings = np.concatenate([open_rows(path).astype(np.float32) for path, _ in find_shards(index.folder)])
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    scores = [embeddings @ query for query in queries]
    rows = [np.argsort(-one, kind="stable")[:k] for one in scores]
    return np.stack([one[best] for one, best in zip(scores, rows, strict=True)]), np.stack(rows)


def measure(search: Callable[[], object]) -> Run:
    """Run once: seconds, those of all cores together, and the peak of resident memory, mapped files included."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Linux: the peak is counted from here
    start, cpu = time.perf_counter(), time.process_time()
    found = search()
    return Run(time.perf_counter() - start, time.process_time() - cpu, resident("VmHWM"), found)


def resident(which: str) -> float:
    """Resident memory of this process in MB, mapped files included: now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024


def agree(ours: object, reference: object) -> None:
    """Stop when the scores found differ by more than float32 rounding."""
    difference = float(np.abs(ours[0] - reference[0]).max())  # type: ignore[index]
    same = float((ours[1] == reference[1]).mean())  # type: ignore[index]
    print(f"largest difference of scores {difference:.1e}; {100 * same:.2f} % of ranks hold the same image")
    if difference > 1e-5:
        raise SystemExit("the two searches disagree")


if __name__ == "__main__":
    main()
