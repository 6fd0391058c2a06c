import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.errors import ConfigError, DataError, WorkspaceError
from namesake.images import open_images, read_image
from namesake.prediction import DatasetConfig, predict_folder, write_dataset
from namesake.prediction.dataset import split_of
from namesake.prediction.export import read_index_png
from namesake.records import Names, Prediction


def label(segmenter, photos, home: Path, **options):
    """Predict and write a dataset, as `label` does."""
    predictions = predict_folder(home / "run" / "predictions", segmenter, photos, confidence=True)
    (home / "run" / ".lock").touch()
    return write_dataset(predictions, photos, out=home, **options)


def test_tree__a_mask_for_every_image(photos, segmenter, tmp_path):
    made = label(segmenter, photos, tmp_path / "data", config=DatasetConfig(unsure=0.0))
    assert made.counts == {"images": 6, "labelled": 6, "skipped": 0, "train": 5, "val": 1}
    for split in ("train", "val"):
        images = {
            str(path.relative_to(made.folder / "images" / split).with_suffix(""))
            for path in _files(made.folder / "images" / split)
        }
        masks = {
            str(path.relative_to(made.folder / "masks" / split).with_suffix(""))
            for path in _files(made.folder / "masks" / split)
        }
        assert images == masks
    for image_id in photos.ids:
        (found,) = made.folder.glob(f"images/*/{image_id}")
        assert found.read_bytes() == photos.path(image_id).read_bytes()
        (mask,) = made.folder.glob(f"masks/*/{Path(image_id).with_suffix('.png')}")
        assert np.array_equal(read_index_png(mask), segmenter.segment(read_image(found)).labels)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_unsure__the_least_confident_tenth(photos, segmenter, tmp_path):
    made = label(segmenter, photos, tmp_path / "data")
    sure = unsure = 0
    for image_id in photos.ids:
        predicted = segmenter.segment(read_image(photos.path(image_id)))
        (mask,) = made.folder.glob(f"masks/*/{Path(image_id).with_suffix('.png')}")
        labels = read_index_png(mask)
        assert np.array_equal(labels[labels != 255], predicted.labels[labels != 255])
        sure, unsure = sure + (labels != 255).sum(), unsure + (labels == 255).sum()
    assert 0.02 < unsure / (sure + unsure) <= 0.1
    assert made.unsure_pixels == pytest.approx(unsure / (sure + unsure), abs=1e-4)


def test_exports__said_with_their_losses(photos, segmenter, tmp_path):
    made = label(segmenter, photos, tmp_path / "data")
    assert {"index_png", "confidence", "ultralytics", "lightly_train", "coco", "yolo", "voc", "label_studio"} == set(
        made.exports
    )
    assert all((made.folder / facts["path"]).exists() for facts in made.exports.values())
    written = json.loads((made.folder / "dataset.json").read_text())
    assert written["exports"] == json.loads(json.dumps(made.exports))
    assert (written["seed"], written["unsure"], written["counts"]) == (0, 0.1, made.counts)


class Blind:
    """Sees background only."""

    names = Names(("dusk", "noon"))

    def segment_many(self, images) -> list[Prediction]:
        return [
            Prediction(np.zeros(image.shape[:2], np.uint8), np.ones(image.shape[:2], np.float32)) for image in images
        ]


def test_nothing_labelled__an_error(photos, tmp_path):
    with pytest.raises(DataError, match="nothing was labelled: none of 6 images shows any of dusk, noon"):
        label(Blind(), photos, tmp_path / "data")


def test_skipped__counted_and_left_out(photos, segmenter, tmp_path):
    photos.path("b.png").write_bytes(b"no picture")
    made = label(segmenter, photos, tmp_path / "data")
    assert (made.counts["images"], made.counts["labelled"], made.counts["skipped"]) == (6, 5, 1)
    assert not list(made.folder.glob("*/*/b.*"))


