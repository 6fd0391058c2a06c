import io
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from namesake.errors import ImagesError
from namesake.images import read_image
from namesake.images.decode import as_image

Encode = Callable[..., bytes]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 64)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("format_", ["PNG", "BMP", "PPM", "TIFF", "WEBP"])
def test_lossless__exact_from_bytes_and_file(photo: np.ndarray, encode: Encode, tmp_path: Path, format_: str):
    content = encode(photo, format_, **({"lossless": True} if format_ == "WEBP" else {}))
    (tmp_path / "image").write_bytes(content)
    for image in (read_image(content), read_image(tmp_path / "image")):
        assert image.dtype == np.uint8
        assert image.flags.writeable
        assert image.flags.c_contiguous
        np.testing.assert_array_equal(image, photo)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation__as_pillow_shows_it(encode: Encode, format_: str, orientation: int):
    corners = np.kron(np.array([[0, 80, 160], [200, 120, 250]], dtype=np.uint8), np.ones((16, 16), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_image(encode(np.stack([corners] * 3, axis=2), format_, exif=exif))
    upright = {
        1: corners,
        2: corners[:, ::-1],
        3: corners[::-1, ::-1],
        4: corners[::-1],
        5: corners.T,
        6: np.rot90(corners, -1),
        7: np.rot90(corners.T, 2),
        8: np.rot90(corners),
    }[orientation]
    assert image.shape[:2] == upright.shape
    assert np.abs(image[:, :, 0].astype(int) - upright).max() < 8


def test_exif__broken_block_ignored(photo: np.ndarray, encode: Encode):
    content = encode(photo, "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    np.testing.assert_array_equal(read_image(content), photo)


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey__scaled_not_clipped(encode: Encode, format_: str):
    grey = np.linspace(0, 65535, 24 * 36).reshape(24, 36).astype(np.uint16)
    image = read_image(encode(grey, format_))
    assert (image == image[:, :, :1]).all()
    np.testing.assert_array_equal(image[:, :, 0], np.rint(grey / 257))


@pytest.mark.parametrize(("highest", "top"), [(200, 255), (255, 255), (256, 4095), (4095, 4095), (4096, 65535)])
def test_16_bit_grey__of_fewer_bits(encode: Encode, highest: int, top: int):
    """Cameras and scanners store 12 bits in 16; such a picture must not come out black."""
    assert read_image(encode(np.full((4, 4), highest, dtype=np.uint16), "PNG")).max() == round(highest * 255 / top)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[0.0, 0.5, 1.0]], [0, 128, 255]),
        ([[0.0, 100.4, 255.0]], [0, 100, 255]),
        ([[0.0, 25700.0, 65535.0]], [0, 100, 255]),
        ([[-1.0, 0.0, 1.0]], [0, 128, 255]),
        ([[5e6, 5e6, 5e6]], [0, 0, 0]),
        ([[float("nan"), 1.0, float("inf")]], [0, 255, 0]),
    ],
)
def test_float_grey__smallest_range_that_holds_it(encode: Encode, values: list[list[float]], expected: list[int]):
    assert read_image(encode(np.array(values, dtype=np.float32), "TIFF"))[0, :, 1].tolist() == expected


def test_32_bit_integer_grey(encode: Encode):
    assert read_image(encode(np.array([[0, 128, 255]], dtype=np.int32), "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    assert read_image(encode(np.array([[-500, 0, 500]], dtype=np.int32), "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("mode", "format_", "options"),
    [
        ("1", "PNG", {}),
        ("L", "PNG", {}),
        ("L", "PPM", {}),
        ("P", "PNG", {}),
        ("P", "GIF", {}),
        ("YCbCr", "TIFF", {"compression": "tiff_lzw"}),
        ("CMYK", "TIFF", {}),
    ],
)
def test_modes__as_pillow_converts_them(
    photo: np.ndarray, encode: Encode, mode: str, format_: str, options: dict[str, str]
):
    converted = Image.fromarray(photo).convert(mode)
    read = read_image(encode(converted, format_, **options))
    np.testing.assert_allclose(read.astype(int), np.asarray(converted.convert("RGB")).astype(int), atol=2)


def test_cmyk_jpeg__not_inverted(encode: Encode):
    red = encode(Image.new("RGB", (16, 16), (200, 30, 40)).convert("CMYK"), "JPEG", quality=95)
    np.testing.assert_allclose(read_image(red)[8, 8], (200, 30, 40), atol=6)


def test_lab_tiff__colours_kept(encode: Encode):
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (4, 4), (200, 30, 40)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    image = read_image(encode(lab, "TIFF"))
    assert image.shape == (4, 4, 3)
    assert image[0, 0, 0] > image[0, 0, 1] + 100


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha__composited_on_white(encode: Encode, mode: str):
    image = Image.new("RGBA", (3, 1), (10, 10, 10, 255))
    image.putpixel((1, 0), (10, 10, 10, 0))
    image.putpixel((2, 0), (10, 10, 10, 128))
    assert read_image(encode(image.convert(mode), "PNG"))[0, :, 0].tolist() == [10, 255, 132]


def test_palette_with_transparency__composited_on_white(encode: Encode):
    image = Image.new("P", (2, 1))
    image.putpalette([9, 9, 9, 200, 0, 0])
    image.putpixel((1, 0), 1)
    for transparency in (1, bytes([255, 0])):
        content = encode(image, "PNG", transparency=transparency)
        assert read_image(content)[0].tolist() == [[9, 9, 9], [255, 255, 255]]


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF"])
def test_several_frames__the_first(encode: Encode, format_: str):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    image = read_image(encode(frames[0], format_, save_all=True, append_images=frames[1:]))
    np.testing.assert_allclose(image[4, 4], (250, 0, 0), atol=4)


def test_mpo__the_first_picture(encode: Encode):
    first, second = Image.new("RGB", (8, 8), (250, 0, 0)), Image.new("RGB", (8, 8))
    content = encode(first, "MPO", save_all=True, append_images=[second])
    np.testing.assert_allclose(read_image(content)[4, 4], (254, 0, 0), atol=6)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (1, 1)])
