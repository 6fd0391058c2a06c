from pathlib import Path

import pytest

from namesake.errors import ImagesError
from namesake.prediction import open_source, predict_folder


def test_folder__all_of_it(photos, tmp_path):
    found = open_source([photos.folder], out=tmp_path / "out")
    assert found.images == photos
    assert found.whole_folder


def test_files__ids_relative_to_what_holds_them(photos, tmp_path):
    found = open_source([photos.path("sub/a.png"), photos.path("b.png")], out=tmp_path / "out")
    assert found.images.folder == photos.folder
    assert found.images.ids == ("b.png", "sub/a.png")
    assert not found.whole_folder


def test_file__one(photos, tmp_path):
    found = open_source([photos.path("sub/a.png")], out=tmp_path / "out")
    assert found.images.ids == ("a.png",)


@pytest.mark.parametrize(
    ("pattern", "ids"),
    [
        ("*.png", ("a.png", "b.png", "d.png")),
        ("**/*.png", ("a.png", "b.png", "d.png", "sub/a.png")),
        ("[ac].*", ("a.png", "c.jpg")),
    ],
)
def test_glob(photos, tmp_path, pattern, ids):
    assert open_source([f"{photos.folder}/{pattern}"], out=tmp_path / "out").images.ids == ids


def test_glob__with_a_file_and_a_folder_each_once(photos, tmp_path):
    paths = [f"{photos.folder}/*.png", photos.path("a.png"), photos.folder / "sub"]
    found = open_source(paths, out=tmp_path / "out")
    assert found.images.ids == ("a.png", "b.png", "d.png", "sub/a.png", "sub/e.bmp")


def test_glob__a_file_whose_name_looks_like_one(photos, tmp_path):
    odd = photos.folder / "a[1].png"
    odd.write_bytes(photos.path("a.png").read_bytes())
    assert open_source([odd], out=tmp_path / "out").images.ids == ("a[1].png",)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["missing.png", "a.png"], "found nothing"),
        (["*.tif"], "fits no image"),
        (["notes.md", "a.png"], "expected an image"),
        (["clip.mp4", "a.png"], "alone"),
    ],
)
def test_errors(photos, tmp_path, names, said):
    (photos.folder / "notes.md").write_text("no image")
    with pytest.raises(ImagesError, match=said):
        open_source([photos.folder / name for name in names], out=tmp_path / "out")


def test_predict__beside_single_files(photos, segmenter, monkeypatch):
    monkeypatch.chdir(photos.folder)
    found = open_source(["a.png"], out=Path("masks"))
    predict_folder(Path("masks"), segmenter, found.images, whole_folder=found.whole_folder)
    assert [path.name for path in Path("masks/labels").iterdir()] == ["a.png"]


def test_store__folder_and_film(photos, tmp_path, memory):
    memory.pipe("/in/a.png", photos.path("a.png").read_bytes())
    found = open_source(["memory://in"], out=tmp_path / "out")
    assert (found.images.ids, found.whole_folder) == (("a.png",), True)
    assert not open_source(["memory://in/a.png"], out=tmp_path / "out").whole_folder
    with pytest.raises(ImagesError, match="copy the video"):
        open_source(["memory://in/film.mp4"], out=tmp_path / "out")
