"""Files of others: layouts of downloaders, endings, the same pixels whichever way they come in."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from namesake.errors import ImagesError
from namesake.images import containers, open_images, read_image
from namesake.images.decode import as_image, formats, look_at
from namesake.images.identity import identify


def png(value: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.full((3, 4, 3), value, dtype=np.uint8)).save(content, format="PNG")
    return content.getvalue()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks the network fails."""

    def refuse(url: str, **_: object) -> bytes:
        raise AssertionError(f"asked for {url}")

    monkeypatch.setattr(containers, "read_url", refuse)


URLS = pa.table({"key": ["000000000", "000000001"], "url": ["https://example.org/a", "https://example.org/b"]})


def lay_out(home: Path, *, layout: str) -> set[str]:
    """A set as img2dataset leaves it; the ids that it has."""
    pq.write_table(URLS, home / "00000.parquet")
    (home / "00000_stats.json").write_text("{}")
    names = ["000000000.jpg", "000000001.jpg"]
    if layout == "files":
        (home / "00000").mkdir()
        for name in names:
            (home / "00000" / name).write_bytes(png(1))
            (home / "00000" / name).with_suffix(".json").write_text("{}")
        return {f"00000/{name}" for name in names}
    if layout == "webdataset":
        with tarfile.open(home / "00000.tar", "w") as tar:
            for name in names:
                facts = tarfile.TarInfo(name)
                facts.size = len(png(1))
                tar.addfile(facts, io.BytesIO(png(1)))
        return {f"00000.tar/{name}" for name in names}
    if layout == "flat":
        for name in names:
            (home / name).write_bytes(png(1))
        return set(names)
    pq.write_table(URLS.append_column("jpg", pa.array([png(1), png(2)])), home / "00000.parquet")
    return {"00000.parquet/00000000", "00000.parquet/00000001"}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("layout", ["files", "webdataset", "flat", "parquet"])
def test_downloaded__each_image_once_and_nothing_fetched(tmp_path: Path, layout: str):
    wanted = lay_out(tmp_path, layout=layout)
    images = open_images(tmp_path)
    assert set(images.ids) == wanted
    assert all(known.digest for known in identify(images).values())
    for image_id in images.ids:
        assert read_image(images.path(image_id)).shape == (3, 4, 3)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("layout", ["files", "webdataset"])
def test_downloaded__the_table_itself_leads_to_the_files(tmp_path: Path, layout: str):
    lay_out(tmp_path, layout=layout)
    images = open_images(tmp_path / "00000.parquet")
    assert images.ids == ("000000000.jpg", "000000001.jpg")
    assert read_image(images.path("000000001.jpg"))[0, 0, 0] == 1


@pytest.mark.usefixtures("offline")
def test_urls_alone__listed_and_told_apart_without_the_network(tmp_path: Path):
    pq.write_table(URLS, tmp_path / "t.parquet")
    images = open_images(tmp_path)
    assert len(images) == 2
    before = identify(images)
    assert len({known.digest for known in before.values()}) == 2
    pq.write_table(URLS.slice(1), tmp_path / "t.parquet")
    assert identify(open_images(tmp_path))["t.parquet/00000000"].digest == before["t.parquet/00000001"].digest


def test_patterns__of_files_and_tars(tmp_path: Path):
    lay_out(tmp_path, layout="webdataset")
    (tmp_path / "b.png").write_bytes(png(3))
    assert open_images(f"{tmp_path}/*").ids == ("00000.tar/000000000.jpg", "00000.tar/000000001.jpg", "b.png")
    assert open_images([f"{tmp_path}/*.png", tmp_path / "00000.tar"]).ids[-1] == "b.png"