def test_turned__written_upright(segmenter, tmp_path):
    (tmp_path / "photos").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    ramp = np.tile(np.linspace(0, 255, 30).astype(np.uint8)[None, :, None], (20, 1, 3))
    Image.fromarray(ramp).save(tmp_path / "photos" / "a.jpg", exif=exif)
    made = label(segmenter, open_images(tmp_path / "photos"), tmp_path / "data")
    (image,) = made.folder.glob("images/*/a.png")
    with Image.open(image) as picture:
        assert picture.size == (20, 30)
    assert np.array_equal(np.asarray(Image.open(image)), read_image(tmp_path / "photos" / "a.jpg"))


def test_same_stem__image_and_mask_share_a_longer_one(segmenter, tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "a.bmp"):
        Image.effect_noise((16, 12), 90).convert("RGB").save(tmp_path / "photos" / name)
    made = label(segmenter, open_images(tmp_path / "photos"), tmp_path / "data")
    assert {path.name for path in made.folder.glob("images/*/*")} == {"a.png.png", "a.bmp.bmp"}
    assert {path.name for path in made.folder.glob("masks/*/*")} == {"a.png.png", "a.bmp.png"}


def test_split__seeded_and_of_the_size_asked_for():
    ids = [f"{number}.jpg" for number in range(50)]
    splits = split_of(ids, DatasetConfig())
    assert sum(split == "val" for split in splits.values()) == 10
    assert split_of(ids[::-1], DatasetConfig()) == splits
    assert split_of(ids, DatasetConfig(seed=1)) != splits
    assert set(split_of(ids, DatasetConfig(validation=0)).values()) == {"train"}
    assert sorted(split_of(ids[:2], DatasetConfig()).values()) == ["train", "val"]
    assert list(split_of(ids[:1], DatasetConfig()).values()) == ["train"]


SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import ObjectsSegmenter
from namesake.images import open_images
from namesake.prediction import dataset, predict_folder
photos, home, count = open_images(Path(sys.argv[2])), Path(sys.argv[3]), int(sys.argv[4])
write = dataset.write_index_png
def dies(path, labels, names):
    global count
    count -= 1
    if count < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, labels, names=names)
