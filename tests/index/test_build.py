import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from namesake.encoders import Clip
from namesake.errors import ConfigError, ImagesError, WeightsError
from namesake.images import open_images, read_image
from namesake.index import build_index, image_sizes, open_index, read_embeddings, write_index
from namesake.records import Images, Index
from namesake.workspace import Workspace, run_now

READABLE = tuple(f"{number:02d}.png" for number in range(23) if number not in (5, 11, 17))


def write(images: Images, clip: Clip, out: Path, **options: int) -> Index:
    return write_index(images, clip, encoder=clip.card.source, out=out, **{"batch_size": 4, "shard_size": 7, **options})


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_rows__embeddings_of_the_readable_images(collection: Images, clip: Clip, tmp_path: Path):
    index = write(collection, clip, tmp_path)
    assert index.images == Images(collection.folder, READABLE)
    assert index.counts == {"images": 20, "skipped": 3}
    assert (index.dim, index.encoder, index.models) == (10, clip.card.source, (clip.card,))
    stored = np.concatenate([np.load(path) for path in sorted((tmp_path / "img_emb").iterdir())])
    one_by_one = np.concatenate([clip.embed_images([read_image(collection.path(one))]) for one in READABLE])
    assert stored.dtype == np.float16
    np.testing.assert_allclose(stored, one_by_one, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(read_embeddings(index, range(20)), axis=1), 1, atol=1e-6)


def test_layout__clip_retrieval(collection: Images, clip: Clip, tmp_path: Path):
    write(collection, clip, tmp_path)
    names = ["index.json", "skipped.jsonl"]
    names += [f"img_emb/img_emb_{number}.npy" for number in range(4)]
    names += [f"metadata/metadata_{number}.parquet" for number in range(4)]
    assert sorted(content(tmp_path)) == sorted(names)
    table = pq.read_table(tmp_path / "metadata" / "metadata_0.parquet", partitioning=None)
    assert table.column_names == ["image_path", "width", "height", "bytes"]
    assert table.column("image_path").to_pylist() == [one for one in READABLE if one < "07"]


def test_metadata__sizes_in_original_pixels(collection: Images, clip: Clip, tmp_path: Path):
    index = write(collection, clip, tmp_path)
    expected = [read_image(collection.path(one)).shape[:2] for one in READABLE]
    np.testing.assert_array_equal(image_sizes(index), expected)
    table = pq.read_table(tmp_path / "metadata" / "metadata_0.parquet", partitioning=None)
    assert table.column("bytes")[0].as_py() == collection.path("00.png").stat().st_size


