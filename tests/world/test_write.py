"""Folders: complete, resumable, the same bytes as in memory, and refused when they hold something else."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet
from pycocotools import mask as coco_mask

from namesake.errors import ConfigError, WorkspaceError
from namesake.world import NAMES, STUFF, draw, write_world

SIZE = 32


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_scenes__folder_agrees_with_memory(tmp_path: Path):
    written = write_world("scenes", tmp_path / "w", count=6, seed=1, size=SIZE, workers=1)
    assert (written.images, written.kept) == (6, 0)
    coco = json.loads((tmp_path / "w" / "instances.json").read_text())
    for index, scene in enumerate(draw("scenes", count=6, seed=1, size=SIZE)):
        assert np.array_equal(np.array(Image.open(tmp_path / "w" / "images" / f"{index:06d}.jpg")), scene.image)
        mask = Image.open(tmp_path / "w" / "masks" / f"{index:06d}.png")
        assert mask.mode == "P"
        assert np.array_equal(np.array(mask), scene.labels)
        annotations = [a for a in coco["annotations"] if a["image_id"] == index]
        assert [NAMES[a["category_id"] - 1] for a in annotations] == list(scene.instance_names)
        for number, annotation in enumerate(annotations, start=1):
            decoded = coco_mask.decode(annotation["segmentation"])
            assert np.array_equal(decoded, scene.instances == number)
            assert annotation["area"] == decoded.sum()
            assert annotation["iscrowd"] == 0
    names = json.loads((tmp_path / "w" / "names.json").read_text())
    assert list(names.values()) == ["background", *NAMES, *STUFF]
    assert names["1"] == NAMES[0]


def test_captioned__captions_without_labels(tmp_path: Path):
    write_world("captioned", tmp_path, count=3, seed=1, size=SIZE, workers=1)
    table = parquet.read_table(tmp_path / "captions.parquet").to_pydict()
    assert table["file"] == ["000000.jpg", "000001.jpg", "000002.jpg"]
    assert table["caption"] == [scene.caption for scene in draw("captioned", count=3, seed=1, size=SIZE)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captions.parquet", "images", "world.json"]


def test_unlabelled__images_and_nothing_else(tmp_path: Path):
    write_world("unlabelled", tmp_path, count=2, seed=1, size=SIZE, workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "world.json"]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["captioned", "scenes"])
def test_write__goes_on_where_it_was_stopped(tmp_path: Path, kind: str):
    write_world(kind, tmp_path / "whole", count=5, seed=1, size=SIZE, workers=1)
    write_world(kind, tmp_path / "parts", count=3, seed=1, size=SIZE, workers=1)
    (tmp_path / "parts" / "world.json").rename(tmp_path / "parts" / ".world-started.json")
    (tmp_path / "parts" / "images" / "000001.jpg").unlink()
    (tmp_path / "parts" / ".part-1-000003.jpg").write_bytes(b"half")
    kept = tmp_path / "parts" / "images" / "000000.jpg"
    before = kept.stat().st_mtime_ns
    assert write_world(kind, tmp_path / "parts", count=5, seed=1, size=SIZE, workers=1).kept == 2
    assert kept.stat().st_mtime_ns == before
    assert snapshot(tmp_path / "parts") == snapshot(tmp_path / "whole")


def test_write__refuses_another_draw(tmp_path: Path):
    write_world("unlabelled", tmp_path, count=2, seed=1, size=SIZE, workers=1)
    for change, words in (
        ({"seed": 2}, "seed 1 .asked for 2"),
        ({"size": 48}, "size 32"),
        ({"names": ["mug"]}, "names"),
    ):
        with pytest.raises(WorkspaceError, match=words):
            write_world("unlabelled", tmp_path, **{"count": 2, "seed": 1, "size": SIZE, "workers": 1, **change})
    with pytest.raises(WorkspaceError, match="draw 'unlabelled'"):
        write_world("scenes", tmp_path, count=2, seed=1, size=SIZE, workers=1)
    with pytest.raises(WorkspaceError, match="holds 2 images"):
        write_world("unlabelled", tmp_path, count=1, seed=1, size=SIZE, workers=1)


def test_write__refuses_a_foreign_folder(tmp_path: Path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(WorkspaceError, match="not empty"):
        write_world("unlabelled", tmp_path, count=1, seed=1, size=SIZE, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_write__count_of_zero(tmp_path: Path):
    with pytest.raises(ConfigError, match="count is 0"):
        write_world("unlabelled", tmp_path, count=0, seed=1)


def test_write_world__truth_of_unlabelled_images(tmp_path: Path):
    write_world("unlabelled", tmp_path / "plain", count=2, seed=4, size=32, workers=1)
    write_world("unlabelled", tmp_path / "known", count=2, seed=4, size=32, workers=1, truth=True)
    assert not (tmp_path / "plain" / "masks").exists()
    assert len(list((tmp_path / "known" / "masks").iterdir())) == 2
    for image in (tmp_path / "plain" / "images").iterdir():
        assert image.read_bytes() == (tmp_path / "known" / "images" / image.name).read_bytes()
