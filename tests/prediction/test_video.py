import importlib.util
import json
import struct
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


MATRICES = {  # a, b, c, d of the display matrix, and what it does to a picture
    "as it is": ((1, 0, 0, 1), lambda x: x),
    "a quarter to the right": ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),
    "upside down": ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
    "a quarter to the left": ((0, -1, 1, 0), np.rot90),
    "mirrored": ((-1, 0, 0, 1), np.fliplr),
    "flipped": ((1, 0, 0, -1), np.flipud),
}


@pytest.mark.parametrize("what", MATRICES)
def test_frames__as_players_show_them(tmp_path: Path, what: str):
    av = pytest.importorskip("av")
    corners = np.kron(np.array([[20, 90], [160, 230]], dtype=np.uint8), np.ones((32, 48), np.uint8))
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.dstack([corners] * 3), format="rgb24")))
        container.mux(stream.encode(None))
    (a, b, c, d), turn = MATRICES[what]
    content = bytearray(path.read_bytes())
    place = content.find(b"tkhd") + 4 + 20 + 20  # version 0: the matrix follows 40 bytes
    content[place : place + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    images = write_frames(path, tmp_path / "frames")
    found = read_image(images.path(images.ids[0]))[:, :, 0].astype(int)
    assert found.shape == turn(corners).shape
    assert np.abs(found - turn(corners)).mean() < 8


def test_frames__of_a_file_that_was_replaced(clip, tmp_path):
    write_frames(clip, tmp_path / "frames")
    before = json.loads((tmp_path / "frames" / "frames.json").read_text())
    (tmp_path / "frames" / "00000003.jpg").write_bytes(b"kept as it is")
    write_frames(clip, tmp_path / "frames")
    assert (tmp_path / "frames" / "00000003.jpg").read_bytes() == b"kept as it is"
    clip.write_bytes(clip.read_bytes() + bytes(8))
    images = write_frames(clip, tmp_path / "frames")
    assert brightness(images) == list(range(12))
    assert json.loads((tmp_path / "frames" / "frames.json").read_text())["bytes"] != before["bytes"]


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


def test_frames__never_among_pictures_of_the_user(tmp_path: Path):
    out = tmp_path / "frames"
    out.mkdir()
    (out / "mine.jpg").write_bytes(b"a picture")
    (tmp_path / "film.mp4").write_bytes(b"no film")
    with pytest.raises(WorkspaceError, match="is not empty"):
        write_frames(tmp_path / "film.mp4", out)
    assert [path.name for path in out.iterdir()] == ["mine.jpg"]
