import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from namesake.errors import DataError
from namesake.evaluation.benchmarks.decode import DECODERS, encode_red_green
from namesake.evaluation.benchmarks.ids import published_names


def saved(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path)
    return path


def test_red_green__round_trip_of_all_ids(tmp_path):
    ids = np.arange(1001, dtype=np.int32).reshape(7, 143)
    path = saved(tmp_path / "a.png", encode_red_green(ids))
    assert np.array_equal(DECODERS["red + 256 green"](path), ids)


def test_red_green__index_png_holds_the_ids(tmp_path):
    ids = np.array([[0, 300, 919]], dtype=np.uint16)
    assert DECODERS["red + 256 green"](saved(tmp_path / "a.png", ids)).tolist() == ids.tolist()


def test_binary__half_as_bright(tmp_path):
    grey = np.array([[0, 51, 127, 128, 255]], dtype=np.uint8)
    assert DECODERS["binary"](saved(tmp_path / "a.png", grey)).tolist() == [[0, 0, 0, 1, 1]]
    assert DECODERS["binary"](saved(tmp_path / "b.png", grey.repeat(3).reshape(1, 5, 3))).tolist() == [[0, 0, 0, 1, 1]]
    assert DECODERS["binary"](saved(tmp_path / "c.png", np.array([[0, 1]], np.uint8))).tolist() == [[0, 1]]


def test_category_folder__the_folder_says_the_name(tmp_path):
    names = published_names("coca").names
    number = next(key for key, name in names.items() if name == "avocado")
    path = saved(tmp_path / "avocado" / "a.png", np.array([[0, 255]], np.uint8))
    assert DECODERS["category folder"](path).tolist() == [[0, number]]
    with pytest.raises(DataError, match="CoCA's 80 categories"):
        DECODERS["category folder"](saved(tmp_path / "unicorn" / "a.png", np.array([[0, 255]], np.uint8)))


def test_red__objects_number_is_dropped(tmp_path):
    path = saved(tmp_path / "a.png", np.array([[[13, 0, 7], [255, 1, 2]]], np.uint8))
    assert DECODERS["red"](path).tolist() == [[13, 255]]


def test_things__official_ids(tmp_path):
    """COCO-Stuff's 0 is person, 90 toothbrush's 89 + 1, 91 and above stuff."""
    path = saved(tmp_path / "a.png", np.array([[0, 89, 90, 91, 181, 255]], np.uint8))
    assert DECODERS["coco things"](path).tolist() == [[1, 90, 91, 0, 0, 255]]


def test_camvid__colours_and_ids(tmp_path):
    colours = np.array([[[128, 128, 128], [64, 0, 64], [192, 0, 192], [0, 0, 0]]], np.uint8)
    assert DECODERS["camvid"](saved(tmp_path / "a.png", colours)).tolist() == [[0, 1, 10, 11]]
    assert DECODERS["camvid"](saved(tmp_path / "b.png", np.array([[3, 11]], np.uint8))).tolist() == [[3, 11]]
    with pytest.raises(DataError, match=r"\[1, 2, 3\], which is none of CamVid's 32"):
        DECODERS["camvid"](saved(tmp_path / "c.png", np.array([[[1, 2, 3]]], np.uint8)))


def test_context__words_to_59_names(tmp_path):
    words = ["accordion", *published_names("pascal-context").names.values()]
    (tmp_path / "labels.txt").write_text("".join(f"{number}: {word}\n" for number, word in enumerate(words, start=1)))
    (tmp_path / "trainval").mkdir()
    savemat(tmp_path / "trainval" / "a.mat", {"LabelMap": np.array([[1, 2, 60]], np.uint16)})
    assert DECODERS["pascal context"](tmp_path / "trainval" / "a.mat").tolist() == [[0, 1, 59]]
    with pytest.raises(DataError, match="found no file"):
        DECODERS["pascal context"](tmp_path / "trainval" / "b.mat")


@pytest.mark.parametrize("code", sorted(set(DECODERS) - {"category folder", "pascal context"}))
def test_decode__missing_and_damaged(tmp_path, code):
    with pytest.raises(DataError, match="found no file"):
        DECODERS[code](tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read"):
        DECODERS[code](tmp_path / "b.png")
