import json
from shutil import copyfile

import numpy as np
import pytest
from typer.testing import CliRunner

from namesake.cli import app
from namesake.errors import DataError
from namesake.evaluation.benchmarks.decode import DECODERS
from namesake.evaluation.benchmarks.ids import published_names
from namesake.evaluation.submission import submit, write_submission
from namesake.images import open_images, read_image
from namesake.records import Names
from namesake.systems import run


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


def test_submit__run_without_a_server_or_images(tmp_path):
    with pytest.raises(DataError, match="voc2012 has no server"):
        submit(tmp_path, benchmark="voc2012", root=tmp_path, out=tmp_path / "out")
    with pytest.raises(DataError, match="expected the test images in"):
        submit(tmp_path, benchmark="imagenet-s50", root=tmp_path, out=tmp_path / "out")


@pytest.mark.slow
def test_submit__a_run_and_the_folder_as_downloaded(scenes, tmp_path):
    names = published_names("imagenet-s50").names
    pictures = tmp_path / "ImageNetS50" / "test" / "n01443537"
    pictures.mkdir(parents=True)
    copyfile(scenes / "images" / "2.png", pictures / "2.png")
    run("maskclip", names=names[1], images=pictures.parent, out=tmp_path / "run", preset="mini")
    arguments = ["evaluate", str(tmp_path / "run"), "--benchmark", "imagenet-s50", "--root", str(tmp_path)]
    done = CliRunner().invoke(app, [*arguments, "--submission", str(tmp_path / "out"), "--json"])
    assert json.loads(done.stdout) == {"files": 1, "out": str(tmp_path / "out")}
    found = DECODERS["red + 256 green"](tmp_path / "out" / "n01443537" / "2.png")
    assert set(np.unique(found)) <= {0, 1}
    for more, told in (
        (["--read", "careful"], "no logits"),  # of this kind, so the reading was asked for
        (["--ask", names[2]], "only knows"),
        (["--names", names[1]], "--names has no meaning"),
        (["--engine", "ray:2"], "--engine has no meaning"),
        (["--count-crowds"], "--count-crowds has no meaning"),
        (["--config", "flip=false"], "--read careful"),
    ):
        done = CliRunner().invoke(app, [*arguments, "--submission", str(tmp_path / "other"), *more])
        assert told in str(done.exception), more
