import numpy as np
import pytest

from namesake.errors import DataError
from namesake.evaluation.benchmarks.decode import DECODERS
from namesake.evaluation.benchmarks.ids import published_names
from namesake.evaluation.submission import write_submission
from namesake.images import open_images, read_image
from namesake.records import Names


def test_submission__ids_of_the_official_list(scenes, colour_segmenter, tmp_path):
    official = published_names("imagenet-s919").names
    names = Names((official[919], "unicorn", official[300].upper()))
    images = open_images(scenes / "images")
    segmenter = colour_segmenter(names, {1: 1, 2: 2, 3: 3}, unsure=4)
    assert write_submission(segmenter, images, size=919, out=tmp_path / "out") == 6
    labels = segmenter.segment_many([read_image(images.path("2.png"))])[0].labels
    wanted = np.select([labels == 1, labels == 3], [919, 300])
    assert np.array_equal(DECODERS["red + 256 green"](tmp_path / "out" / "2.png"), wanted)


def test_submission__nothing_to_submit(scenes, colour_segmenter, tmp_path):
    images = open_images(scenes / "images")
    with pytest.raises(DataError, match="is a name of ImageNet-S 50"):
        write_submission(colour_segmenter(Names(("unicorn",)), {1: 1}), images, size=50, out=tmp_path)
    with pytest.raises(DataError, match="no ImageNet-S of 1000"):
        write_submission(colour_segmenter(Names(("tench",)), {1: 1}), images, size=1000, out=tmp_path)
