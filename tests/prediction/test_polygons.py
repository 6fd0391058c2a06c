import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from namesake.prediction.polygons import fill, join, trace


def disc(radius: float, *, side: int = 64) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side] - side / 2
    return rows**2 + columns**2 < radius**2


def filled(polygon: np.ndarray, height: int, width: int) -> np.ndarray:
    """Even-odd rule at every pixel, and the pixels that a side passes, pixel by pixel."""
    found = np.zeros((height, width), bool)
    sides = list(zip(polygon.tolist(), np.roll(polygon, -1, axis=0).tolist(), strict=True))
    for y in range(height):
        for x in range(width):
            crossings = sum(
                (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0 for (x0, y0), (x1, y1) in sides
            )
            found[y, x] = crossings % 2
    for (x0, y0), (x1, y1) in sides:
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            found[round(y0 + (y1 - y0) * step / steps), round(x0 + (x1 - x0) * step / steps)] = True
    return found


@pytest.mark.parametrize("mask", [disc(9.3, side=24), disc(9.3, side=24) & ~disc(4, side=24), np.eye(7, dtype=bool)])
def test_trace__a_reader_written_by_hand_finds_the_mask(mask: np.ndarray):
    polygon = join(trace(mask))
    assert np.array_equal(filled(polygon, *mask.shape), mask)
    assert np.array_equal(fill(polygon, height=mask.shape[0], width=mask.shape[1]), mask)


def test_trace__hole_is_a_ring_of_its_part():
    parts = trace(disc(20) & ~disc(8))
    assert [len(part) for part in parts] == [2]


def test_trace__parts_apart():
    mask = np.zeros((6, 9), bool)
    mask[1:3, 1:3] = mask[4, 5:8] = True
    parts = trace(mask)
    assert sorted(part[0].tolist() for part in parts)[1] in ([[5, 4], [7, 4]], [[7, 4], [5, 4]])
    assert len(parts) == 2


def test_trace__single_pixel_and_empty():
    mask = np.zeros((4, 4), bool)
    assert trace(mask) == []
    mask[1, 2] = True
    assert [part[0].tolist() for part in trace(mask)] == [[[2, 1]]]


def test_trace__no_vertex_between_two_others():
    mask = np.zeros((40, 50), bool)
    mask[10:30, 5:45] = True
    assert len(trace(mask)[0][0]) == 4


@pytest.mark.parametrize(("smooth", "least"), [(1, 0.97), (4, 0.98)])
def test_join__what_bridges_cost(smooth: float, least: float):
    noise = gaussian_filter(np.random.default_rng(0).random((96, 128)), smooth)
    mask = noise > np.median(noise)
    found = fill(join(trace(mask)), height=96, width=128)
    assert least < (found & mask).sum() / (found | mask).sum() < 1
