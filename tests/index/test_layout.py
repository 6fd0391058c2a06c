from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from namesake.errors import ConfigError, DataError
from namesake.index import image_sizes, open_embeddings, open_index, read_embeddings, top_k
from namesake.index.layout import find_shards, shard_paths
from namesake.records import Images, Index

Write = Callable[..., Index]


def rows_of(count: int, dim: int = 6) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, dim)).astype(np.float32)


def rewrite(index: Index, number: int, **columns: list[object]) -> None:
    pq.write_table(pa.table(columns), index.folder / "metadata" / f"metadata_{number}.parquet")


def test_shard_paths__as_clip_retrieval_numbers_them():
    assert [path.name for path in shard_paths(Path("x"), 0, shards=1)] == ["img_emb_0.npy", "metadata_0.parquet"]
    assert shard_paths(Path("x"), 7, shards=10)[0].name == "img_emb_7.npy"
    assert shard_paths(Path("x"), 7, shards=11)[0] == Path("x/img_emb/img_emb_07.npy")


def test_find_shards__by_number_not_by_letter(written: Write):
    index = written(rows_of(12), [1] * 12)
    (index.folder / "img_emb" / ".img_emb_12.npy.77.part").touch()
    (index.folder / "img_emb" / "notes.npy").touch()
    assert [path.name for path, _ in find_shards(index.folder)] == [f"img_emb_{number}.npy" for number in range(12)]


def test_find_shards__none(tmp_path: Path):
    with pytest.raises(DataError, match=r"expected embeddings .*img_emb_0\.npy"):
        find_shards(tmp_path)


def test_find_shards__metadata_missing(written: Write):
    index = written(rows_of(4), [2, 2])
    (index.folder / "metadata" / "metadata_1.parquet").unlink()
    with pytest.raises(DataError, match=r"the shards \[1\] lack"):
        find_shards(index.folder)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_open_embeddings__as_they_are(written: Write, dtype: type):
    made = written((rows_of(5) * 3).astype(dtype), [2, 3])
    folder = Path("/photos")
    rewrite(made, 0, image_path=["/photos/a/x.jpg", "/elsewhere/deep/a/y.jpg"], caption=["", ""])
    rewrite(made, 1, image_path=["b.jpg", "C:\\data\\a\\z.jpg", "/photos/b.jpg"])
    images = Images(folder, ("a/x.jpg", "a/y.jpg", "a/z.jpg", "b.jpg"))
    index = open_embeddings(made.folder, images, encoder="some/clip")
    assert index.images == Images(folder, ("a/x.jpg", "a/y.jpg", "b.jpg", "a/z.jpg", "b.jpg"))
    assert (index.dim, index.encoder, index.counts["images"]) == (6, "some/clip", 5)
    scores, rows = top_k(index, rows_of(5)[3:4] / np.linalg.norm(rows_of(5)[3]), 1)
    assert rows.tolist() == [[3]]
    assert scores[0, 0] == pytest.approx(1, abs=1e-3)


def test_open_embeddings__images_of_another_folder(written: Write):
    with pytest.raises(DataError, match="2 of 3 rows name an image that is not in"):
        open_embeddings(written(rows_of(3)).folder, Images(Path("/photos"), ("1.jpg",)), encoder="x")


def test_open_embeddings__without_image_path(written: Write):
    made = written(rows_of(2))
    rewrite(made, 0, url=["http://a", "http://b"])
    with pytest.raises(DataError, match="cannot read the column 'image_path'"):
        open_embeddings(made.folder, Images(Path("/photos"), ("1.jpg",)), encoder="x")


def test_open_embeddings__rows_and_metadata_of_different_runs(written: Write):
    made = written(rows_of(3))
    rewrite(made, 0, image_path=["0.jpg"])
    with pytest.raises(DataError, match="has 3 rows, .* has 1"):
        open_embeddings(made.folder, made.images, encoder="x")


