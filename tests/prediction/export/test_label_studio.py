import json
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from brush import decode_brush
from namesake.prediction.export.label_studio import encode_brush


@settings(max_examples=60, deadline=None)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_encode__an_independent_decoder_finds_the_mask(mask: np.ndarray):
    assert np.array_equal(decode_brush(encode_brush(mask), *mask.shape), mask)


@pytest.mark.parametrize("pixels", [2**14 - 1, 2**14, 2**14 + 1, 2**15 + 3])
def test_encode__runs_longer_than_a_length_can_say(pixels: int):
    mask = np.zeros((1, 2 * pixels + 1), bool)
    mask[0, pixels : 2 * pixels] = True
    assert np.array_equal(decode_brush(encode_brush(mask), *mask.shape), mask)


def test_tasks__every_object_of_every_image(dataset, masks_of):
    tasks = json.loads((dataset.folder / "label_studio" / "tasks.json").read_text(encoding="utf-8"))
    config = ElementTree.parse(dataset.folder / "label_studio" / "config.xml")
    brushes = [each.get("value") for each in config.iter("Label")]
    assert brushes == ["dusk", "noon"]
    images = list(dataset.read())
    assert len(tasks) == len(images)
    for task, image in zip(tasks, images, strict=True):
        assert (dataset.folder / unquote(task["data"]["image"].split("?d=")[1])).is_file()
        regions = task["predictions"][0]["result"]
        assert len({region["id"] for region in regions}) == len(regions) == len(image.annotations)
        for region, mask in zip(regions, masks_of(image), strict=True):
            height, width = region["original_height"], region["original_width"]
            assert np.array_equal(decode_brush(region["value"]["rle"], height, width), mask)
            assert region["value"]["brushlabels"][0] in brushes
