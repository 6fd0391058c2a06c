"""Time and peak memory of the alignment's loss: streamed in blocks against all pairs at once with autograd.

    python benchmarks/contrast.py

Sizes are FMbSeg's: 1,369 patches an image (518 pixels in patches of 14), 768 channels, 171 names; 5 images an update as
published, 10 and 20. Each way runs in a process of its own, forward and backward; peak memory is the process's.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from torch.nn.functional import normalize

from claims import claim
from namesake.training.contrast import contrast

PATCHES, DIM, WORDS = 1369, 768, 171


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


def main() -> None:
    """Print one line a way and size; all pairs of 20 images would take 2.8 GiB a matrix and are left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "IMAGES"))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]))))
        return
    found = {}
    for way, images in (("naive", 5), ("streamed", 5), ("streamed", 10), ("streamed", 20)):
        done = subprocess.run(  # noqa: S603
            [sys.executable, __file__, "--one", way, str(images)], capture_output=True, text=True, check=True
        )
        found[way, images] = json.loads(done.stdout)
        print(f"{way:<9} {images:>3} images x {PATCHES} patches: {done.stdout.strip()}")
    ours, twice = found["streamed", 10], found["streamed", 20]
    claim(
        f"TSupCon, 10 and 20 images of {PATCHES} patches, forward and backward",
        f"{ours['mib']} and {twice['mib']} MiB, {ours['seconds']} and {twice['seconds']} s",
        ratio=twice["mib"] / max(ours["mib"], 1),
        to="times the memory for twice the images",
        target=("at most", 2.2),
    )
    small, naive = found["streamed", 5], found["naive", 5]
    claim(
        f"TSupCon, 5 images of {PATCHES} patches, forward and backward",
        f"{small['seconds']} s, {small['mib']} MiB",
        ratio=naive["mib"] / max(small["mib"], 1),
        to="times less memory than all pairs at once",
    )


if __name__ == "__main__":
    main()
