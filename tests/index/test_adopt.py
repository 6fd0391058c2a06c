"""Embeddings of another tool become an index: same rows, images by their ids here, sizes where they are known."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from namesake.errors import DataError, WorkspaceError
from namesake.images import open_images
from namesake.index import adopt_embeddings, facts_of_shards, image_sizes, read_embeddings, top_k
from namesake.workspace import Workspace


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five images in img2dataset's shard folders."""
    folder = tmp_path / "photos"
    for number in range(5):
        path = folder / f"{number // 3:05d}" / f"{number:09d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8 + number, 8)).save(path)
    return folder


def embed(photos: Path, out: Path, *, elsewhere: str = "/data/laion") -> np.ndarray:
    """Two shards of random embeddings, with paths as they were on another machine."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 4)).astype(np.float32)
    ids = open_images(photos).ids
    for number, rows in enumerate((slice(0, 3), slice(3, 5))):
        for part in ("img_emb", "metadata"):
            (out / part).mkdir(parents=True, exist_ok=True)
        np.save(out / "img_emb" / f"img_emb_{number}.npy", vectors[rows])
        columns = {
            "image_path": [f"{elsewhere}/{image_id}" for image_id in ids[rows]],
            "caption": ["x"] * len(ids[rows]),
        }
        pq.write_table(pa.table(columns), out / "metadata" / f"metadata_{number}.parquet")
    return vectors


def test_adopt__same_rows_with_the_ids_of_here(photos: Path, tmp_path: Path) -> None:
    vectors = embed(photos, tmp_path / "embeddings")
    images = open_images(photos)
    for reused in (False, True):
        with Workspace(tmp_path / "run") as workspace:
            index = workspace.step(
                adopt_embeddings, images, embeddings=str(tmp_path / "embeddings"), encoder="some/clip"
            )
        assert workspace.stages[0]["reused"] is reused
    assert (index.images.ids, index.images.folder, index.encoder, index.dim) == (images.ids, photos, "some/clip", 4)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(read_embeddings(index, range(5)), unit, atol=1e-6)
    assert top_k(index, unit[[3]], 1)[1].tolist() == [[3]]


def test_adopt__others_of_the_same_folder_are_noticed(photos: Path, tmp_path: Path) -> None:
    images, embeddings = open_images(photos), str(tmp_path / "embeddings")

    def adopt(**how: bool) -> bool:
        with Workspace(tmp_path / "run", **how) as workspace:
            workspace.step(
                adopt_embeddings, images, embeddings=embeddings, encoder="some/clip", shards=facts_of_shards(embeddings)
            )
        return bool(workspace.stages[0]["reused"])

    embed(photos, tmp_path / "embeddings")
    assert [adopt(), adopt()] == [False, True]
    with (tmp_path / "embeddings" / "img_emb" / "img_emb_1.npy").open("r+b") as file:  # in place, as numpy writes
        file.seek(-4, os.SEEK_END)
        file.write(np.float32(0.5).tobytes())
    os.utime(file.name, ns=(1, 1))
    with pytest.raises(WorkspaceError, match="shards"):
        adopt()
    assert not adopt(overwrite=True)
    assert facts_of_shards(str(tmp_path / "nothing")) == ()


def test_adopt__sizes_where_they_are_known(photos: Path, tmp_path: Path) -> None:
    embed(photos, tmp_path / "embeddings")
    for number, widths in enumerate(([8, 9, 10], [11, 12])):
        file = tmp_path / "embeddings" / "metadata" / f"metadata_{number}.parquet"
        table = pq.read_table(file, partitioning=None)
        table = table.append_column("width", pa.array(widths)).append_column("height", pa.array([8] * len(widths)))
        pq.write_table(table, file)
    options = {"embeddings": str(tmp_path / "embeddings"), "encoder": "some/clip"}
    index = adopt_embeddings(tmp_path / "out", open_images(photos), **options)
    assert image_sizes(index).tolist() == [[8, 8], [8, 9], [8, 10], [8, 11], [8, 12]]


def test_adopt__rows_of_other_images(photos: Path, tmp_path: Path) -> None:
    embed(photos, tmp_path / "embeddings")
    (photos / "00001" / "000000004.jpg").unlink()
    with pytest.raises(DataError, match="1 of 5 rows"):
        adopt_embeddings(
            tmp_path / "out", open_images(photos), embeddings=str(tmp_path / "embeddings"), encoder="some/clip"
        )


def pack(shard: Path, names: list[str]) -> None:
    """A shard as img2dataset writes it: an image, its caption and its facts under one key."""
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, format="JPEG")
    shard.parent.mkdir(exist_ok=True)
    with tarfile.open(shard, "w") as tar:
        for name in names:
            data = content.getvalue() if name.endswith("jpg") else b"{}"
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def keyed(out: Path, keys: list[str]) -> str:
    """Embeddings of a webdataset: of an image clip-retrieval keeps the key alone."""
    for part in ("img_emb", "metadata"):
        (out / part).mkdir(parents=True, exist_ok=True)
    np.save(out / "img_emb" / "img_emb_0.npy", np.eye(len(keys), 4, dtype=np.float16))
    pq.write_table(
        pa.table({"image_path": keys, "caption": ["x"] * len(keys)}), out / "metadata" / "metadata_0.parquet"
    )
    return str(out)


def test_adopt__keys_of_tar_shards(tmp_path: Path) -> None:
    pack(tmp_path / "shards" / "00000.tar", ["000000000.jpg", "000000000.json", "000000001.jpg", "000000001.txt"])
    pack(tmp_path / "shards" / "00001.tar", ["000010000.jpg"])
    embeddings = keyed(tmp_path / "embeddings", ["000010000", "000000001"])
    images = open_images(tmp_path / "shards")
    index = adopt_embeddings(tmp_path / "out", images, embeddings=embeddings, encoder="some/clip")
    assert index.images.ids == ("00001.tar/000010000.jpg", "00000.tar/000000001.jpg")
    assert top_k(index, np.eye(4, dtype=np.float32)[[1]], 1)[1].tolist() == [[1]]


def test_adopt__a_key_that_two_shards_have(tmp_path: Path) -> None:
    for shard in ("a.tar", "b.tar"):
        pack(tmp_path / "shards" / shard, ["0.jpg"])
    embeddings = keyed(tmp_path / "embeddings", ["0"])
    with pytest.raises(DataError, match="1 of 1 rows name an image that is not .* or several"):
        adopt_embeddings(tmp_path / "out", open_images(tmp_path / "shards"), embeddings=embeddings, encoder="some/clip")
