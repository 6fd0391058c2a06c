import numpy as np

from namesake.images.palette import palette
from namesake.shapes import not_sure


def test_palette__as_published_for_voc():
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 8: (64, 0, 0)}
    known |= {15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    colours = palette()
    assert colours.shape == (256, 3)
    assert {label: tuple(colours[label].tolist()) for label in known} == known


def test_palette__colours_differ():
    assert len(np.unique(palette(2000), axis=0)) == 2000
    assert np.array_equal(palette(2000)[:256], palette())


def test_not_sure__free_label():
    assert [not_sure(names) for names in (1, 254, 255, 919)] == [255, 255, 65_535, 65_535]
