"""Refine a mask to the edges of its image with the bilateral solver.

Barron and Poole, "The Fast Bilateral Solver", ECCV 2016, https://arxiv.org/abs/1511.03296 (hard bilateral grid,
bistochastised smoothness, Jacobi-preconditioned conjugate gradients), with the constants of SelfMask and NamedMask;
grid and output were checked against what the published code returns.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.shapes import ImageArray

RGB_TO_YUV = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
YUV_OFFSET = np.array([[0.0], [128.0], [128.0]])
NEIGHBOURS = 10  # two along each of the five axes of the grid: row, column, luma and two chroma
BISTOCHASTIC_STEPS = 10
SMALLEST_DIAGONAL = 1e-5
STRETCH = 1024
ROWS_AT_ONCE = 16  # of pixels, so that their colours stay in the processor's cache

Vertices = Float32[ndarray, " vertices"]


@dataclass(frozen=True)
class BilateralSolver:
    """Constants of the solver; the defaults are the published ones.

    Attributes:
        sigma_spatial: Side of a grid cell in pixels.
        sigma_luma: Side of a grid cell in luma, of 0 to 255.
        sigma_chroma: Side of a grid cell in either chroma, of 0 to 255.
        smoothness: Weight of the smoothness term against the data term.
        confidence: Weight of the data term at every pixel, 0 to 1.
        iterations: Most steps of conjugate gradients.
        tolerance: Residual at which they stop, as a share of the norm of the right-hand side.
    """

    sigma_spatial: int = 16
    sigma_luma: int = 16
    sigma_chroma: int = 8
    smoothness: float = 256.0
    confidence: float = 0.999
    iterations: int = 25
    tolerance: float = 1e-5

    def refine(self, image: ImageArray, mask: Bool[ndarray, "rows columns"]) -> Bool[ndarray, "rows columns"]:
        """The binary form: solve for the mask as it is, then threshold at one half.

        Args:
            image: RGB image.
            mask: Mask of the same size.

        Raises:
            DataError: The sizes differ.
        """
        return self.solve(image, mask.astype(np.float64)) > 0.5

    def solve(self, image: ImageArray, target: Float[ndarray, "rows columns"]) -> Float32[ndarray, "rows columns"]:
        """The map that is close to `target`, and smooth except where the image has edges.

        The linear algebra is in float32, which moves the result by about 1e-5.

        Args:
            image: RGB image.
            target: Map of the same size, 0 to 1.

        Returns:
            Map of the same size, about 0 to 1.

        Raises:
            DataError: The sizes differ, or the image has no pixels.
        """
        if image.shape[:2] != target.shape or not target.size:
            raise DataError(f"the image is {image.shape[:2]}, the mask {target.shape}: make them one size, not empty.")
        vertex, adjacency = self._graph(image)
        count = adjacency.shape[0]
        # splat: how many pixels each vertex has, and the sum of their targets
        pixels = np.bincount(vertex, minlength=count).astype(np.float32)
        splat = np.bincount(vertex, weights=target.ravel(), minlength=count).astype(np.float32)
        solution = self._conjugate_gradients(adjacency, pixels, splat)
        # slice: each pixel has the value of its vertex
        return np.take(solution, vertex, mode="clip").reshape(target.shape)

    def _graph(self, image: ImageArray) -> tuple[Int[ndarray, " pixels"], Any]:
        """The vertex (occupied cell of the grid) of each pixel, and the adjacency of the vertices, ones in float32.

        A table of tiles x colours that occur finds both, without sorting or searching pixels. A row and a column of
        tiles on either side and one colour stay empty in it, so that no step to a neighbour wraps around.
        """
        height, width = image.shape[:2]
        cell, beside = _compact(*self._colours(image))
        colours = beside.shape[1]
        # one index a cell of [tile rows, tile columns, colours]: the tiles' part is added to the colour's
        across = ((width - 1) // self.sigma_spatial + 2) * colours
        row = np.arange(height) // self.sigma_spatial + 1
        cell += (row * across)[:, None]
        cell += np.arange(width) // self.sigma_spatial * colours
        occupied = np.zeros((row[-1] + 2) * across, dtype=bool)
        cell = cell.ravel()
        occupied[cell] = True
        return _number(cell, occupied, beside=beside, tiles=(colours, across))

    def _colours(self, image: ImageArray) -> tuple[Int[ndarray, "height width"], tuple[int, int, int]]:
        """Cell of each pixel in the grid's colour axes as one number, and the steps along chroma V, U and luma.

        One slot stays empty at the end of each axis, and as many as the longest step at the start.
        """
        height, width = image.shape[:2]
        per_cell = 1 / np.array([[self.sigma_luma], [self.sigma_chroma], [self.sigma_chroma]])
        extent = 255 // self.sigma_chroma + 2
        code = np.empty((height, width), dtype=np.intp)
        for top in range(0, height, ROWS_AT_ONCE):
            planes = image[top : top + ROWS_AT_ONCE].reshape(-1, 3).T.astype(np.float64)  # [3, pixels]
            yuv = RGB_TO_YUV @ planes
            yuv += YUV_OFFSET
            yuv *= per_cell
            luma, chroma_u, chroma_v = yuv.astype(np.int32)
            # three digits to the base `extent`: luma, U, V; + 1 leaves the longest step's slots empty at the start
            code[top : top + ROWS_AT_ONCE] = (((luma + 1) * extent + chroma_u) * extent + chroma_v).reshape(-1, width)
        return code, (1, extent, extent * extent)

    def _conjugate_gradients(self, adjacency: Any, pixels: Vertices, splat: Vertices) -> Vertices:  # noqa: ANN401
        """Solve (smoothness (M - N B N) + C) x = C t, the normal equations of the solver's problem.

        B is the blur, N and M the diagonals that make it doubly stochastic, C the confidence splatted, C t the target
        splatted. The unknowns are divided by the root of the diagonal, which is the Jacobi preconditioner built in.
        """
        from scipy.sparse import csr_matrix

        scale, mass = _bistochastise(adjacency, pixels)
        confidence, right = np.float32(self.confidence) * pixels, np.float32(self.confidence) * splat
        # the diagonal of the matrix; that of B is 10, the number of neighbours
        diagonal = np.float32(self.smoothness) * (mass - NEIGHBOURS * scale * scale) + confidence
        root = np.sqrt(np.maximum(diagonal, np.float32(SMALLEST_DIAGONAL)))
        # What is left of the matrix off the diagonal: minus `weight` times adjacency times `weight`.
        weight = np.float32(self.smoothness**0.5) * scale / root
        values = np.repeat(-weight, np.diff(adjacency.indptr))
        values *= np.take(weight, adjacency.indices, mode="clip")
        rest = csr_matrix((values, adjacency.indices, adjacency.indptr), shape=adjacency.shape)
        # start: each vertex has the mean target of its pixels (times the root, as all unknowns)
        x = right / confidence * root
        residual = right / root - (x + rest @ x)
        direction, square = residual.copy(), residual @ residual
        smallest = (self.tolerance * float(np.linalg.norm(right))) ** 2
        # conjugate gradients for (1 + rest) x = right / root
        for _ in range(self.iterations):
            # the residual's square as it is without the preconditioner
            if (residual * residual) @ diagonal < smallest or square == 0:
                break
            moved = rest @ direction
            moved += direction
            step = square / (direction @ moved)
            x += step * direction
            moved *= step
            residual -= moved
            square, before = residual @ residual, square
            direction *= square / before
            direction += residual
        solution: Vertices = x / root
        return solution


PUBLISHED = BilateralSolver()
"""The solver with the published constants."""


def _compact(
    code: Int[ndarray, "height width"], steps: tuple[int, ...]
) -> tuple[Int[ndarray, "height width"], Int[ndarray, "steps colours"]]:
    """Renumber colours by those that occur, and list each one's neighbour along every step.

    The last number stands for all colours that do not occur.
    """
    seen = np.zeros(int(code.max()) + max(steps) + 1, dtype=bool)
    seen[code] = True
    palette = np.flatnonzero(seen)
    number = np.full(len(seen), len(palette))
    number[palette] = np.arange(len(palette))
    beside = np.stack([number[palette + step] for step in steps])  # [steps, colours that occur]
    none = np.full((len(beside), 1), len(palette))  # [steps, 1], for colours that do not occur
    return np.take(number, code, mode="clip"), np.concatenate([beside, none], axis=1)


def _number(
    cell: Int[ndarray, " pixels"],
    occupied: Bool[ndarray, " cells"],
    *,
    beside: Int[ndarray, "steps colours"],
    tiles: tuple[int, ...],
) -> tuple[Int[ndarray, " pixels"], Any]:
    """Number the occupied cells; the number of each pixel's cell, and the adjacency as a sparse matrix.

    Within a stretch, vertices are numbered by how many neighbours they have: rows of equal length are what makes
    products with the matrix fast, and the stretch keeps neighbours near each other in memory.
    """
    from scipy.sparse import csr_matrix

    vertices = np.flatnonzero(occupied)
    numbers = np.arange(1, len(vertices) + 1, dtype=np.int32)  # 0 stands for no vertex
    number = np.empty(len(occupied), dtype=np.int32)
    number.fill(0)  # faster than `zeros`, whose pages come one by one
    number[vertices] = numbers
    # cells one step ahead of each vertex: along the colours by table, along the tiles by a fixed stride
    colour = vertices % beside.shape[1]
    ahead = [vertices - colour + np.take(step, colour, mode="clip") for step in beside]
    ahead += [vertices + tile for tile in tiles]
    # rows [neighbours, 1 + vertices]: along the colours ahead, then behind; along each axis of tiles ahead and behind
    places = [(0, 3), (1, 4), (2, 5), (6, 7), (8, 9)]
    rows = np.zeros((NEIGHBOURS, len(vertices) + 1), dtype=np.int32)
    for (there, back), cells in zip(places, ahead, strict=True):
        rows[there, 1:] = found = np.take(number, cells, mode="clip")
        rows[back][found] = numbers  # who is ahead of me has me behind
    # number anew: by stretch, within it by number of neighbours
    degree = (rows[:, 1:] > 0).sum(axis=0, dtype=np.uint16)
    stretch = (np.arange(len(vertices)) // STRETCH).astype(np.uint16)
    order = np.argsort(stretch * (NEIGHBOURS + 1) + degree, kind="stable")
    rank = np.empty(len(vertices) + 1, dtype=np.int32)
    rank[0] = -1
    rank[order + 1] = numbers - 1
    # the matrix in compressed rows: columns of all entries, and where each row starts
    neighbours = np.take(rows, order + 1, axis=1, mode="clip").T.ravel()
    indices = np.take(rank, np.compress(neighbours > 0, neighbours), mode="clip")
    starts = np.concatenate(([0], np.cumsum(degree[order], dtype=np.int32)))
    ones = np.ones(len(indices), dtype=np.float32)
    adjacency = csr_matrix((ones, indices, starts), shape=(len(vertices),) * 2)
    return np.take(rank, np.take(number, cell, mode="clip"), mode="clip").astype(np.intp), adjacency


def _bistochastise(adjacency: Any, pixels: Vertices) -> tuple[Vertices, Vertices]:  # noqa: ANN401
    """Diagonals N and M such that N B N has the row sums M, for the blur B = 10 + adjacency (paper, supplementary)."""
    scale = np.ones_like(pixels)
    for _ in range(BISTOCHASTIC_STEPS):
        scale = np.sqrt(scale * pixels / (NEIGHBOURS * scale + adjacency @ scale))
    return scale, scale * (NEIGHBOURS * scale + adjacency @ scale)
