"""A folder in an object store is the same images as that folder on disk."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from namesake.errors import ImagesError
from namesake.images import open_images, read_image, stores
from namesake.images.identity import identify
from namesake.records import Images

ODD = "a/\N{LATIN SMALL LETTER U WITH DIAERESIS} #?*[1]%20.png"


def put(store: Any, folder: Path, url: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            store.pipe(f"{url}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def look(images: Images) -> tuple[list[np.ndarray], dict[str, Any]]:
    """What another process reads, which has listed nothing."""
    stores._seen.clear()
    return [read_image(images.path(image_id)) for image_id in images.ids], identify(images)


def test_s3__the_same_images_in_one_process_and_in_two(bucket: Any, folder: Path):
    for name in (ODD, ".hidden/x.png", "a/.y.png", "notes.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((folder / "b.png").read_bytes())
    put(bucket, folder, "s3://bucket/in")
    put(bucket, folder, "s3://bucket/inner")
    for name in ("/b.png", "a::b.png", "a//b.png", "marked/"):  # none is a path
        bucket.pipe(f"s3://bucket/in/{name}", b"")
    here, there = open_images(folder), open_images("s3://bucket/in/")
    assert (there.ids, dict(there.passed_over)) == (here.ids, {".txt": 1})
    assert ODD in there.ids
    pixels, known = look(here)[0], identify(there)
    assert len({each.digest for each in known.values()}) == 1
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:  # as those who make samples do
        found = list(pool.map(look, [there, there]))
    for read, again in [*found, look(there)]:
        assert again == known
        assert all(np.array_equal(*pair) for pair in zip(read, pixels, strict=True))
    assert open_images([Path("s3://bucket/in/b.png"), "s3://bucket/inner/a"]).ids[0] == "in/b.png"


def test_s3__asked_in_vain(bucket: Any, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ImagesError, match=r"s3://nowhere/in cannot be listed: nothing is there\. Check the address"):
        open_images("s3://nowhere/in")
    with pytest.raises(ImagesError, match=r"expected images in s3://bucket/in .* found no file\. Check the address"):
        open_images("s3://bucket/in")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    bucket.clear_instance_cache()
    with pytest.raises(
        ImagesError, match=r"cannot be listed: Unable to locate credentials\. Check .* your credentials"
    ):
        open_images("s3://bucket/in")


def test_left_out__said(memory: Any, folder: Path, capfd: pytest.CaptureFixture[str]):
    put(memory, folder, "memory://in")
    for name in ("t.tar", "t.parquet"):
        memory.pipe(f"memory://in/{name}", b"content")
    assert open_images("memory://in").ids == open_images(folder).ids
    assert "memory://in: 2 left out: 't.parquet' (read from disk only: copy it there), " in capfd.readouterr().err
    memory.pipe("memory://tars/t.tar", b"content")
    with pytest.raises(ImagesError, match="Left out: 't.tar'"):
        open_images("memory://tars")
    with pytest.raises(ImagesError, match="copy it there, and give the copy"):
        open_images("memory://tars/t.tar")


def test_identity__of_what_changed_or_is_gone(memory: Any, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stores, "ONE_BY_ONE", 3)
    put(memory, folder, "memory://in")
    images = open_images("memory://in")
    before = identify(images)
    memory.pipe("memory://in/b.png", (folder / "b.png").read_bytes() + b"more")
    memory.rm("/in/a.png")
    assert identify(images) == before  # as it was listed
    for some in (images, Images(images.folder, ("a.png", "b.png"))):  # listed as a whole, and one by one
        stores._seen.clear()
        found = identify(some)
        assert found["a.png"].digest == ""
        assert [each for each in found if found[each] != before[each]] == ["a.png", "b.png"]
    assert open_images("memory://in").ids == tuple(each for each in images.ids if each != "a.png")


def test_sources__of_several_places(memory: Any, folder: Path):
    put(memory, folder, "memory://in")
    put(memory, folder, "memory://other")
    assert open_images("memory://in/b.png") == Images(Path("memory:/in"), ("b.png",))
    assert open_images(["memory://in/a", "memory://in/b.png"]).ids == ("a/10.png", "a/2.png", "b.png")
    for places in (["memory://in", "memory://other"], ["memory://in", str(folder)]):
        with pytest.raises(ImagesError, match="several places"):
            open_images(places)


@pytest.mark.parametrize("address", ["https://example.org/in", "file:///etc", "memory://in::file:///etc"])
def test_address__of_no_store(address: str):
    with pytest.raises(ImagesError, match="only those of object stores are read: .*, gs, hf, memory, s3"):
        open_images(address)


def test_package__missing():
    with pytest.raises(ImagesError, match=r"Install the package that fsspec needs for abfs://"):
        open_images("abfs://container/in")
