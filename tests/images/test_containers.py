import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from namesake.errors import ImagesError
from namesake.images import open_images, read_image
from namesake.images.identity import identify
from namesake.workspace import describe


def png(value: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.full((3, 4, 3), value, dtype=np.uint8)).save(content, format="PNG")
    return content.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            facts = tarfile.TarInfo(name)
            facts.size = len(content)
            tar.addfile(facts, io.BytesIO(content))
    return path


def values(folder: Path) -> dict[str, int]:
    images = open_images(folder)
    return {image_id: int(read_image(images.path(image_id))[0, 0, 0]) for image_id in images.ids}


def test_tar__webdataset_layout_beside_files(tmp_path: Path):
    for shard in (0, 1):
        members = {f"{number:09d}.{kind}": png(10 * shard + number) for number in (0, 1) for kind in ("png", "txt")}
        write_tar(tmp_path / f"0000{shard}.tar", {**members, "more/000000007.png": png(7), "._x.png": b""})
    (tmp_path / "z.png").write_bytes(png(99))
    assert values(tmp_path) == {
        "00000.tar/000000000.png": 0,
        "00000.tar/000000001.png": 1,
        "00000.tar/more/000000007.png": 7,
        "00001.tar/000000000.png": 10,
        "00001.tar/000000001.png": 11,
        "00001.tar/more/000000007.png": 7,
        "z.png": 99,
    }


def test_tar__alone(tmp_path: Path):
    assert values(write_tar(tmp_path / "x.tar", {"./a.png": png(3)})) == {"a.png": 3}


def test_tar__members_that_point_outside_and_links(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = write_tar(tmp_path / "x.tar", {"../a.png": png(1), "/etc/b.png": png(2), "c.png": png(3)})
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("d.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert values(path) == {"c.png": 3}
    assert "2 left out" in capsys.readouterr().err
    with pytest.raises(ImagesError, match="holds no"):
        read_image(path / "d.png")


def test_tar__cut_off_or_compressed(tmp_path: Path):
    whole = write_tar(tmp_path / "a.tar", {"a.png": png(1)}).read_bytes()
    (tmp_path / "b.tar").write_bytes(whole[:100])
    (tmp_path / "c.tar").write_bytes(b"\x1f\x8b" + whole)
    assert list(values(tmp_path)) == ["a.tar/a.png"]


def test_tar__content_cut_off_is_a_reason(tmp_path: Path):
    path = write_tar(tmp_path / "a.tar", {"a.png": b"not an image", "b.png": b""})
    images = open_images(path)
    for image_id, reason in zip(images.ids, ["not an image", "empty"], strict=True):
        with pytest.raises(ImagesError, match=reason):
            read_image(images.path(image_id))


def test_tar__changed_file_is_read_anew(tmp_path: Path):
    write_tar(tmp_path / "a.tar", {"a.png": png(1)})
    assert values(tmp_path) == {"a.tar/a.png": 1}
    write_tar(tmp_path / "a.tar", {"b.png": png(2), "c.png": png(3)})
    assert values(tmp_path) == {"a.tar/b.png": 2, "a.tar/c.png": 3}


def test_parquet__bytes_over_several_row_groups(tmp_path: Path):
    pq.write_table(pa.table({"image": [png(value) for value in range(5)]}), tmp_path / "t.parquet", row_group_size=2)
    assert values(tmp_path) == {f"t.parquet/{row:08d}": row for row in range(5)}
    assert values(tmp_path / "t.parquet") == {f"{row:08d}": row for row in range(5)}


def test_parquet__images_of_hugging_face(tmp_path: Path):
    pq.write_table(pa.table({"image": [{"bytes": png(4), "path": "x.png"}]}), tmp_path / "t.parquet")
    assert values(tmp_path) == {"t.parquet/00000000": 4}


def test_parquet__paths_stay_below_the_folder(tmp_path: Path):
    home = tmp_path / "home"
    (home / "in").mkdir(parents=True)
    (home / "in" / "a.png").write_bytes(png(5))
    (tmp_path / "secret.png").write_bytes(png(6))
    (home / "link.png").symlink_to(tmp_path / "secret.png")
    names = ["in/a.png", "../secret.png", str(tmp_path / "secret.png"), "link.png", "missing.png", None]
    pq.write_table(pa.table({"path": names}), home / "t.parquet")
    images = open_images(home / "t.parquet")
    assert read_image(images.path("00000000"))[0, 0, 0] == 5
    for row, reason in enumerate(["outside", "outside", "outside", "No such file", "has no image"], start=1):
        with pytest.raises(ImagesError, match=reason):
            read_image(images.path(f"{row:08d}"))
    assert open_images(home).ids == ("in/a.png",)  # the table lists what lies beside it
    # a row is what its file is, not what the table is
    before = identify(images)
    (home / "in" / "a.png").write_bytes(png(7))
    after = identify(images)
    assert [each for each in images.ids if before[each].digest != after[each].digest] == ["00000000"]


def test_parquet__list_of_a_tar_and_other_tables(tmp_path: Path):
    write_tar(tmp_path / "0.tar", {"a.png": png(1)})
    pq.write_table(pa.table({"url": ["https://example.org/a.png"]}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"other": [1]}), tmp_path / "facts.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    assert list(values(tmp_path)) == ["0.tar/a.png"]


def test_parquet__no_such_row(tmp_path: Path):
    pq.write_table(pa.table({"jpg": [b""]}), tmp_path / "t.parquet")
    for member in ("00000001", "x.png"):
        with pytest.raises(ImagesError, match="holds no"):
            read_image(tmp_path / "t.parquet" / member)


def test_describe__changes_with_the_container(tmp_path: Path):
    write_tar(tmp_path / "a.tar", {"a.png": png(1)})
    before = describe(open_images(tmp_path))
    assert describe(open_images(tmp_path)) == before
    write_tar(tmp_path / "a.tar", {"a.png": png(1) + 20_000 * b"0"})
    assert describe(open_images(tmp_path)) != before


def test_parquet__paths_that_are_no_text(tmp_path: Path):
    paths = pa.array([b"\x80.png"]).cast(pa.string(), safe=False)
    pq.write_table(pa.table({"image_path": paths}), tmp_path / "x.parquet")
    images = open_images(tmp_path / "x.parquet")
    with pytest.raises(ImagesError, match="cannot be read"):
        read_image(images.path(images.ids[0]))
