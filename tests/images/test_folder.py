import os
from pathlib import Path

import pytest
from PIL import Image

from namesake.errors import ImagesError
from namesake.images import open_images


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_ids__recursive_and_sorted_by_code_point(folder: Path):
    images = open_images(folder)
    assert images.ids == ("B.PNG", "a.png", "a/10.png", "a/2.png", "b.png")
    assert images.path("a/2.png") == folder / "a" / "2.png"
    assert images.folder.is_absolute()


def test_extensions__all_and_in_any_case(tmp_path: Path):
    kinds = "jpg jpeg png bmp webp tif tiff ppm pgm gif JPG Png"
    names = [f"x.{kind}" for kind in kinds.split()]
    for name in [*names, "x.txt", "jpg", "x.jpg.part", "x."]:
        (tmp_path / name).touch()
    assert open_images(tmp_path).ids == tuple(sorted(names))


def test_hidden__passed_over(folder: Path):
    (folder / ".hidden").mkdir()
    for name in (".x.png", "._b.png", ".hidden/x.png"):
        (folder / name).touch()
    assert len(open_images(folder)) == 5


def test_relative_folder__ids_hold_after_a_change_of_directory(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder.parent)
    images = open_images(Path("in"))
    monkeypatch.chdir("/")
    assert images.path("a.png").is_file()


def test_links__out_of_the_folder_left_out_and_listed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.png").touch()
    (folder / "leaves.png").symlink_to(tmp_path / "outside" / "x.png")
    (folder / "leaves").symlink_to(tmp_path / "outside")
    (folder / "gone.png").symlink_to(folder / "nothing.png")
    (folder / "round.png").symlink_to(folder / "round.png")
    (folder / "up").symlink_to(folder / "a")
    (folder / "within.png").symlink_to(folder / "b.png")
    assert open_images(folder).ids == ("B.PNG", "a.png", "a/10.png", "a/2.png", "b.png", "within.png")
    text = said(capsys)
    assert "5 left out" in text
    assert "'leaves.png' (a link that leaves the folder)" in text
    assert "'gone.png' (a link that leads nowhere)" in text
    assert "'round.png' (a link that leads nowhere)" in text


def test_links__the_folder_itself_may_be_one(folder: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(folder)
    images = open_images(tmp_path / "link")
    assert len(images) == 5
    assert images.path("b.png").is_file()


def test_not_regular__left_out(folder: Path, capsys: pytest.CaptureFixture[str]):
    os.mkfifo(folder / "pipe.png")
    assert "pipe.png" not in open_images(folder).ids
    assert "'pipe.png' (not a regular file)" in said(capsys)


def test_name_not_utf8__left_out(folder: Path, capsys: pytest.CaptureFixture[str]):
    Image.new("RGB", (2, 2)).save(folder / "x.png")
    try:
        (folder / "x.png").rename(os.fsencode(str(folder)).decode() + "/" + os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert len(open_images(folder)) == 5
    assert "its name is not UTF-8" in said(capsys)
    place = Path(str(folder) + "/" + os.fsdecode(b"d\xe9ja"))
    place.mkdir()
    Image.new("RGB", (2, 2)).save(place / "y.png")
    assert len(open_images(folder)) == 5
    assert "its name is not UTF-8" in said(capsys)
    assert all(image_id.isascii() for image_id in open_images([f"{folder}/**/*.png"]).ids)


def test_missing_folder(tmp_path: Path):
    with pytest.raises(
        ImagesError, match="expected a folder with images, an image or a pattern at .*nowhere, found nothing"
    ):
        open_images(tmp_path / "nowhere")


def test_file__alone(folder: Path):
    images = open_images(folder / "a" / "2.png")
    assert (images.folder, images.ids) == (folder / "a", ("2.png",))


def test_several__files_folders_and_patterns_each_once(folder: Path):
    assert open_images([folder / "a", f"{folder}/*.png", folder / "a.png"]).ids == (
        "a.png",
        "a/10.png",
        "a/2.png",
        "b.png",
    )


def test_no_image__says_what_was_looked_for_and_found(tmp_path: Path):
    for name in ("a.txt", "b.txt", "c.heif.bak", "README"):
        (tmp_path / name).touch()
    with pytest.raises(ImagesError, match=r"ending in \.jpg, \.jpeg, .*found 2 \.txt, 1 without extension, 1 \.bak"):
        open_images(tmp_path)


def test_no_image__empty_folder(tmp_path: Path):
    with pytest.raises(ImagesError, match="found no file"):
        open_images(tmp_path)


def test_no_image__only_links_that_leave(tmp_path: Path):
    (tmp_path / "x.png").touch()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.png").symlink_to(tmp_path / "x.png")
    with pytest.raises(ImagesError, match="a link that leaves the folder"):
        open_images(tmp_path / "in")
