"""LAION-5B on paper: bytes, hours and cost from rates measured here, and the plan itself run at 1/100,000.

`python benchmarks/scale.py` writes 58,500 random embeddings in the index's own layout, appends to it, searches them for
919 names, counts the bytes, and prints what the whole would take. It loads no encoder; the plan's rates of a GPU are
arguments. Times are the processor's, of all cores together, so a busy machine measures the same.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from claims import claim
from namesake.index import open_index, top_k
from namesake.index.layout import write_description
from namesake.records import Index, ModelCard

IMAGES = 5_850_000_000
DIM, NAMES, PER_NAME = 768, 919, 500
SHARD = 1_000_000
"""Images a shard of the plan."""


def main() -> None:
    """Measure at small scale and print the plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=int, default=100_000, help="1/share of the images is simulated")
    parser.add_argument("--embedded", type=float, default=1_000, help="images a second of one GPU (ViT-L/14-336, bf16)")
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--gpu-dollars", type=float, default=2.0, help="an hour of one GPU")
    parser.add_argument("--image-bytes", type=int, default=40_000, help="a stored image, shorter side 256 to 384")
    options = parser.parse_args()
    count = IMAGES // options.share
    with tempfile.TemporaryDirectory() as folder:
        measured = simulate(Path(folder), count)
    plan(measured, options, count)


def simulate(folder: Path, count: int) -> dict[str, float]:
    """Write `count` rows as shards of 1/share of the plan's, and search them."""
    shards = -(-count * SHARD // IMAGES) or 1
    (folder / "img_emb").mkdir()
    (folder / "metadata").mkdir()
    rng, start = np.random.default_rng(0), time.process_time()
    parts = np.array_split(np.arange(count), max(2, shards))
    for number, part in enumerate(parts):
        rows = rng.standard_normal((len(part), DIM), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        np.save(folder / "img_emb" / f"img_emb_{number}.npy", rows.astype(np.float16))
        ids = [f"{row // 10_000:06d}.tar/{row:010d}.jpg" for row in part.tolist()]
        sizes = pa.array([336] * len(part), pa.int32())
        columns = {"image_path": ids, "width": sizes, "height": sizes, "bytes": pa.array(sizes, pa.int64())}
        pq.write_table(pa.table(columns), folder / "metadata" / f"metadata_{number}.parquet")
    card = ModelCard("random", "random")
    write_description(folder, images=folder, encoder="random", card=card, dim=DIM, skipped=0, shards=len(parts))
    written = time.process_time() - start
    index: Index = open_index(folder)
    queries = rng.standard_normal((NAMES, DIM), dtype=np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    start = time.process_time()
    scores, _ = top_k(index, queries, PER_NAME)
    searched = time.process_time() - start
    if scores.shape != (NAMES, PER_NAME) or len(index.images) != count:
        raise SystemExit(f"the simulation found {scores.shape} of {len(index.images)} images")
    return {
        "embedding_bytes": size_of(folder / "img_emb") / count,
        "metadata_bytes": size_of(folder / "metadata") / count,
        "written_per_second": count / written,
        "searched_per_second": count / searched,
        "bare_product_per_second": count / bare_product(folder, queries),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir())


def bare_product(folder: Path, queries: np.ndarray) -> float:
    """Seconds that the matrix products of the search take by themselves."""
    start = time.process_time()
    for path in sorted((folder / "img_emb").iterdir()):
        rows = np.load(path, mmap_mode="r")
        for first in range(0, len(rows), 2730):
            queries @ np.asarray(rows[first : first + 2730], dtype=np.float32).T
    return time.process_time() - start


def plan(measured: dict[str, float], options: argparse.Namespace, count: int) -> None:
    """Print the whole from what was measured."""
    terabytes = {
        "images": IMAGES * options.image_bytes / 1e12,
        "embeddings": IMAGES * measured["embedding_bytes"] / 1e12,
        "metadata": IMAGES * measured["metadata_bytes"] / 1e12,
    }
    rate = options.embedded * options.gpus
    hours = IMAGES / rate / 3600
    search_hours = IMAGES / measured["searched_per_second"] / 3600
    print(json.dumps({"simulated_images": count} | {k: round(v, 1) for k, v in measured.items()}))
    print(f"shards            {-(-IMAGES // SHARD):,} of {SHARD:,} images")
    for what, size in terabytes.items():
        print(f"{what:<17} {size:,.1f} TB")
    dollars = hours * options.gpus * options.gpu_dollars
    print(f"embedding         {hours:,.0f} h on {options.gpus} GPUs, {dollars:,.0f} dollars")
    print(f"reading for it    {rate * options.image_bytes / 1e9:.1f} GB/s, {options.embedded:.0f} images/s a GPU")
    print(f"archives          {search_hours:,.0f} core hours for {NAMES} names, shard by shard on any number of cores")
    claim(
        "LAION-5B on paper, 919 names",
        f"{terabytes['embeddings']:.1f} TB of embeddings, {hours:,.0f} h on {options.gpus} GPUs, "
        f"{search_hours:,.0f} core hours of search, {measured['peak_mb']:.0f} MB for {count:,} images",
    )
    print(f"search/product    {measured['bare_product_per_second'] / measured['searched_per_second']:.2f}")


if __name__ == "__main__":
    main()
