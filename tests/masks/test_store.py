import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from namesake.errors import DataError
from namesake.masks import MaskLookup, MaskWriter, lookup, open_masks, read_masks
from namesake.masks.rle import encode
from namesake.masks.store import SKIPPED, count_masks, read_skipped
from namesake.records import ModelCard, PseudoMask, PseudoMasks
from namesake.workspace import write_json

IDS = [f"{number:03d}.png" for number in range(25)]


def row(image_id: str) -> PseudoMask:
    """Any mask, the same for the same id; that of 007.png is empty."""
    rng = np.random.default_rng(int(image_id[:3]))
    height, width = rng.integers(3, 20, 2)
    mask = (rng.random((height, width)) < 0.4) & (image_id != "007.png")
    return PseudoMask(image_id, int(rng.integers(5)), float(np.float32(rng.random())), *mask.shape, encode(mask))


def write(out: Path, ids: Sequence[str], *, stop_after: int | None = None, shard_size: int = 10) -> None:
    """Write masks of `ids`, 011.png being unreadable; stop as a killed process would."""
    with MaskWriter(out, shard_size) as writer:
        for number, image_id in enumerate(writer.resume(ids)):
            if number == stop_after:
                raise KeyboardInterrupt
            writer.skip(image_id, "cut off") if image_id == "011.png" else writer.write(row(image_id))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_masks_come_back_in_order(tmp_path: Path) -> None:
    write(tmp_path, IDS)
    expected = [row(image_id) for image_id in IDS if image_id != "011.png"]
    assert list(read_masks(PseudoMasks(tmp_path))) == expected
    assert [path.name for path in sorted(tmp_path.glob("*.parquet"))] == [f"masks-0000{n}.parquet" for n in range(3)]
    assert count_masks(tmp_path) == {"masks": 24, "empty": 1, "skipped": 1}
    assert json.loads((tmp_path / SKIPPED).read_text()) == [{"image_id": "011.png", "reason": "cut off"}]


def test_columns_are_the_published_ones(tmp_path: Path) -> None:
    write(tmp_path, IDS)
    assert pq.read_schema(tmp_path / "masks-00000.parquet").names == [
        "image_id", "label", "score", "height", "width", "counts",
    ]  # fmt: skip


@pytest.mark.parametrize("killed_after", [0, 3, 10, 12, 24])
def test_writer__killed_and_resumed_gives_the_same_bytes(tmp_path: Path, killed_after: int) -> None:
    write(tmp_path / "whole", IDS)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "resumed", IDS, stop_after=killed_after)
    done = sorted(path.name for path in (tmp_path / "resumed").glob("*"))
    assert done == [f"masks-0000{n}.parquet" for n in range(killed_after // 10)]
    write(tmp_path / "resumed", IDS)
    assert content(tmp_path / "resumed") == content(tmp_path / "whole")


def test_writer__finished_leaves_nothing_to_do(tmp_path: Path) -> None:
    write(tmp_path, IDS)
    assert not MaskWriter(tmp_path, 10).resume(IDS)


def test_writer__shards_of_other_images_are_written_anew(tmp_path: Path) -> None:
    write(tmp_path, IDS)
    changed = [*IDS[:12], "100.png"]
    assert MaskWriter(tmp_path, 10).resume(changed) == changed[10:]
    write(tmp_path, changed)
    assert [each.image_id for each in read_masks(PseudoMasks(tmp_path))][-2:] == [IDS[10], "100.png"]
    assert read_skipped(tmp_path) == [("011.png", "cut off")]


def test_writer__fewer_images_than_before_leave_no_old_shard(tmp_path: Path) -> None:
    write(tmp_path, IDS)
    with MaskWriter(tmp_path, 10) as writer:
        writer.write(row("020.png"))
    assert [each.image_id for each in read_masks(PseudoMasks(tmp_path))] == ["020.png"]


def test_lookup_gives_the_asked_ones_in_their_order(tmp_path: Path) -> None:
    write(tmp_path, IDS)
    masks = PseudoMasks(tmp_path)
    asked = ["024.png", "000.png", "010.png", "000.png"]
    assert lookup(masks, asked) == [row(image_id) for image_id in asked]
    table = MaskLookup(masks)
    assert len(table) == 24
    assert list(table)[:2] == IDS[:2]
    assert all(table[image_id] == row(image_id) for image_id in table)


def test_lookup__more_rows_than_a_group(tmp_path: Path) -> None:
    ids = [f"{number:03d}.png" for number in range(200)]
    with MaskWriter(tmp_path, 150) as writer:
        for image_id in ids:
            writer.write(row(image_id))
    table = MaskLookup(PseudoMasks(tmp_path))
    assert [table[image_id].image_id for image_id in (ids[63], ids[64], ids[149], ids[150], ids[199])] == [
        ids[63], ids[64], ids[149], ids[150], ids[199],
    ]  # fmt: skip


def test_lookup__image_without_mask(tmp_path: Path) -> None:
    write(tmp_path, IDS)
    assert "011.png" not in MaskLookup(PseudoMasks(tmp_path))
    with pytest.raises(DataError, match="011.png"):
        lookup(PseudoMasks(tmp_path), ["000.png", "011.png"])


def test_open_masks_reads_the_manifest(tmp_path: Path) -> None:
    write(tmp_path, IDS)
    assert open_masks(tmp_path).counts == {"masks": 24, "empty": 1, "skipped": 1}
    card = {"name": "n", "source": "s", "licence": "MIT", "tier": "S"}
    write_json(tmp_path / "manifest.json", {"stage": "masks", "key": "k", "counts": {"masks": 24}, "models": [card]})
    opened = open_masks(tmp_path)
    assert opened.counts == {"masks": 24}
    assert opened.models == (ModelCard("n", "s", "MIT", "S"),)


def test_open_masks__no_masks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no masks"):
        open_masks(tmp_path)
    with pytest.raises(DataError, match="holds no masks"):
        MaskLookup(PseudoMasks(tmp_path))


def test_read_masks__damaged_shard(tmp_path: Path) -> None:
    write(tmp_path, IDS)
    shard = tmp_path / "masks-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(DataError, match="masks-00001.parquet is damaged"):
        list(read_masks(PseudoMasks(tmp_path)))


@pytest.mark.parametrize(("column", "content"), [("image_id", b"\x80"), ("other", b"a.png")])
def test_read_masks__no_text_and_no_ids(tmp_path: Path, column: str, content: bytes) -> None:
    ids = pa.array([content]).cast(pa.string(), safe=False)
    table = {column: ids, "label": [1], "score": [0.5], "height": [2], "width": [2], "counts": [b"04"]}
    pq.write_table(pa.table(table), tmp_path / "masks-00000.parquet")
    with pytest.raises(DataError, match="masks-00000.parquet is damaged"):
        list(read_masks(PseudoMasks(tmp_path)))
