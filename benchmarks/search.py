"""Exact search over an index: ours, a straightforward reference and the bare matrix product, over the same files.

    python benchmarks/search.py --images 200000 --dim 512 --names 50 --k 500

Prints seconds, CPU seconds, their ratio to ours, peak memory beyond the start (mapped files included), and the floor:
the bytes that any exact search must read and the multiplications that it must do. The reference is the published
code's way: all embeddings in one float32 array and one full argsort a name.
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
    for flag, value in (("images", 200_000), ("dim", 512), ("names", 50), ("k", 500), ("shard-size", 50_000)):
        parser.add_argument(f"--{flag}", type=int, default=value)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        index = write_random(Path(folder), options.images, options.dim, options.shard_size)
        queries = unit(np.random.default_rng(1).standard_normal((options.names, options.dim), dtype=np.float32))
        bare = measure(lambda: bare_product(index, queries), options.repeats)
        ours = measure(lambda: top_k(index, queries, options.k), options.repeats)
        naive = measure(lambda: argsort_per_name(index, queries, options.k), options.repeats)
        agree(ours.found, naive.found)
    print(
        f"{options.images} x {options.dim} float16, {options.names} names, k = {options.k}, "
        f"{torch.get_num_threads()} thread(s)\n"
    )
    print("| search | seconds | CPU seconds | ratio to ours (CPU) | memory beyond the start |\n|---|---|---|---|---|")
    for name, run in (("bare matrix product", bare), ("ours (`top_k`)", ours), ("one argsort a name", naive)):
        print(f"| {name} | {run.seconds:.2f} | {run.cpu:.2f} | {run.cpu / ours.cpu:.2f} | {run.megabytes:.0f} MB |")
    read = options.images * options.dim * 2
    print(
        f"\nfloor: {read / 1e6:.0f} MB to read, {read / 2 * options.names / 1e9:.1f} G multiply-adds; "
        f"ours a CPU second: {read / ours.cpu / 1e9:.2f} GB, "
        f"{read / 2 * options.names / ours.cpu / 1e9:.1f} G multiply-adds."
    )


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
        np.save(embeddings, unit(rng.standard_normal((count, dim), dtype=np.float32)).astype(np.float16))
        pq.write_table(pa.table({IMAGE: [f"{first + row}.jpg" for row in range(count)]}), metadata)
    ids = tuple(f"{row}.jpg" for row in range(images))
    return Index(folder=folder, images=Images(folder, ids), encoder="random", dim=dim)


def bare_product(index: Index, queries: Float[ndarray, "names dim"]) -> None:
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


def measure(search: Callable[[], object], repeats: int) -> Run:
    """Run once to warm up and to see the memory, then several times for the least of each time."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # Linux: the peak is counted from here
    before = resident("VmRSS")
    found = search()
    megabytes = resident("VmHWM") - before
    times = []
    for _ in range(repeats):
        start, cpu = time.perf_counter(), time.process_time()
        search()
        times.append((time.perf_counter() - start, time.process_time() - cpu))
    return Run(min(wall for wall, _ in times), min(cpu for _, cpu in times), megabytes, found)


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
