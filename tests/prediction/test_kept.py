"""Predictions belong to the bytes that they were made of, one map an image."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from namesake.errors import WorkspaceError
from namesake.images import open_images
from namesake.prediction import predict_folder
from namesake.prediction.kept import stems_of
from namesake.records import Images


def paint(path: Path, seed: int, size: tuple[int, int] = (12, 16)) -> None:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


class Counting:
    """Counts what is segmented."""

    def __init__(self, segmenter):
        self.names, self.segmenter, self.count = segmenter.names, segmenter, 0

    def segment_many(self, images):
        self.count += len(images)
        return self.segmenter.segment_many(images)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four images; each is segmented by itself."""
    monkeypatch.setattr("namesake.prediction.stream.BLOCK", 1)
    (tmp_path / "in").mkdir()
    for number in range(4):
        paint(tmp_path / "in" / f"{number}.png", number)
    return tmp_path / "in"


def predict(segmenter, folder: Path | str, out: Path, *, segmented: int | None = None) -> Images:
    counting, images = Counting(segmenter), open_images(folder)
    predict_folder(out, counting, images)
    assert segmented is None or counting.count == segmented
    return images


def same_as_fresh(segmenter, images: Images, out: Path, contents) -> None:
    fresh = out.with_name("fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    predict_folder(fresh, segmenter, images)
    assert contents(out) == contents(fresh)


def test_replaced__only_it_is_done_again(pictures, segmenter, tmp_path, contents):
    predict(segmenter, pictures, tmp_path / "out", segmented=4)
    paint(pictures / "2.png", 9, (30, 20))
    images = predict(segmenter, pictures, tmp_path / "out", segmented=1)
    same_as_fresh(segmenter, images, tmp_path / "out", contents)


def test_replaced__of_the_same_size_and_time(pictures, segmenter, tmp_path, contents):
    for number in range(4):
        paint(pictures / f"{number}.bmp", number)
        (pictures / f"{number}.png").unlink()
    predict(segmenter, pictures, tmp_path / "out", segmented=4)
    facts = (pictures / "1.bmp").stat()
    paint(pictures / "1.bmp", 9)
    os.utime(pictures / "1.bmp", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    images = predict(segmenter, pictures, tmp_path / "out", segmented=1)
    same_as_fresh(segmenter, images, tmp_path / "out", contents)


def test_gone__its_files_go(pictures, segmenter, tmp_path, contents):
    predict(segmenter, pictures, tmp_path / "out")
    (pictures / "0.png").unlink()
    images = predict(segmenter, pictures, tmp_path / "out", segmented=0)
    same_as_fresh(segmenter, images, tmp_path / "out", contents)


def test_damaged_and_mended(pictures, segmenter, tmp_path, contents):
    predict(segmenter, pictures, tmp_path / "out")
    whole = (pictures / "3.png").read_bytes()
    (pictures / "3.png").write_bytes(whole[:60])
    images = predict(segmenter, pictures, tmp_path / "out", segmented=0)
    same_as_fresh(segmenter, images, tmp_path / "out", contents)
    (pictures / "3.png").write_bytes(whole)
    images = predict(segmenter, pictures, tmp_path / "out", segmented=1)
    same_as_fresh(segmenter, images, tmp_path / "out", contents)


def test_namesake_came_and_went(pictures, segmenter, tmp_path, contents):
    """A further `1.jpg` gives the map of `1.png` a longer name, and back."""
    predict(segmenter, pictures, tmp_path / "out")
    paint(pictures / "1.jpg", 8)
    images = predict(segmenter, pictures, tmp_path / "out")
    same_as_fresh(segmenter, images, tmp_path / "out", contents)
    assert (tmp_path / "out" / "labels" / "1.jpg.png").is_file()
    (pictures / "1.jpg").unlink()
    images = predict(segmenter, pictures, tmp_path / "out", segmented=1)
    same_as_fresh(segmenter, images, tmp_path / "out", contents)


def test_tar__a_member_replaced(pictures, segmenter, tmp_path):
    import tarfile

    def pack() -> Path:
        with tarfile.open(tmp_path / "x.tar", "w") as tar:
            for file in sorted(pictures.iterdir()):
                tar.add(file, file.name)
        return tmp_path / "x.tar"

    predict(segmenter, pack(), tmp_path / "out", segmented=4)
    predict(segmenter, pack(), tmp_path / "out", segmented=0)
    paint(pictures / "2.png", 9)
    predict(segmenter, pack(), tmp_path / "out", segmented=1)


def test_other_folder__refused(pictures, segmenter, tmp_path, contents):
    predict(segmenter, pictures, tmp_path / "out")
    (tmp_path / "more").mkdir()
    paint(tmp_path / "more" / "0.png", 7)
    before = contents(tmp_path / "out")
    with pytest.raises(WorkspaceError, match=r"4 images in .*in, among them 0\.png, .* given now from .*more"):
        predict(segmenter, tmp_path / "more", tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_moved_and_grown_folder__goes_on(pictures, segmenter, tmp_path):
    predict(segmenter, pictures, tmp_path / "out")
    pictures.rename(tmp_path / "moved")
    paint(tmp_path / "moved" / "new.png", 7)
    predict(segmenter, tmp_path / "moved", tmp_path / "out", segmented=1)


def test_single_files__others_that_are_still_there_are_refused(pictures, segmenter, tmp_path):
    predict_folder(tmp_path / "out", segmenter, open_images(pictures / "0.png"), whole_folder=False)
    with pytest.raises(WorkspaceError, match="among them 0.png"):
        predict_folder(tmp_path / "out", segmenter, open_images(pictures / "1.png"), whole_folder=False)


def test_store__as_on_disk(pictures, segmenter, tmp_path, contents, memory):
    for path in pictures.iterdir():
        memory.pipe(f"/in/{path.name}", path.read_bytes())
    predict(segmenter, pictures, tmp_path / "disk")
    predict(segmenter, "memory://in", tmp_path / "out", segmented=4)
    written = contents(tmp_path / "disk")
    assert {each: data for each, data in contents(tmp_path / "out").items() if written[each] != data}.keys() == {
        "inputs.parquet"
    }
    predict(segmenter, "memory://in", tmp_path / "out", segmented=0)
    memory.pipe("/in/1.png", (pictures / "2.png").read_bytes())
    predict(segmenter, "memory://in", tmp_path / "out", segmented=1)
    predict_folder(tmp_path / "one", segmenter, open_images("memory://in/3.png"), whole_folder=False)
    with pytest.raises(WorkspaceError, match="not among"):
        predict_folder(tmp_path / "one", segmenter, open_images("memory://in/2.png"), whole_folder=False)


def test_earlier_version__maps_younger_than_their_images_stay(pictures, segmenter, tmp_path):
    predict(segmenter, pictures, tmp_path / "out")
    (tmp_path / "out" / "inputs.parquet").unlink()
    paint(pictures / "2.png", 9)
    (pictures / "0.png").unlink()
    predict(segmenter, pictures, tmp_path / "out", segmented=1)
    assert {path.name for path in (tmp_path / "out" / "labels").iterdir()} == {"1.png", "2.png", "3.png"}
    assert len(json.loads((tmp_path / "out" / "instances.json").read_text())["images"]) == 3


def test_long_names__done_under_a_name_that_fits(pictures, segmenter, tmp_path):
    for name in ("n" * 251 + ".png", "n" * 251 + ".jpg", "é" * 124 + ".png"):
        paint(pictures / name, 5)
    predict(segmenter, pictures, tmp_path / "out")
    assert len(list((tmp_path / "out" / "labels").iterdir())) == 7


NAMES = st.lists(
    st.text("ab./é", min_size=1, max_size=5).map(
        lambda text: "/".join(part for part in text.split("/") if part.strip("."))
    ),
    min_size=1,
    max_size=6,
).map(lambda stems: sorted({f"{stem}{kind}" for stem in stems for kind in (".png", ".jpg", ".jpg.png") if stem}))


@settings(max_examples=200, deadline=None)
@given(NAMES)
def test_stems__no_two_alike(ids: list[str]):
    stems = stems_of(ids)
    assert len(set(stems.values())) == len(ids)
    assert stems_of(ids[::-1]) == stems


def test_stems__three_that_differ_in_suffixes():
    assert stems_of(["a.jpg", "a.png", "a.jpg.png", "b.png"]) == {
        "a.jpg": "a.jpg",
        "a.png": "a.png",
        "a.jpg.png": "a.jpg.png",
        "b.png": "b",
    }