def test_skipped__listed_with_reasons(collection: Images, clip: Clip, tmp_path: Path):
    write(collection, clip, tmp_path)
    skipped = [json.loads(line) for line in (tmp_path / "skipped.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["id"] for entry in skipped] == ["05.png", "11.png", "17.png"]
    assert skipped[0]["reason"] == "05.png: the file is empty."
    assert "not an image" in skipped[1]["reason"]


def test_shard_without_a_readable_image(clip: Clip, collection: Images, tmp_path: Path):
    index = write(collection, clip, tmp_path, shard_size=1)
    assert np.load(tmp_path / "img_emb" / "img_emb_05.npy").shape == (0, 10)
    assert index.images.ids == READABLE


@pytest.mark.parametrize(("batch_size", "shard_size"), [(1, 23), (32, 10_000), (3, 5)])
def test_batches_and_shards__same_embeddings(
    collection: Images, clip: Clip, tmp_path: Path, batch_size: int, shard_size: int
):
    index = write(collection, clip, tmp_path / "a", batch_size=batch_size, shard_size=shard_size)
    reference = write(collection, clip, tmp_path / "b")
    np.testing.assert_allclose(read_embeddings(index, range(20)), read_embeddings(reference, range(20)), atol=2e-3)


def test_repeated__same_bytes(collection: Images, clip: Clip, tmp_path: Path):
    write(collection, clip, tmp_path / "a")
    write(collection, clip, tmp_path / "b")
    assert content(tmp_path / "a") == content(tmp_path / "b")


@pytest.mark.parametrize("seen", ["img_emb/img_emb_0.npy", "metadata/metadata_1.parquet", "skipped.jsonl"])
def test_killed__resumes_to_the_same_bytes(collection: Images, clip: Clip, tmp_path: Path, seen: str):
    """A child process is killed as soon as it has written one of the files."""
    child = os.fork()
    if child == 0:
        try:
            write(collection, clip, tmp_path / "killed")
        finally:
            os._exit(0)
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed" / seen).exists() and time.monotonic() < deadline:
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert (tmp_path / "killed" / seen).exists()
    write(collection, clip, tmp_path / "killed")
    write(collection, clip, tmp_path / "whole")
    resumed = {name: data for name, data in content(tmp_path / "killed").items() if not name.endswith(".part")}
    assert resumed == content(tmp_path / "whole")


def test_killed_between_the_two_files_of_a_shard(collection: Images, clip: Clip, tmp_path: Path):
    write(collection, clip, tmp_path / "killed")
    whole = content(tmp_path / "killed")
    for name in ("metadata/metadata_1.parquet", "img_emb/img_emb_3.npy", "skipped.jsonl", "index.json"):
        (tmp_path / "killed" / name).unlink()
    write(collection, clip, tmp_path / "killed")
    assert content(tmp_path / "killed") == whole


def test_finished_shards__not_embedded_again(collection: Images, clip: Clip, tmp_path: Path):
    write(collection, clip, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*_*.*")}
    (tmp_path / "metadata" / "metadata_2.parquet").unlink()
    write(collection, clip, tmp_path)
    changed = {path.name for path, written in before.items() if path.stat().st_mtime_ns != written}
    assert changed == {"img_emb_2.npy", "metadata_2.parquet"}


@pytest.mark.parametrize("damage", [b"", b"PAR1 no table"])
def test_damaged_shard__made_again(collection: Images, clip: Clip, tmp_path: Path, damage: bytes):
    write(collection, clip, tmp_path)
    whole = content(tmp_path)
    (tmp_path / "metadata" / "metadata_0.parquet").write_bytes(damage)
    (tmp_path / "img_emb" / "img_emb_1.npy").write_bytes(damage)
    write(collection, clip, tmp_path)
    assert content(tmp_path) == whole


def test_other_images_in_the_same_folder__those_that_are_gone_go(collection: Images, clip: Clip, tmp_path: Path):
    write(Images(collection.folder, collection.ids[7:21]), clip, tmp_path)
    index = write(Images(collection.folder, collection.ids[:14]), clip, tmp_path)
    assert sorted(index.images.ids) == [one for one in READABLE if one < "14"]
    fresh = write(Images(collection.folder, collection.ids[:14]), clip, tmp_path / "fresh")
    rows = [index.images.ids.index(one) for one in fresh.images.ids]
    np.testing.assert_allclose(read_embeddings(index, rows), read_embeddings(fresh, range(len(rows))), atol=1e-3)


def test_no_image_readable(clip: Clip, tmp_path: Path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(b"nothing")
    for _ in range(2):  # the second time from finished shards
        with pytest.raises(ImagesError, match=r"not one of the 2 images .*a\.png: not an image .*skipped\.jsonl"):
            write(open_images(tmp_path / "in"), clip, tmp_path / "out")
    assert not (tmp_path / "out" / "index.json").exists()


def test_no_images(clip: Clip, tmp_path: Path):
    with pytest.raises(ImagesError, match="found none"):
        write(Images(tmp_path, ()), clip, tmp_path / "out")


@pytest.mark.parametrize("option", ["batch_size", "shard_size"])
def test_sizes_below_1(collection: Images, clip: Clip, tmp_path: Path, option: str):
    with pytest.raises(ConfigError, match="of 1 or more"):
        write(collection, clip, tmp_path, **{option: 0})


def test_encoder_gives_no_numbers(collection: Images, clip: Clip, tmp_path: Path):
    weight = clip.model.visual_projection.weight
    kept = weight.clone()
    try:
        with torch.no_grad():
            weight.fill_(float("nan"))
        with pytest.raises(WeightsError, match="embeddings that are no numbers"):
            write(collection, clip, tmp_path)
    finally:
        with torch.no_grad():
            weight.copy_(kept)


def test_stage__opened_again_instead_of_redone(collection: Images, clip: Clip, tmp_path: Path):
    options = {"encoder": clip.card.source, "device": "cpu", "batch_size": 4}
    with Workspace(tmp_path / "run") as run:
        made = run.step(build_index, collection, **options)
        assert run.step(build_index, collection, **options) == made == open_index(tmp_path / "run" / "index")
        assert [one["reused"] for one in run.stages] == [False, True]


def test_stage__without_a_workspace(collection: Images, clip: Clip):
    assert run_now(build_index, collection, encoder=clip.card.source, device="cpu").images.ids == READABLE


def test_more_images__only_new_ones_are_embedded(collection: Images, clip: Clip, tmp_path: Path):
    first = Images(collection.folder, collection.ids[::2])
    write(first, clip, tmp_path)
    before = content(tmp_path)
    grown = write(collection, clip, tmp_path)
    after = content(tmp_path)
    assert sorted(grown.images.ids) == list(READABLE)
    assert {name: after[name] for name in before if name.startswith(("img_emb", "metadata"))} == {
        name: value for name, value in before.items() if name.startswith(("img_emb", "metadata"))
    }
    assert len([name for name in after if name.startswith("img_emb")]) == 2 + 2
    rows = {one: row for row, one in enumerate(grown.images.ids)}
    whole = write(collection, clip, tmp_path / "whole")
    found = read_embeddings(grown, [rows[one] for one in READABLE])
    np.testing.assert_allclose(found, read_embeddings(whole, range(20)), atol=2e-3)


def test_more_images__killed_while_growing_ends_with_the_same_bytes(collection: Images, clip: Clip, tmp_path: Path):
    for out in (tmp_path / "whole", tmp_path / "killed"):
        write(Images(collection.folder, collection.ids[::2]), clip, out)
    write(collection, clip, tmp_path / "whole")
    description = (tmp_path / "killed" / "index.json").read_bytes()
    write(collection, clip, tmp_path / "killed")
    (tmp_path / "killed" / "metadata" / "metadata_3.parquet").unlink()
    (tmp_path / "killed" / "index.json").write_bytes(description)  # what a kill before the end leaves
    write(collection, clip, tmp_path / "killed")
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_append__by_the_workspace(collection: Images, clip: Clip, tmp_path: Path):
    options = {"encoder": clip.card.source, "shard_size": 7, "device": "cpu"}
    few = Images(collection.folder, collection.ids[:9])
    with Workspace(tmp_path / "run") as workspace:
        workspace.step(build_index, few, **options)
    before = (tmp_path / "run" / "index" / "img_emb" / "img_emb_1.npy").stat().st_mtime_ns
    with Workspace(tmp_path / "run", append=True) as workspace:
        grown = workspace.step(build_index, collection, **options)
    assert sorted(grown.images.ids) == list(READABLE)
    assert (tmp_path / "run" / "index" / "img_emb" / "img_emb_1.npy").stat().st_mtime_ns == before
    with Workspace(tmp_path / "run") as workspace:
        workspace.step(build_index, collection, **options)
    assert workspace.stages[0]["reused"]
