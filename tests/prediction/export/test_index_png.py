import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from namesake.errors import DataError
from namesake.images.palette import palette
from namesake.prediction.export.index_png import encode_index_png, read_index_png, write_index_png


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), names=st.sampled_from([1, 254, 255, 65_000]), side=st.integers(1, 30))
def test_write__read_back(tmp_path_factory, seed, names, side):
    last = 255 if names <= 254 else 65_535
    labels = np.random.default_rng(seed).integers(0, last + 1, (side, 2 * side))
    path = tmp_path_factory.mktemp("png") / "labels.png"
    write_index_png(path, labels, names=names)
    found = read_index_png(path)
    assert np.array_equal(found, labels)
    assert found.dtype == (np.uint8 if names <= 254 else np.int32)


def test_encode__palette_of_voc():
    content = encode_index_png(np.array([[0, 1, 255]]), names=20)
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.array(picture.getpalette(), np.uint8).reshape(-1, 3), palette())
        assert picture.convert("RGB").getpixel((2, 0)) == (224, 224, 192)


def test_encode__same_bytes_from_any_dtype():
    labels = np.arange(12).reshape(3, 4)
    contents = {encode_index_png(labels.astype(dtype), names=20) for dtype in (np.uint8, np.int16, np.int64)}
    assert len(contents) == 1


@pytest.mark.parametrize(("label", "names"), [(256, 20), (-1, 20), (65_536, 300), (-1, 300)])
def test_encode__label_does_not_fit(label, names):
    with pytest.raises(DataError, match=f"for {names} names, found"):
        encode_index_png(np.array([[0, label]]), names=names)


def test_read__no_file(tmp_path):
    with pytest.raises(DataError, match="found no file"):
        read_index_png(tmp_path / "labels.png")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_read__colours(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "labels.png")
    with pytest.raises(DataError, match=f"a picture in {mode} colours; expected an index PNG"):
        read_index_png(tmp_path / "labels.png")


def test_read__one_bit(tmp_path):
    Image.new("1", (4, 4), 1).save(tmp_path / "labels.png")
    assert read_index_png(tmp_path / "labels.png").tolist() == [[1] * 4] * 4


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_read__damaged(tmp_path, content):
    whole = encode_index_png(np.random.default_rng(0).integers(0, 9, (50, 50)), names=20)
    (tmp_path / "labels.png").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(DataError, match="cannot be read as a label map"):
        read_index_png(tmp_path / "labels.png")
