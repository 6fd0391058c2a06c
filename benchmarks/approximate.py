"""Whether approximate search pays for archives: faiss's inverted lists and graph against our exact search.

    python benchmarks/approximate.py [--images 100000]        # pip install faiss-cpu

An index is searched once for all names of a run, and again only when names join it, so what an approximate index takes
to build counts: it is built and searched once. Random embeddings have no neighbourhoods, which would be unfair to
approximation: images lie around 500 centres with a cosine of about 0.7, names near some of the centres with 0.5, which
is easier than real ones are. The lists number once and four times the square root of the images (faiss advises four
and more), learned from 64 images a list; of the lists probed the first number is reported that finds 95 in 100 of the
exact results, else the last that was tried. A graph is built of a tenth of the images only, because that takes longest.
Processor seconds of one thread; our search reads float16 from disk, faiss has float32 in memory.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from claims import claim
from namesake.index import top_k
from namesake.index.layout import find_shards, open_rows
from namesake.records import Index
from search import unit, write_random

DIM, NAMES, BEST = 512, 919, 100
CENTRES, NEAR_CENTRE, NEAR_NAME = 500, 1.0, 1.7
"""Length of the noise that is added to a centre of length 1, for images and for names."""
PROBES, RECALL = (2, 8, 32, 128, 512), 0.95
LEARNED_FROM, LINKS = 64, 32


def main() -> None:
    """Exact search, lists, graph: build, search, recall."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    options = parser.parse_args()
    if not find_spec("faiss"):
        print("approximate: left out, faiss is not installed")
        return
    import faiss  # noqa: PLC0415 - nothing but this benchmark uses it

    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    for times in (1, 4):
        lists = int(times * options.images**0.5)
        inverted = faiss.IndexIVFFlat(faiss.IndexFlatIP(DIM), DIM, lists, faiss.METRIC_INNER_PRODUCT)
        inverted.cp.max_points_per_centroid = LEARNED_FROM
        compare(f"{lists} inverted lists", inverted, images=options.images, set_probes=PROBES)
    graph = faiss.IndexHNSWFlat(DIM, LINKS, faiss.METRIC_INNER_PRODUCT)
    compare(f"a graph of {LINKS} links (HNSW)", graph, images=options.images // 10, set_probes=())


def compare(what: str, approximate: Any, *, images: int, set_probes: tuple[int, ...]) -> None:  # noqa: ANN401
    """One approximate index beside the exact search."""
    centres = unit(np.random.default_rng(2).standard_normal((CENTRES, DIM), dtype=np.float32))
    queries = around(centres, np.random.default_rng(1), NAMES, NEAR_NAME)
    with tempfile.TemporaryDirectory() as folder:
        index = write_random(Path(folder), images, DIM, images)
        rows = gather_around(index, centres)
        exact, (_, wanted) = spent(lambda: top_k(index, queries, BEST))
    building, _ = spent(lambda: (approximate.train(rows), approximate.add(rows)))
    for probes in set_probes or (BEST,):
        if set_probes:
            approximate.nprobe = probes
        else:
            approximate.hnsw.efSearch = probes
        searching, (_, found) = spent(lambda: approximate.search(queries, BEST))
        recall = float(np.mean([len(np.intersect1d(*pair)) for pair in zip(found, wanted, strict=True)])) / BEST
        if recall >= RECALL:
            break
    paid = f"paid for after {building / (exact - searching):.1f} searches" if searching < exact else "never paid for"
    claim(
        f"top {BEST} of {NAMES} names over {images:,} x {DIM}: {what} of faiss {version('faiss-cpu')}",
        f"{building:.1f} CPU s to build, {searching:.1f} s a search ({probes} probed), "
        f"{100 * recall:.0f} % of the exact results; {paid}",
        ratio=(building + searching) / exact,
        to="times our exact search, built and searched once",
        floor=f"{exact:.1f} CPU s of the exact search",
    )


def around(
    centres: Float[ndarray, "centres dim"], rng: np.random.Generator, count: int, length: float
) -> Float[ndarray, "rows dim"]:
    """Unit vectors, each near one of the centres."""
    noise = unit(rng.standard_normal((count, centres.shape[1]), dtype=np.float32))
    return unit(centres[rng.integers(0, len(centres), count)] + length * noise)


def gather_around(index: Index, centres: Float[ndarray, "centres dim"]) -> Float[ndarray, "rows dim"]:
    """Write vectors near centres over those of an index; in float32 as they can be read back."""
    ((path, _),) = find_shards(index.folder)
    rows = around(centres, np.random.default_rng(0), len(open_rows(path)), NEAR_CENTRE).astype(np.float16)
    np.save(path, rows)
    return rows.astype(np.float32)


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, and what was made in them."""
    start = time.process_time()
    made = work()
    return time.process_time() - start, made


if __name__ == "__main__":
    main()
