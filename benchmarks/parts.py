"""LAION-5B in parts at 1/10,000: memory of the process that gathers 585,000 images from 30 indexes, and of one index.

    python benchmarks/parts.py [--share 10000] [--parts 30]

Vectors are short (32 values), since what is measured is the list of ids. Each way runs in a process of its own;
what both find is compared.
"""

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from claims import claim
from namesake.index import gather_index, open_index, top_k
from namesake.index.layout import shard_paths, write_description
from namesake.records import ModelCard

IMAGES, DIM, NAMES, PER_NAME, FILES = 5_850_000_000, 32, 20, 10, 10
CARD = ModelCard("random", "random")


def main() -> None:
    """Write the parts, and measure both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=int, default=10_000, help="1/share of the images is simulated")
    parser.add_argument("--parts", type=int, default=30)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "HOME"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measure(options.one[0], Path(options.one[1]))
        return
    count = IMAGES // options.share
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), count, options.parts)
        told = {
            way: subprocess.run(
                [sys.executable, __file__, "--one", way, folder], check=True, capture_output=True, text=True
            ).stdout.split()
            for way in ("nothing", "parts", "whole")
        }
    megabytes = {way: float(words[0]) for way, words in told.items()}
    if told["parts"][1] != told["whole"][1]:
        raise SystemExit("the parts and the whole found different scores")
    own, other = (megabytes[way] - megabytes["nothing"] for way in ("parts", "whole"))
    claim(
        f"{count:,} images in {options.parts} parts, gathered for {NAMES} names",
        f"{own:.0f} MB beyond the libraries; the same scores as one index",
        ratio=other / own,
        to="times less than one index of all",
        target=("at least", 2),
        floor=f"{other:.0f} MB of one index",
    )


def write(home: Path, count: int, parts: int) -> None:
    """The indexes of all parts, and one of the whole that links their files."""
    rng = np.random.default_rng(0)
    (home / "images").mkdir()
    names = [f"{number:06d}-shard-of-a-collection/{number:010d}-{'x' * 40}.png" for number in range(FILES)]
    for name in names:
        (home / "images" / name).parent.mkdir()
        Image.new("RGB", (2, 2)).save(home / "images" / name)
    for number, rows in enumerate(np.array_split(np.arange(count), parts)):
        here = shard_paths(home / f"part-{number:04d}", 0, shards=1)
        there = shard_paths(home / "whole", number, shards=parts)
        for path in (*here, *there):
            path.parent.mkdir(parents=True, exist_ok=True)
        np.save(here[0], rng.standard_normal((len(rows), DIM), dtype=np.float32).astype(np.float16))
        pq.write_table(pa.table({"image_path": [names[row % FILES] for row in rows.tolist()]}), here[1])
        for own, link in zip(here, there, strict=True):
            os.link(own, link)
        describe(home, home / f"part-{number:04d}", 1)
    describe(home, home / "whole", parts)


def describe(home: Path, folder: Path, shards: int) -> None:
    """Say that an index is finished."""
    write_description(folder, images=home / "images", encoder="random", card=CARD, dim=DIM, skipped=0, shards=shards)


def measure(way: str, home: Path) -> None:
    """Search in one way; print the most memory that was held, in MB, and a digest of the scores."""
    queries = np.random.default_rng(1).standard_normal((NAMES, DIM)).astype(np.float32)
    scores = np.zeros(0)
    if way == "parts":
        parts = sorted(home.glob("part-*"))
        scores, _ = top_k(gather_index(home / "gathered", parts, queries, PER_NAME), queries, PER_NAME)
    elif way == "whole":
        scores, _ = top_k(open_index(home / "whole"), queries, PER_NAME)
    else:  # the libraries, with all that a search imports
        scores, _ = top_k(open_index(sorted(home.glob("part-*"))[0]), queries, 1)
    digest = hashlib.sha256(np.ascontiguousarray(scores).tobytes()).hexdigest()
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f} {digest}")


if __name__ == "__main__":
    main()