def test_passed_over__counted_by_ending(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("a.jfif", "b.jpe", "c.JPG", "d.txt", "e.TXT", "f.mp4", "g.svg", "README"):
        (tmp_path / name).touch()
    images = open_images(tmp_path)
    assert images.ids == ("a.jfif", "b.jpe", "c.JPG")
    assert images.passed_over == {".txt": 2, ".mp4": 1, ".svg": 1, "": 1}
    assert "5 files are passed over by their ending: 2 .txt, 1 without extension, 1 .mp4, 1 .svg" in " ".join(
        capsys.readouterr().err.split()
    )


def test_passed_over__heic_without_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("namesake.images.folder.formats", lambda: ("JPEG",))
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.HEIC").touch()
    assert open_images(tmp_path).passed_over == {".heic": 1}
    assert "[heif]" in capsys.readouterr().err
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(ImagesError, match=r"\[heif\]"):
        open_images(tmp_path)
    with pytest.raises(ImagesError, match=r"\[heif\]"):
        open_images(tmp_path / "b.HEIC")


def test_video__named_as_one(tmp_path: Path):
    (tmp_path / "f.mp4").touch()
    with pytest.raises(ImagesError, match="is a video, which only `predict` takes"):
        open_images(tmp_path / "f.mp4")
    with pytest.raises(ImagesError, match=r"Videos \(\.mp4\)"):
        open_images(tmp_path)


CORNERS = np.kron(np.array([[0, 80, 160], [200, 120, 250]], dtype=np.uint8), np.ones((16, 16), dtype=np.uint8))


def stored(kind: str) -> bytes:
    """One picture of each kind that has been read in two ways somewhere."""
    exif, colour = Image.Exif(), Image.fromarray(np.stack([CORNERS, CORNERS.T.reshape(CORNERS.shape), CORNERS], axis=2))
    exif[0x0112] = 6
    alpha = colour.copy()
    alpha.putalpha(Image.fromarray(CORNERS))
    deep = Image.fromarray(CORNERS.astype(np.uint16) * 16)
    content = io.BytesIO()
    pictures = {
        "grey16": (deep, "PNG", {}),
        "grey16 turned": (deep, "TIFF", {"exif": exif}),
        "float": (Image.fromarray(CORNERS.astype(np.float32) / 255), "TIFF", {}),
        "int32": (Image.fromarray(CORNERS.astype(np.int32) - 40), "TIFF", {}),
        "alpha": (alpha, "PNG", {}),
        "alpha turned": (alpha, "WEBP", {"exif": exif, "lossless": True}),
        "grey alpha": (alpha.convert("LA"), "PNG", {}),
        "palette": (colour.convert("P"), "GIF", {"transparency": 0}),
        "turned": (colour, "JPEG", {"exif": exif}),
        "turned png": (colour, "PNG", {"exif": exif}),
        "cmyk": (colour.convert("CMYK"), "JPEG", {}),
        "avif turned": (colour, "AVIF", {"exif": exif}),
        "one bit": (colour.convert("1"), "PNG", {}),
        "animation": (colour, "GIF", {"save_all": True, "append_images": [Image.new("RGB", colour.size)]}),
    }
    picture, format_, options = pictures[kind]
    picture.save(content, format_, **options)
    return content.getvalue()


KINDS = (
    "grey16,grey16 turned,float,int32,alpha,alpha turned,grey alpha,palette,turned,turned png,cmyk,one bit,animation"
)


@pytest.mark.parametrize("kind", [*KINDS.split(","), *(["avif turned"] if "AVIF" in formats() else [])])
def test_pixels__the_same_by_path_bytes_pil_and_size(tmp_path: Path, kind: str):
    content = stored(kind)
    (tmp_path / "x").write_bytes(content)
    wanted = read_image(tmp_path / "x")
    with Image.open(io.BytesIO(content)) as picture:
        orientation = picture.getexif().get(0x0112)
        np.testing.assert_array_equal(as_image(picture), wanted)
        np.testing.assert_array_equal(as_image(picture), wanted)  # the first time left it as it was
    assert orientation == (6 if "turned" in kind else None)
    np.testing.assert_array_equal(as_image(content), wanted)
    np.testing.assert_array_equal(as_image(wanted), wanted)
    found = look_at(content, name="x")
    assert (found.height, found.width) == wanted.shape[:2] == ((48, 32) if "turned" in kind else (32, 48))
    assert found.upright == ("turned" not in kind)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, bool])