dataset.write_index_png = dies
predictions = predict_folder(home / "run" / "predictions", ObjectsSegmenter(), photos, confidence=True)
(home / "run" / ".lock").touch()
dataset.write_dataset(predictions, photos, out=home)
"""


def test_resume__killed_and_begun_again_gives_the_same_bytes(photos, objects_segmenter, tmp_path, contents):
    whole = label(objects_segmenter, photos, tmp_path / "whole")
    where = [str(Path(__file__).parent), str(photos.folder), str(tmp_path / "killed")]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *where, "3"], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list((tmp_path / "killed" / "masks").rglob("*.png"))) == 3
    again = label(objects_segmenter, photos, tmp_path / "killed")
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert again.counts == whole.counts


def test_out__users_folder(photos, segmenter, tmp_path, contents):
    predictions = predict_folder(tmp_path / "predictions", segmenter, photos, confidence=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data.yaml").write_text("by hand")
    before = contents(tmp_path / "mine")
    with pytest.raises(WorkspaceError, match="holds no dataset"):
        write_dataset(predictions, photos, out=tmp_path / "mine")
    assert contents(tmp_path / "mine") == before


def test_out__other_settings_are_refused_unless_overwritten(photos, segmenter, tmp_path, contents):
    label(segmenter, photos, tmp_path / "data")
    other = DatasetConfig(seed=5, unsure=0.0)
    with pytest.raises(WorkspaceError, match=r"other settings \(unsure, seed\)"):
        label(segmenter, photos, tmp_path / "data", config=other)
    label(segmenter, photos, tmp_path / "data", config=other, overwrite=True)
    label(segmenter, photos, tmp_path / "fresh", config=other)
    assert contents(tmp_path / "data") == contents(tmp_path / "fresh")


@pytest.mark.parametrize("config", [DatasetConfig(unsure=1.0), DatasetConfig(validation=-0.1)])
def test_config__shares_out_of_range(photos, segmenter, tmp_path, config):
    with pytest.raises(ConfigError, match="shares from 0"):
        label(segmenter, photos, tmp_path / "data", config=config)


def test_changed__only_it_is_written_anew(photos, segmenter, tmp_path, contents):
    made = label(segmenter, photos, tmp_path / "data", config=DatasetConfig(unsure=0.0))
    before = {path: path.stat().st_mtime_ns for path in _files(made.folder / "masks")}
    Image.effect_noise((20, 14), 90).convert("RGB").save(photos.path("b.png"))
    label(segmenter, photos, tmp_path / "data", config=DatasetConfig(unsure=0.0))
    written = [path for path in _files(made.folder / "masks") if path.stat().st_mtime_ns != before.get(path)]
    assert [path.name for path in written] == ["b.png"]
    label(segmenter, photos, tmp_path / "fresh", config=DatasetConfig(unsure=0.0))
    assert contents(tmp_path / "data") == contents(tmp_path / "fresh")


def test_gone__in_no_folder_and_no_format(photos, segmenter, tmp_path, contents):
    label(segmenter, photos, tmp_path / "data")
    photos.path("b.png").unlink()
    fewer = open_images(photos.folder)
    label(segmenter, fewer, tmp_path / "data", overwrite=True)
    assert not list((tmp_path / "data").rglob("b.*"))
    label(segmenter, fewer, tmp_path / "fresh")
    assert contents(tmp_path / "data") == contents(tmp_path / "fresh")


def test_gone_after_it_was_predicted__left_out_and_counted(photos, segmenter, tmp_path):
    predictions = predict_folder(tmp_path / "data" / "run" / "predictions", segmenter, photos, confidence=True)
    (tmp_path / "data" / "run" / ".lock").touch()
    photos.path("b.png").unlink()
    made = write_dataset(predictions, photos, out=tmp_path / "data")
    assert (made.counts["images"], made.counts["skipped"], made.counts["train"] + made.counts["val"]) == (6, 1, 5)


@pytest.mark.parametrize("kind", ["tar", "table", "table of paths", "jfif"])
def test_other_ways_in__a_dataset_of_plain_files(photos, segmenter, tmp_path, kind):
    import tarfile

    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["a.png", "b.png", "c.jpg"]
    home = tmp_path / "others"
    home.mkdir()
    if kind == "tar":
        with tarfile.open(home / "0.tar", "w") as tar:
            for name in names:
                tar.add(photos.path(name), name)
    elif kind == "table":
        pq.write_table(pa.table({"image": [photos.path(name).read_bytes() for name in names]}), home / "t.parquet")
    elif kind == "table of paths":
        pq.write_table(pa.table({"path": names}), photos.folder / "t.parquet")
        home = photos.folder / "t.parquet"
    else:
        for number in range(3):
            (home / f"{number}.jfif").write_bytes(photos.path("c.jpg").read_bytes())
    made = label(segmenter, open_images(home), tmp_path / "data", config=DatasetConfig(unsure=0.0))
    assert made.counts["images"] == 3
    files = _files(made.folder / "images")
    assert {path.suffix for path in files} <= {".png", ".jpg"}
    for path in files:
        mask = made.folder / "masks" / path.relative_to(made.folder / "images").with_suffix(".png")
        assert np.array_equal(read_index_png(mask), segmenter.segment(read_image(path)).labels)


def test_same_stem__three_suffixes_three_images(segmenter, tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "a.bmp", "a.png.bmp"):
        Image.effect_noise((16, 12), 90).convert("RGB").save(tmp_path / "photos" / name)
    made = label(segmenter, open_images(tmp_path / "photos"), tmp_path / "data")
    assert len(_files(made.folder / "images")) == len(_files(made.folder / "masks")) == 3
    assert len(_files(made.folder / "labels")) == 3


def test_long_names__labelled_in_every_format(segmenter, tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("n" * 251 + ".png", "n" * 250 + ".jpeg", "m.png"):
        Image.effect_noise((16, 12), 90).convert("RGB").save(tmp_path / "photos" / name)
    made = label(segmenter, open_images(tmp_path / "photos"), tmp_path / "data")
    assert made.counts["images"] == 3
    assert made.counts["skipped"] == 0
