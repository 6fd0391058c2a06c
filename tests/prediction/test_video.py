import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from namesake.errors import ConfigError, ImagesError, WorkspaceError
from namesake.images import read_image
from namesake.prediction import open_source, predict_folder
from namesake.prediction.video import write_frames

needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV is not installed")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve grey frames, each brighter than the one before."""
    av = pytest.importorskip("av")
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 20 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def brightness(images) -> list[int]:
    return [round(read_image(images.path(image_id)).mean() / 20) for image_id in images.ids]


def test_frames__numbered_as_in_the_video(clip, tmp_path):
    images = write_frames(clip, tmp_path / "frames")
    assert images.ids[:2] == ("00000000.jpg", "00000001.jpg")
    assert brightness(images) == list(range(12))


def test_frames__every_third_and_at_most_three(clip, tmp_path):
    images = write_frames(clip, tmp_path / "frames", every=3, most=3)
    assert images.ids == ("00000000.jpg", "00000003.jpg", "00000006.jpg")
    assert brightness(images) == [0, 3, 6]


def test_frames__begun_again_gives_the_same_bytes(clip, tmp_path, contents):
    write_frames(clip, tmp_path / "whole")
    write_frames(clip, tmp_path / "cut")
    (tmp_path / "cut" / "00000007.jpg").unlink()
    done = json.loads((tmp_path / "cut" / "frames.json").read_text())
    (tmp_path / "cut" / "frames.json").write_text(json.dumps(done | {"frames": 0}))
    write_frames(clip, tmp_path / "cut")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_frames__of_another_source(clip, tmp_path):
    write_frames(clip, tmp_path / "frames")
    with pytest.raises(WorkspaceError, match="holds frames of"):
        write_frames(clip, tmp_path / "frames", every=2)


def test_predict__a_video(clip, segmenter, tmp_path):
    found = open_source([clip], out=tmp_path / "out", every=4)
    made = predict_folder(tmp_path / "out", segmenter, found.images)
    assert made.counts == {"images": 3, "skipped": 0}
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 3


@needs_av
def test_frames__not_a_video(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    with pytest.raises(ImagesError, match="cannot be read as a video"):
        write_frames(tmp_path / "clip.mp4", tmp_path / "frames")


@needs_av
def test_camera__not_there(tmp_path):
    with pytest.raises(ImagesError, match="camera:97 cannot be read"):
        write_frames("camera:97", tmp_path / "frames", most=1)


def test_camera__needs_a_number_of_frames(tmp_path):
    with pytest.raises(ConfigError, match="a camera needs a number of frames"):
        write_frames("camera:0", tmp_path / "frames")


@pytest.mark.skipif(importlib.util.find_spec("av") is not None, reason="PyAV is installed")
def test_pyav_missing__says_what_to_install(tmp_path):
    with pytest.raises(ConfigError, match=r"pip install 'namesake-masks\[video\]'"):
        write_frames(tmp_path / "clip.mp4", tmp_path / "frames")
