from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from namesake.archives import ArchivesConfig, open_archives, rows, unique_images, write_archives
from namesake.errors import DataError
from namesake.records import Archives, Index, Names

NAMES = Names(("dog", "cat"), (("hound", "puppy"), ()), ("background", "sky"))


@pytest.fixture
def archives(index_of: Callable[..., Index], angles: Callable[[list[float]], np.ndarray], tmp_path: Path) -> Archives:
    index = index_of(angles([0, 10, 20]))
    config = ArchivesConfig(images_per_name=2)
    return write_archives(index, NAMES, angles([20, 0]), config=config, out=tmp_path / "out")


def test_open_archives__all_comes_back(archives: Archives):
    opened = open_archives(archives.folder)
    assert opened == archives
    assert opened.names == NAMES
    assert opened.images.ids == ("000.png", "001.png", "002.png")
    assert opened.models[0].licence == "MIT"


def test_unique_images__each_once_in_the_order_of_ids(archives: Archives):
    assert list(unique_images(archives).items()) == [("000.png", 2), ("001.png", 2), ("002.png", 1)]


def test_rows__one_entry_an_image_and_archive(archives: Archives):
    assert rows(archives).num_rows == 4
    assert [str(kind) for kind in rows(archives).schema.types] == ["string", "int32", "string", "float", "int32"]


def test_open_archives__not_finished(tmp_path: Path):
    with pytest.raises(DataError, match="holds no finished archives"):
        open_archives(tmp_path)


INFINITE = '{"images": "", "counts": {"dog": Infinity}, "models": []}'


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images": 3, "counts": {}, "models": []}', INFINITE])
def test_open_archives__damaged_description(archives: Archives, content: str):
    (archives.folder / "archives.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="holds no finished archives"):
        open_archives(archives.folder)


def test_open_archives__damaged_table(archives: Archives):
    (archives.folder / "archives.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"archives\.parquet cannot be read"):
        open_archives(archives.folder)


def test_rows__bytes_that_are_no_text(archives: Archives):
    path = archives.folder / "archives.parquet"
    pq.write_table(rows(archives), path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"001.png", b"\x80\x811.png"))
    with pytest.raises(DataError, match=r"archives\.parquet cannot be read"):
        rows(archives)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("label", [1, 3, 1, 2], "row 1: field 'label': expected 1 to 2, as there are names, found 3"),
        ("label", [0, 1, 1, 2], "row 0: field 'label': expected 1 to 2"),
        ("name", ["dog", "dog", "cat", "cow"], "archives of cow, which names.json does not list: dog, cat"),
        ("name", ["dog", "dog", "cat", None], "field 'name': expected a value in each row"),
        ("image_id", ["a", None, "b", "c"], "field 'image_id': expected a value in each row"),
    ],
)
def test_open_archives__rows_that_nothing_can_be_made_of(archives: Archives, column: str, values: list, said: str):
    file = archives.folder / "archives.parquet"
    table = pq.read_table(file, partitioning=None)
    place = table.schema.get_field_index(column)
    changed = pa.array(values, table.schema.field(place).type)
    pq.write_table(table.set_column(place, table.schema.field(place), changed), file)
    with pytest.raises(DataError, match=said):
        open_archives(archives.folder)
