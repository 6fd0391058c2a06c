"""The claim of benchmarks/exports.py on a few scenes: lossless formats give every mask back, polygons nearly."""

import importlib
from pathlib import Path

import numpy as np
import pytest

LOSSY = {("objects", "VOC, CVAT objects"), ("objects", "YOLO polygons"), ("pieces", "YOLO polygons")}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")


def benchmark():
    """The benchmark as a module."""
    pytest.importorskip("supervision")
    return importlib.import_module("exports")


@pytest.mark.slow
def test_exports__read_by_others(tmp_path: Path):
    exports = benchmark()
    seen = set()
    for kind, name, found in exports.measure(tmp_path, scenes=12):
        form = name.partition(", by supervision")[0]
        seen.add((kind, form))
        assert found.masks >= 30
        if (kind, form) not in LOSSY:
            assert found.least_iou == 1.0, (kind, name)
        elif "YOLO" in name:
            assert found.mean_iou > 0.97, (kind, name)
        else:
            assert found.mean_iou > 0.9, (kind, name)
    assert seen >= LOSSY
    assert len(seen) == 14


def test_compare__wrong_masks_are_seen():
    exports = benchmark()
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    other = mask.copy()
    other[2, :2] = True
    assert exports.compare({"a": [("dog", mask)]}, {"a": [("dog", other)]}) == (1, 0.8, 0.8, 25.0)
    assert exports.compare({"a": [("dog", mask)]}, {"a": [("cat", mask)]}) == (1, 0.0, 0.0, 100.0)
    with pytest.raises(ValueError, match="1 masks more"):
        exports.compare({"a": [("dog", mask)]}, {"a": [("dog", mask)] * 2})
