"""Speed of the bilateral solver: `BilateralSolver.solve` against the usual sparse-matrix form, and the physical floor.

    OMP_NUM_THREADS=1 python benchmarks/bilateral.py [PHOTOGRAPH ...]

Images of 512 x 682 pixels, a disc as the mask. "smooth" is shaded areas with a little noise, about what a photograph
gives; "texture" has noise everywhere and with it six to ten times as many vertices. Photographs named on the command
line are resized to the same size. The usual form finds vertices with `np.unique` over a hash, neighbours with
`np.searchsorted`, and runs scipy's conjugate gradients in float64, as the published code does. The floor is the time to
move the bytes that any form has to: image, mask and result once, and the sparse matrix in float32 with 32-bit indices
once for each of 11 products of the bistochastisation and 26 of the solution. Beside it, what the calls take that no
form in numpy and scipy goes without: these products, the colours of the pixels, and a pass over them to splat and to
slice. Times are processor time of one thread, the forms in turn, so that other work on the machine counts as little as
possible.
"""

import platform
import sys
from pathlib import Path

import numpy as np
import scipy
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import cg

from claims import claim
from namesake.images import read_image
from namesake.images.geometry import resize
from namesake.masks.bilateral import PUBLISHED, RGB_TO_YUV
from timing import fastest

HEIGHT, WIDTH, REPEATS = 512, 682, 21
PRODUCTS = 11 + 26


def plain(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """What is usually written."""
    yuv = np.tensordot(image, RGB_TO_YUV, ([2], [1])) + (0, 128, 128)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    cells = [(x / 16).astype(int), (y / 16).astype(int), (yuv[..., 0] / 16).astype(int), (yuv[..., 1:] / 8).astype(int)]
    points, base = np.dstack(cells).reshape(-1, 5), 255 ** np.arange(5)
    hashes, first, vertex = np.unique(points @ base, return_index=True, return_inverse=True)
    places, count = points[first], len(hashes)
    splat = csr_matrix((np.ones(len(points)), (vertex, np.arange(len(points)))), shape=(count, len(points)))
    blurs = [sum(shifted(hashes, (places + step * np.eye(5, dtype=int)[axis]) @ base) for step in (-1, 1))
             for axis in range(5)]  # fmt: skip
    m, n = splat @ np.ones(len(points)), np.ones(count)
    for _ in range(10):
        n = np.sqrt(n * m / (10 * n + sum(blur @ n for blur in blurs)))
    m = n * (10 * n + sum(blur @ n for blur in blurs))
    scale, confidence = diags(n), splat @ np.full(len(points), 0.999)
    smoothness = diags(m) - scale @ (sum(blurs) + 10 * diags(np.ones(count))) @ scale
    matrix, right = (256 * smoothness + diags(confidence)).tocsr(), splat @ (0.999 * target.ravel())
    jacobi = diags(1 / np.maximum(matrix.diagonal(), 1e-5))
    solution, _ = cg(matrix, right, x0=right / confidence, M=jacobi, maxiter=25, rtol=1e-5, atol=0)
    return (splat.T @ solution).reshape(HEIGHT, WIDTH)


def calls(image: np.ndarray, target: np.ndarray, vertex: np.ndarray, adjacency: csr_matrix) -> None:
    """What no form in numpy and scipy goes without, once the graph is known."""
    _ = RGB_TO_YUV @ image.reshape(-1, 3).T.astype(np.float64)
    splat = np.bincount(vertex, weights=target.ravel(), minlength=adjacency.shape[0]).astype(np.float32)
    for _ in range(PRODUCTS):
        splat = adjacency @ splat
    np.take(splat, vertex, mode="clip")


def shifted(hashes: np.ndarray, wanted: np.ndarray) -> csr_matrix:
    """Which vertex lies where each one's neighbour would be."""
    place = np.searchsorted(hashes, wanted).clip(0, len(hashes) - 1)
    found = np.flatnonzero(hashes[place] == wanted)
    return csr_matrix((np.ones(len(found)), (found, place[found])), shape=(len(hashes),) * 2)


def pictures() -> dict[str, np.ndarray]:
    """The images, by name."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = np.stack([127 + 60 * np.sin(x / 40 + i) + 40 * np.cos(y / 50 * (i + 1)) for i in range(3)], axis=-1)
    ramp = np.stack([90 + y / 8, 110 + x / 12, 130 - y / 10], axis=-1)
    areas = np.where((np.hypot(y - 250, x - 310) < 150)[..., None], (190, 80, 50) + (x / 9)[..., None], ramp)
    noise = rng.normal(size=(HEIGHT, WIDTH, 3))
    made = {"smooth": areas + 4 * noise, "texture": waves + 12 * noise}
    images = {name: image.clip(0, 255).astype(np.uint8) for name, image in made.items()}
    for path in map(Path, sys.argv[1:]):
        images[path.stem[:14]] = resize(read_image(path), height=HEIGHT, width=WIDTH)
    return images


def main() -> None:
    """Measure and print one table."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    mask = np.hypot(y - 256, x - 320) < 140
    target, block = mask.astype(float), np.zeros(2**26, np.uint8)
    copying = 1000 * fastest(block.copy, repeats=REPEATS)[0]
    per_ms = 2 * block.nbytes / copying
    print(f"{platform.processor() or platform.machine()}, numpy {np.__version__}, scipy {scipy.__version__}, "
          f"best of {REPEATS}, copies {per_ms / 1e6:.1f} GB/s")  # fmt: skip
    print(f"{'image':<16}{'vertices':>9}{'plain ms':>10}{'ours ms':>9}{'ratio':>7}"
          f"{'Mbyte':>8}{'floor ms':>10}{'IoU':>8}{'largest difference':>20}")  # fmt: skip
    for name, image in pictures().items():
        ours, usual = PUBLISHED.solve(image, target), plain(image, target)
        vertex, adjacency = PUBLISHED._graph(image)
        moved = image.size + 2 * mask.size + PRODUCTS * (8 * adjacency.nnz + 12 * adjacency.shape[0])
        a, b = ours > 0.5, usual > 0.5
        works = (
            lambda i=image: plain(i, target),
            lambda i=image: PUBLISHED.solve(i, target),
            lambda i=image, v=vertex, a=adjacency: calls(i, target, v, a),
        )
        usual_ms, ours_ms, calls_ms = (1000 * seconds for seconds in fastest(*works, repeats=REPEATS))
        claim(
            f"bilateral solver, {name}, {HEIGHT} x {WIDTH}",
            f"{ours_ms:.0f} CPU ms",
            ratio=usual_ms / ours_ms,
            to="times as fast as scipy's form",
            target=("at least", 5),
            floor=f"{moved / per_ms:.1f} ms of bytes, {calls_ms:.0f} ms of calls",
        )
        print(f"{name:<16}{adjacency.shape[0]:9}{usual_ms:10.1f}{ours_ms:9.1f}{usual_ms / ours_ms:7.1f}"
              f"{moved / 1e6:8.1f}{moved / per_ms:10.1f}{(a & b).sum() / (a | b).sum():8.4f}"
              f"{np.abs(ours - usual).max():20.1e}")  # fmt: skip


if __name__ == "__main__":
    main()