def test_arrays__as_the_file_of_them(dtype: type):
    values = (CORNERS > 100) if dtype is bool else CORNERS.astype(dtype) * (16 if dtype == np.uint16 else 1)
    content = io.BytesIO()
    Image.fromarray(values).save(content, "TIFF")
    np.testing.assert_array_equal(as_image(values), read_image(content.getvalue()))
    np.testing.assert_array_equal(as_image(values[:, :, None]), as_image(values))


def test_heic__read_by_its_extra():
    pillow_heif = pytest.importorskip("pillow_heif")
    image = Image.fromarray(np.kron(np.eye(4, dtype=np.uint8) * 200, np.ones((32, 16), np.uint8))).convert("RGB")
    content = io.BytesIO()
    pillow_heif.from_pillow(image).save(content, quality=95)
    found = read_image(content.getvalue())
    assert found.shape == (128, 64, 3)
    assert np.abs(found.astype(int) - np.asarray(image)).mean() < 4
    assert look_at(content.getvalue(), name="x").format == "HEIF"


def tiff(values: np.ndarray, **options: object) -> bytes:
    content = io.BytesIO()
    tifffile.imwrite(content, values, **options)
    return content.getvalue()


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("bands", [4, 5, 13])
def test_rasters__the_first_three_bands(bands: int, planes: str):
    values = np.random.default_rng(0).integers(0, 256, (8, 9, bands), dtype=np.uint8)
    content = tiff(
        values if planes == "contig" else np.moveaxis(values, -1, 0), photometric="minisblack", planarconfig=planes
    )
    np.testing.assert_array_equal(read_image(content), values[:, :, :3])


def test_rasters__12_bit_colours_and_floats():
    values = np.linspace(0, 4095, 8 * 9 * 3).reshape(8, 9, 3).astype(np.uint16)
    np.testing.assert_array_equal(read_image(tiff(values, photometric="rgb")), np.rint(values / 4095 * 255))
    floats = (values / 4095).astype(np.float32)
    np.testing.assert_allclose(read_image(tiff(floats, photometric="rgb")), floats * 255, atol=0.6)


@pytest.mark.parametrize(
    ("empty", "options"),
    [
        (-9999.0, {}),
        (-32768.0, {}),
        (float(np.finfo(np.float32).min), {}),
        (float("nan"), {}),
        (7777.0, {"extratags": [(42113, 2, 0, "7777", True)]}),
    ],
)
def test_no_data__black_and_not_in_the_range(empty: float, options: dict[str, list[object]]):
    values = np.full((4, 4), 0.5, np.float32)
    values[0, 0], values[0, 1] = empty, 1.0
    found = read_image(tiff(values, **options))[:, :, 0]
    assert (found[0, 0], found[0, 1], found[1, 1]) == (0, 255, 128)


def test_no_data__nothing_else():
    assert read_image(tiff(np.full((4, 4), np.nan, np.float32))).max() == 0


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64]),
    st.sampled_from([(5, 4), (5, 4, 1), (5, 4, 3), (5, 4, 4)]),
    st.floats(-1e9, 1e9),
    st.floats(0, 1e9),
)
def test_any_numbers__bytes_come_out(dtype: type, shape: tuple[int, ...], low: float, span: float):
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    values = (
        np.clip(np.linspace(low, low + span, int(np.prod(shape))), limits.min, limits.max).reshape(shape).astype(dtype)
    )
    found = as_image(values)
    assert found.dtype == np.uint8
    assert found.shape == (5, 4, 3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_forbidden_file__named(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(png(1))
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(ImagesError, match="Permission denied"):
        read_image(tmp_path / "a.png")