def test_absurd_proportions__accepted(encode: Encode, size: tuple[int, int]):
    assert read_image(encode(Image.new("RGB", size, (1, 2, 3)), "PNG")).shape == (size[1], size[0], 3)


def test_truncated__says_so(photo: np.ndarray, encode: Encode, tmp_path: Path):
    for format_ in ("JPEG", "PNG", "BMP", "TIFF"):
        content = encode(np.kron(photo, np.ones((4, 4, 1), dtype=np.uint8)), format_)
        (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
        with pytest.raises(ImagesError, match=r"^cut\.jpg: .*(truncated|not an image)"):
            read_image(tmp_path / "cut.jpg")


def test_empty_file(tmp_path: Path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImagesError, match=r"^empty\.png: the file is empty"):
        read_image(tmp_path / "empty.png")
    with pytest.raises(ImagesError, match="the image: the file is empty"):
        read_image(b"")


@pytest.mark.parametrize("content", [b"hello", b"<html></html>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\0" * 1000])
def test_not_an_image(content: bytes):
    with pytest.raises(ImagesError):
        read_image(content)


def test_formats_that_start_other_programs__not_opened():
    with pytest.raises(ImagesError, match="not an image that can be read here"):
        read_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")


def test_missing_file_and_folder(tmp_path: Path):
    with pytest.raises(ImagesError, match=r"^x\.png: cannot be read: No such file"):
        read_image(tmp_path / "x.png")
    with pytest.raises(ImagesError, match="Is a directory"):
        read_image(tmp_path)


def test_zero_size():
    for width, height in ((0, 5), (5, 0), (0, 0)):
        with pytest.raises(ImagesError):
            read_image(png_header(width, height))


def test_pixel_bomb__refused_before_decoding():
    with pytest.raises(ImagesError, match="more pixels than Pillow allows"):
        read_image(png_header(60_000, 60_000))


def test_pixel_bomb__own_limit(photo: np.ndarray, encode: Encode):
    content = encode(photo, "PNG")
    with pytest.raises(ImagesError, match="36x24 pixels; at most 863 are allowed"):
        read_image(content, max_pixels=863)
    assert read_image(content, max_pixels=864).shape == (24, 36, 3)


def test_large_but_allowed__no_warning_in_any_thread():
    """Between half of Pillow's limit and the limit Pillow warns; warnings are errors here."""
    reasons = []

    def read() -> None:
        try:
            read_image(png_header(12_000, 10_000))
        except ImagesError as error:
            reasons.append(str(error))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert "truncated" in reasons[0]


def test_warnings_of_pillow__kept_quiet(photo: np.ndarray, encode: Encode):
    """A TIFF whose directory ends early makes Pillow warn."""
    content = encode(photo, "TIFF")
    with pytest.raises(ImagesError):
        read_image(content[: len(content) - 20])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]), st.data())
def test_damaged_bytes__an_array_or_a_named_error(format_: str, data: st.DataObject):
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, format_)
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = read_image(bytes(content), max_pixels=10**6)
    except ImagesError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3


@pytest.mark.data
def test_photographs__as_pillow_reads_them(shared: Path):
    for file in sorted((shared / "data" / "photos").glob("*.jpg"))[:10]:
        with Image.open(file) as image:
            np.testing.assert_array_equal(read_image(file), np.asarray(ImageOps.exif_transpose(image).convert("RGB")))


def test_as_image__array_pil_and_file_are_the_same(tmp_path: Path):
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    for form in (image, Image.fromarray(image), tmp_path / "a.png", str(tmp_path / "a.png")):
        assert np.array_equal(as_image(form), image)


def test_as_image__grey_pil_image():
    assert (as_image(Image.new("L", (12, 9), 100)) == np.full((9, 12, 3), 100)).all()


@pytest.mark.parametrize(
    "wrong", [np.zeros(4), np.zeros((4, 4, 5), np.uint8), np.zeros((0, 4, 3), np.uint8), np.array(["a"]), [1, 2], None]
)
def test_as_image__not_an_image(wrong):
    with pytest.raises(ImagesError, match="expected"):
        as_image(wrong)


def _entries(content: bytes) -> Iterator[int]:
    """Places of the 12 bytes of each tag of a little-endian TIFF's first directory."""
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    return iter(range(start + 2, start + 2 + 12 * count, 12))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("field", "width"), [(0, 2), (4, 4), (8, 4)], ids=["tag", "count", "value"])
def test_tiff__a_tag_gone_or_zero_gives_pixels_or_the_error(kind: type, field: int, width: int) -> None:
    written = io.BytesIO()
    tifffile.imwrite(written, np.ones((6, 5, 3), kind), photometric="rgb")
    content = written.getvalue()
    for place in _entries(content):
        broken = bytearray(content)
        broken[place + field : place + field + width] = bytes(width)
        with suppress(ImagesError):
            image = read_image(bytes(broken))
            assert 0 not in image.shape
            assert image.dtype == np.uint8
