"""An index belongs to the bytes that it was made of: what changed is embedded again, and only that."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.encoders import Clip
from namesake.errors import WorkspaceError
from namesake.images import open_images
from namesake.index import build as building
from namesake.index import open_index, read_embeddings, write_index
from namesake.records import Images, Index


def paint(path: Path, seed: int, size: tuple[int, int] = (24, 20)) -> None:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(9):
        paint(tmp_path / "in" / f"{number}.bmp", number)
    (tmp_path / "in" / "9.bmp").write_bytes(b"BMno picture")
    return tmp_path / "in"


def write(folder: Path, clip: Clip, out: Path) -> Index:
    return write_index(open_images(folder), clip, encoder=clip.card.source, out=out, batch_size=2, shard_size=4)


@dataclass
class Counting:
    """Counts the images that are embedded."""

    clip: Clip
    count: int = 0

    def __getattr__(self, name: str):
        return getattr(self.clip, name)

    def embed_images(self, images):
        self.count += len(images)
        return self.clip.embed_images(images)


def again(folder: Path, clip: Clip, out: Path, *, embedded: int) -> Index:
    """Index once more; so many images are embedded, and the rows are those of a fresh index."""
    counting = Counting(clip)
    index = write(folder, counting, out)
    assert counting.count == embedded
    fresh = write(folder, clip, out.with_name("fresh"))
    assert sorted(index.images.ids) == sorted(fresh.images.ids)
    rows = [index.images.ids.index(one) for one in fresh.images.ids]
    np.testing.assert_allclose(read_embeddings(index, rows), read_embeddings(fresh, range(len(rows))), atol=1e-3)
    assert open_index(out).counts == fresh.counts
    return index


def test_nothing_changed(pictures: Path, clip: Clip, tmp_path: Path):
    write(pictures, clip, tmp_path / "index")
    again(pictures, clip, tmp_path / "index", embedded=0)


def test_replaced__of_the_same_size_and_time(pictures: Path, clip: Clip, tmp_path: Path):
    index = write(pictures, clip, tmp_path / "index")
    facts = (pictures / "5.bmp").stat()
    paint(pictures / "5.bmp", 77)
    os.utime(pictures / "5.bmp", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert (pictures / "5.bmp").stat().st_size == facts.st_size
    found = again(pictures, clip, tmp_path / "index", embedded=1)
    assert found.images.ids == index.images.ids


def test_touched_and_copied__the_bytes_are_the_same(pictures: Path, clip: Clip, tmp_path: Path):
    write(pictures, clip, tmp_path / "index")
    os.utime(pictures / "5.bmp", ns=(1, 1))
    again(pictures, clip, tmp_path / "index", embedded=0)
    shutil.copytree(pictures, tmp_path / "elsewhere")
    again(tmp_path / "elsewhere", clip, tmp_path / "index", embedded=0)


def test_mended__an_image_that_could_not_be_read(pictures: Path, clip: Clip, tmp_path: Path):
    write(pictures, clip, tmp_path / "index")
    paint(pictures / "9.bmp", 9)
    assert again(pictures, clip, tmp_path / "index", embedded=1).counts["skipped"] == 0


def test_damaged__an_image_that_could_be_read(pictures: Path, clip: Clip, tmp_path: Path):
    write(pictures, clip, tmp_path / "index")
    (pictures / "0.bmp").write_bytes(b"BM")
    assert again(pictures, clip, tmp_path / "index", embedded=0).counts["skipped"] == 2


def test_gone_and_new(pictures: Path, clip: Clip, tmp_path: Path):
    write(pictures, clip, tmp_path / "index")
    (pictures / "3.bmp").unlink()
    paint(pictures / "a.bmp", 40)
    again(pictures, clip, tmp_path / "index", embedded=1)


def test_killed_between_the_files_of_a_shard(
    pictures: Path, clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(pictures, clip, tmp_path / "index")
    paint(pictures / "1.bmp", 50)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(building, "write_parquet", dies)
        with pytest.raises(KeyboardInterrupt):
            write(pictures, clip, tmp_path / "index")
    again(pictures, clip, tmp_path / "index", embedded=4)


def test_fewer_images_than_were_begun__no_shard_is_left_over(pictures: Path, clip: Clip, tmp_path: Path):
    write(pictures, clip, tmp_path / "index")
    (tmp_path / "index" / "index.json").unlink()
    for number in range(4, 9):
        (pictures / f"{number}.bmp").unlink()
    assert len(again(pictures, clip, tmp_path / "index", embedded=0).images) == 4


def test_run__refused_with_the_images_that_changed(pictures: Path, tmp_path: Path):
    from namesake.workspace import Workspace, stage

    @stage("thing", opens=Index)
    def count(out: Path, images: Images) -> Index:
        out.mkdir(parents=True, exist_ok=True)
        return Index(out)

    for _ in range(2):
        with Workspace(tmp_path / "run") as workspace:
            workspace.step(count, open_images(pictures))
    assert workspace.stages[0]["reused"]
    paint(pictures / "2.bmp", 99)
    (pictures / "3.bmp").unlink()
    paint(pictures / "x.bmp", 3)
    with (
        Workspace(tmp_path / "run") as workspace,
        pytest.raises(WorkspaceError, match=r"1 changed \(2\.bmp\), 1 new \(x\.bmp\), 1 gone \(3\.bmp\)"),
    ):
        workspace.step(count, open_images(pictures))
