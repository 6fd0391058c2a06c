import importlib.util

import numpy as np
import pytest

from namesake.errors import ConfigError
from namesake.prediction.export import to_fiftyone, to_supervision


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_supervision__detections(objects_segmenter):
    supervision = pytest.importorskip("supervision")
    prediction = objects_segmenter.segment(np.full((12, 16, 3), 250, np.uint8))
    found = to_supervision(prediction, objects_segmenter.names)
    assert isinstance(found, supervision.Detections)
    assert np.array_equal(found.mask, prediction.instances.masks)
    assert found.xyxy.tolist() == [[0, 0, 8, 12], [8, 0, 16, 12]]
    assert found.confidence.tolist() == [0.75, 0.5]
    assert found.class_id.tolist() == [1, 1]
    assert found.data["class_name"].tolist() == ["noon", "noon"]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_supervision__nothing_found(segmenter):
    pytest.importorskip("supervision")
    assert len(to_supervision(segmenter.segment(np.zeros((4, 4, 3), np.uint8)), segmenter.names)) == 0


@pytest.mark.skipif(importlib.util.find_spec("fiftyone") is not None, reason="fiftyone is installed")
def test_fiftyone__missing_says_what_to_install(segmenter):
    with pytest.raises(ConfigError, match="pip install fiftyone"):
        to_fiftyone(segmenter.segment(np.zeros((4, 4, 3), np.uint8)), segmenter.names)


@pytest.mark.skipif(importlib.util.find_spec("fiftyone") is None, reason="fiftyone is not installed")
def test_fiftyone__labels(objects_segmenter):
    found = to_fiftyone(objects_segmenter.segment(np.full((12, 16, 3), 250, np.uint8)), objects_segmenter.names)
    assert [each.label for each in found["detections"].detections] == ["noon", "noon"]
    assert found["mask_targets"] == {0: "background", 1: "dusk", 2: "noon", 255: "not sure"}
