"""Time and peak memory of the alignment's loss: streamed in blocks against all pairs at once with autograd.

    python benchmarks/contrast.py

Sizes are FMbSeg's: 1,369 patches an image (518 pixels in patches of 14), 768 channels, 171 names; 5 images an update as
published, 20 and 64. Each way runs in a process of its own, forward and backward; peak memory is the process's. All
pairs of 64 images are 7.7 billion, 29 GiB a matrix, so only the streamed form is measured there. Floor: the products
of features alone, at the rate that this machine multiplies blocks of this shape.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch.nn.functional import normalize

from claims import claim
from namesake.training.contrast import contrast

PATCHES, DIM, WORDS, BLOCK = 1369, 768, 171, 2048


def naive(z, y, t):  # noqa: ANN001, ANN201
    """Eq. 1 with every matrix that it names."""
    similar = z @ z.T
    others = similar.masked_fill(torch.eye(len(z), dtype=torch.bool), -torch.inf).logsumexp(1)
    to_text = z @ t.T
    count = torch.bincount(y, minlength=len(t))
    text = torch.logaddexp(to_text.logsumexp(1), others) - to_text.gather(1, y[:, None])[:, 0]
    same = y[:, None] == y[None]
    image = others - (similar * same).sum(1) / same.sum(1)
    return ((text / count[y]).sum() + image.sum()) / (len(z) + len(t))


def measure(way: str, images: int) -> dict[str, float]:
    """Seconds of one forward and backward pass, and mebibytes at the peak above those before it."""
    torch.manual_seed(0)
    count = images * PATCHES
    z = normalize(torch.randn(count, DIM), dim=1).requires_grad_()
    y, t = torch.randint(0, WORDS, (count,)), normalize(torch.randn(WORDS, DIM), dim=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    loss = naive(z, y, t) if way == "naive" else contrast(z, y, t)["loss"]
    loss.backward()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": round(seconds, 2), "mib": round(peak / 1024), "loss": round(loss.item(), 6)}


def products(images: int) -> float:
    """Seconds of the products that no form can spare: similarities twice, each pair once, and the gradient's."""
    block = torch.randn(BLOCK, DIM)
    seconds = min(timed(lambda: block @ block.T) for _ in range(10))
    return 2 * (images * PATCHES / BLOCK) ** 2 * seconds


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print one line a way and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "IMAGES"))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]))))
        return
    found = {}
    for way, images in (("naive", 5), ("streamed", 5), ("streamed", 20), ("streamed", 64)):
        done = subprocess.run(  # noqa: S603
            [sys.executable, __file__, "--one", way, str(images)], capture_output=True, text=True, check=True
        )
        found[way, images] = json.loads(done.stdout)
        print(f"{way:<9} {images:>3} images x {PATCHES} patches: {done.stdout.strip()}", flush=True)
    naive, few, some, many = found.values()
    if abs(naive["loss"] - few["loss"]) > 1e-5:
        raise SystemExit("the two forms disagree")
    claim(
        f"TSupCon, 5 images of {PATCHES} patches, forward and backward",
        f"{few['seconds']} s",
        ratio=naive["seconds"] / few["seconds"],
        to="times as fast as all pairs at once",
        floor=f"{products(5):.2f} s",
    )
    claim(
        f"TSupCon, 5 images of {PATCHES} patches: memory",
        f"{few['mib']} MiB",
        ratio=naive["mib"] / few["mib"],
        to="times less than all pairs at once",
    )
    claim(
        f"TSupCon, 64 images of {PATCHES} patches, forward and backward",
        f"{many['seconds']} s, {many['mib']} MiB; 20 images {some['seconds']} s, {some['mib']} MiB",
        ratio=many["mib"] / some["mib"],
        to="times the memory for 3.2 times the images",
        target=("at most", 3.2 * 1.1),
        floor=f"{products(64):.0f} s",
    )


if __name__ == "__main__":
    main()
