import numpy as np
import pytest
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import cg

from namesake.errors import DataError
from namesake.masks import BilateralSolver
from namesake.masks.bilateral import RGB_TO_YUV


def plain_solver(image: np.ndarray, target: np.ndarray, *, iterations: int = 25, tolerance: float = 1e-5) -> np.ndarray:
    """The published solver in the plainest sparse-matrix form: float64, one matrix an axis, scipy's cg."""
    height, width = target.shape
    yuv = np.tensordot(image, RGB_TO_YUV, ([2], [1])) + (0, 128, 128)
    y, x = np.mgrid[:height, :width]
    points = np.dstack([x // 16, y // 16, yuv[..., 0] // 16, yuv[..., 1:] // 8]).reshape(-1, 5).astype(int)
    cells, vertex = np.unique(points, axis=0, return_inverse=True)
    number = {tuple(cell): place for place, cell in enumerate(cells)}
    blur = 10 * np.eye(len(cells))
    for cell, place in number.items():
        for axis in range(5):
            for step in (-1, 1):
                beside = list(cell)
                beside[axis] += step
                if tuple(beside) in number:
                    blur[place, number[tuple(beside)]] = 1
    blur, ones = csr_matrix(blur), np.ones(len(points))
    splat = csr_matrix((ones, (vertex.ravel(), np.arange(len(points)))))
    m, n = splat @ ones, np.ones(len(cells))
    for _ in range(10):
        n = np.sqrt(n * m / (blur @ n))
    m = n * (blur @ n)
    confidence = splat @ (0.999 * ones)
    matrix = 256 * (diags(m) - diags(n) @ blur @ diags(n)) + diags(confidence)
    right = splat @ (0.999 * target.ravel())
    preconditioner = diags(1 / np.maximum(matrix.diagonal(), 1e-5))
    solution, _ = cg(matrix, right, x0=right / confidence, M=preconditioner, maxiter=iterations, rtol=tolerance, atol=0)
    return (splat.T @ solution).reshape(height, width)


def scene(height: int, width: int, *, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A picture of a bright disc, and a square that covers it roughly."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    disc = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (min(height, width) / 3) ** 2
    image = np.where(disc[..., None], (220, 120, 30), (40, 90, 120)) + rng.normal(0, noise, (height, width, 3))
    square = (abs(y - height / 2) < min(height, width) / 3.5) & (abs(x - width / 2) < min(height, width) / 3)
    return image.clip(0, 255).astype(np.uint8), square


@pytest.mark.parametrize("noise", [0.0, 20.0])
@pytest.mark.parametrize("size", [(40, 61), (64, 48), (7, 9)])
def test_solution_equals_the_plain_form(size, noise):
    image, mask = scene(*size, noise=noise)
    found = BilateralSolver().solve(image, mask.astype(float))
    assert found.shape == size
    assert np.abs(found - plain_solver(image, mask)).max() < 5e-5


def test_solution__soft_target_and_another_stop():
    image, _ = scene(40, 50, noise=20)
    target = np.random.default_rng(1).random((40, 50))
    found = BilateralSolver(iterations=4, tolerance=1e-2).solve(image, target)
    assert np.abs(found - plain_solver(image, target, iterations=4, tolerance=1e-2)).max() < 5e-5


def test_solution__grey_image_falls_on_the_same_side_of_cell_borders():
    grey = np.repeat(np.random.default_rng(0).integers(0, 256, (40, 40, 1), dtype=np.uint8), 3, axis=2)
    target = np.zeros((40, 40))
    target[10:30, 5:25] = 1
    assert np.abs(BilateralSolver().solve(grey, target) - plain_solver(grey, target)).max() < 5e-5


def test_solution__extreme_colours_have_no_neighbours_beyond_the_range():
    corners = np.array(np.meshgrid([0, 255], [0, 255], [0, 255])).reshape(3, 8).T
    image = corners[np.random.default_rng(0).integers(0, 8, (36, 36))].astype(np.uint8)
    target = np.random.default_rng(1).random((36, 36))
    assert np.abs(BilateralSolver().solve(image, target) - plain_solver(image, target)).max() < 5e-5


def test_refine_moves_the_mask_to_the_edges():
    image, square = scene(96, 96, noise=4)
    y, x = np.mgrid[:96, :96]
    disc = (y - 48) ** 2 + (x - 48) ** 2 < 32**2
    refined = BilateralSolver().refine(image, square)
    before, after = ((mask & disc).sum() / (mask | disc).sum() for mask in (square, refined))
    assert before < 0.9
    assert after > 0.97


@pytest.mark.parametrize("value", [False, True])
def test_refine__full_and_empty_masks_stay(value):
    image, _ = scene(33, 47, noise=10)
    mask = np.full((33, 47), value)
    assert np.array_equal(BilateralSolver().refine(image, mask), mask)


def test_refine__one_pixel():
    assert BilateralSolver().refine(np.full((1, 1, 3), 90, np.uint8), np.ones((1, 1), bool)).tolist() == [[True]]


def test_solve__mask_of_another_size():
    with pytest.raises(DataError, match=r"image is \(8, 9\).*mask \(9, 8\)"):
        BilateralSolver().solve(np.zeros((8, 9, 3), np.uint8), np.zeros((9, 8)))
