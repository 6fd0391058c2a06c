"""Parts that are searched one by one give what one index of everything gives, and no process holds their ids."""

import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from namesake.errors import ConfigError, DataError, WorkspaceError
from namesake.index import gather_index, layout, open_index, read_embeddings, top_k
from namesake.index.layout import write_description
from namesake.index.parts import SOURCE
from namesake.records import Index, ModelCard

DIM, K = 16, 5
CARD = ModelCard("made up", "made up")


def write_index(folder: Path, embeddings: np.ndarray, ids: list[str], *, shards: int = 1, sizes: bool = True) -> Index:
    """An index of these rows, with an image file for each id that names a plain one."""
    for place in ("img_emb", "metadata", "images"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for number, some in enumerate(np.array_split(np.arange(len(ids)), shards)):
        np.save(folder / f"img_emb/img_emb_{number}.npy", embeddings[some])
        columns = {"image_path": [ids[row] for row in some]}
        if sizes:
            columns |= {axis: pa.array([4 + int(row) for row in some], pa.int32()) for axis in ("width", "height")}
        pq.write_table(pa.table(columns), folder / f"metadata/metadata_{number}.parquet")
    for image_id in ids:
        if ".tar/" not in image_id:
            Image.new("RGB", (2, 2)).save(folder / "images" / image_id)
    write_description(folder, images=folder / "images", encoder="made up", card=CARD, dim=DIM, skipped=0, shards=shards)
    return open_index(folder)


@pytest.fixture
def vectors() -> np.ndarray:
    """70 rows, some of them twice, one without a direction."""
    rows = np.random.default_rng(0).standard_normal((70, DIM)).astype(np.float16)
    rows[40:50] = rows[3:13]  # equal scores in two parts
    rows[20] = 0
    return rows


@pytest.fixture
def queries() -> np.ndarray:
    found = np.random.default_rng(1).standard_normal((7, DIM)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def parts_of(folder: Path, vectors: np.ndarray, lengths: tuple[int, ...]) -> list[Path]:
    """The rows cut into indexes of their own."""
    ends = np.cumsum([0, *lengths])
    folders = []
    for number, (first, last) in enumerate(zip(ends, ends[1:], strict=False)):
        ids = [f"{row - first:03d}.png" for row in range(first, last)]  # every part counts for itself
        write_index(folder / f"part-{number}", vectors[first:last], ids, shards=1 + number % 2)
        folders.append(folder / f"part-{number}")
    return folders


@pytest.mark.parametrize("k", [1, K, 80])
def test_gather__as_one_index(tmp_path: Path, vectors: np.ndarray, queries: np.ndarray, k: int):
    lengths = (30, 1, 19, 20)
    parts = parts_of(tmp_path, vectors, lengths)
    ends = np.cumsum([0, *lengths])
    whole = write_index(tmp_path / "whole", vectors, [f"{row:03d}.png" for row in range(len(vectors))], shards=3)
    gathered = gather_index(tmp_path / "gathered", parts, queries, k)
    sources = [each for path in sorted((gathered.folder / "metadata").iterdir()) for each in
               pq.ParquetFile(path).read(columns=[SOURCE]).column(0).to_pylist()]  # fmt: skip
    for fewer in {1, min(k, 3), k}:
        scores, rows = top_k(whole, queries, fewer)
        found, own = top_k(gathered, queries, fewer)
        assert np.array_equal(scores, found)
        part = np.searchsorted(ends, rows, side="right") - 1
        expected = [f"{parts[p]}/images/{row - ends[p]:03d}.png" for p, row in zip(part.flat, rows.flat, strict=True)]
        assert [sources[row] for row in own.flat] == expected
        assert np.array_equal(read_embeddings(gathered, own[0]), read_embeddings(whole, rows[0]))
    assert all(gathered.images.path(each).is_file() for each in gathered.images.ids)
    assert len(gathered.images) <= (len(queries) + 10) * k  # with those of equal scores


def test_gather__holds_no_ids_of_a_part(
    tmp_path: Path, vectors: np.ndarray, queries: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    parts = parts_of(tmp_path, vectors, (35, 35))
    read: list[Path] = []
    column = layout.read_column
    monkeypatch.setattr("namesake.index.parts.read_column", lambda path, name: read.append(path) or column(path, name))
    monkeypatch.setattr("namesake.index.parts.open_index", lambda _: None)
    gather_index(tmp_path / "gathered", parts, queries, 1)
    assert all(path.parent.parent in parts for path in read)
    assert len({path for path in read}) <= 3  # shards in which something was found, one at a time


def test_gather__out_of_tars_and_without_sizes(tmp_path: Path, vectors: np.ndarray, queries: np.ndarray):
    (tmp_path / "p/images").mkdir(parents=True)
    with tarfile.open(tmp_path / "p/images/0.tar", "w") as tar:
        for number in range(3):
            Image.new("RGB", (2, 2), (number, 0, 0)).save(tmp_path / "one.png")
            tar.add(tmp_path / "one.png", f"{number}.png")
    write_index(tmp_path / "p", vectors[:3], [f"0.tar/{number}.png" for number in range(3)], sizes=False)
    gathered = gather_index(tmp_path / "gathered", [tmp_path / "p"], queries, 3)
    colours = [Image.open(gathered.images.path(each)).getpixel((0, 0))[0] for each in gathered.images.ids]
    assert colours == [0, 1, 2]


def test_gather__again_goes_on_or_refuses(tmp_path: Path, vectors: np.ndarray, queries: np.ndarray):
    parts, out = parts_of(tmp_path, vectors, (35, 35)), tmp_path / "gathered"
    first = gather_index(out, parts, queries, 1)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert gather_index(out, parts, queries, 1) == first
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == times
    with pytest.raises(WorkspaceError, match="--overwrite"):
        gather_index(out, parts, queries, 2)
    assert len(gather_index(out, parts, queries, 2, overwrite=True).images) > len(first.images)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").touch()
    with pytest.raises(WorkspaceError, match="not empty"):
        gather_index(tmp_path / "mine", parts, queries, 1)


def test_gather__parts_that_do_not_fit(tmp_path: Path, vectors: np.ndarray, queries: np.ndarray):
    (part,) = parts_of(tmp_path, vectors, (5,))
    other = write_index(tmp_path / "other", vectors[:5], [f"{row}.png" for row in range(5)])
    write_description(
        other.folder, images=other.images.folder, encoder="another", card=CARD, dim=DIM, skipped=0, shards=1
    )
    with pytest.raises(ConfigError, match="another"):
        gather_index(tmp_path / "gathered", [part, other.folder], queries, 1)
    with pytest.raises(DataError, match="index stage"):
        gather_index(tmp_path / "gathered", [tmp_path / "nowhere"], queries, 1)