def test_open_embeddings__two_encoders(written: Write):
    made = written(rows_of(4), [2, 2])
    np.save(made.folder / "img_emb" / "img_emb_1.npy", rows_of(2, dim=7))
    with pytest.raises(DataError, match=r"embeddings of \[6, 7\] dimensions"):
        open_embeddings(made.folder, made.images, encoder="x")


@pytest.mark.parametrize("array", [np.zeros(4, dtype=np.float32), np.zeros((2, 3), dtype=np.int64)])
def test_open_embeddings__not_embeddings(written: Write, array: np.ndarray):
    made = written(rows_of(2))
    np.save(made.folder / "img_emb" / "img_emb_0.npy", array)
    with pytest.raises(DataError, match=r"expected float16 or float32 \[images, dim\]"):
        open_embeddings(made.folder, made.images, encoder="x")


def test_open_embeddings__pickled_array_refused(written: Write):
    made = written(rows_of(2))
    np.save(made.folder / "img_emb" / "img_emb_0.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="is not a NumPy array"):
        open_embeddings(made.folder, made.images, encoder="x")


def test_open_index__not_finished(written: Write):
    with pytest.raises(DataError, match="is not a finished index"):
        open_index(written(rows_of(2)).folder)


def test_read_embeddings__any_order_and_twice(written: Write):
    rows = rows_of(9)
    found = read_embeddings(written(rows, [4, 1, 4]), [8, 0, 4, 4, 3])
    expected = rows[[8, 0, 4, 4, 3]]
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5)
    assert found.dtype == np.float32


def test_read_embeddings__no_rows(written: Write):
    assert read_embeddings(written(rows_of(3)), []).shape == (0, 6)


@pytest.mark.parametrize("row", [-1, 3])
def test_read_embeddings__row_not_there(written: Write, row: int):
    with pytest.raises(IndexError, match="expected rows 0 to 2"):
        read_embeddings(written(rows_of(3)), [row])


def test_image_sizes__made_elsewhere(written: Write):
    with pytest.raises(ConfigError, match="The size of an image is known for indexes built here only"):
        image_sizes(written(rows_of(3)))


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["a.jpg", None], "row 1: field 'image_path': expected a text, found null"),
        ([0, 1], "row 0: field 'image_path': expected a text, found 0"),
        (["a.jpg", "x/c.jpg"], r"they are called 'x/c\.jpg'; there is 'b/c\.jpg', 'd/c\.jpg'"),
        (["a.jpg", "e.jpg"], "1 of 2 rows name an image that is not in"),
    ],
)
def test_open_embeddings__rows_that_cannot_be_matched(written: Write, paths: list[object], said: str):
    made = written(rows_of(2))
    rewrite(made, 0, image_path=paths)
    with pytest.raises(DataError, match=said):
        open_embeddings(made.folder, Images(Path("/photos"), ("a.jpg", "b/c.jpg", "d/c.jpg")), encoder="x")


@pytest.mark.parametrize("path", ["D:\\x\\b\\C.JPG", "b/%63.jpg", "https://host/b/c.jpg?w=9", "./b/./c.jpg"])
def test_open_embeddings__paths_of_other_systems(written: Write, path: str, capsys: pytest.CaptureFixture[str]):
    made = written(rows_of(1))
    rewrite(made, 0, image_path=[path])
    index = open_embeddings(made.folder, Images(Path("/photos"), ("a.jpg", "b/c.jpg")), encoder="x")
    assert index.images.ids == ("b/c.jpg",)
    assert "1 of 2 images have no embedding" in capsys.readouterr().err


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_open_embeddings__no_numbers(written: Write, value: float):
    rows = rows_of(3)
    rows[1, 2] = value
    made = written(rows)
    rewrite(made, 0, image_path=["a.jpg"] * 3)
    with pytest.raises(DataError, match="row 1: expected finite numbers"):
        open_embeddings(made.folder, Images(Path("/photos"), ("a.jpg",)), encoder="x")
