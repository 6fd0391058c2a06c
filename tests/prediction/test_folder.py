import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.errors import ConfigError, ImagesError, WorkspaceError
from namesake.images import open_images, read_image
from namesake.prediction import stream
from namesake.prediction.export import read_index_png
from namesake.prediction.folder import open_predictions, predict_folder
from namesake.prediction.kept import stems_of
from namesake.records import Images, Names, Prediction
from namesake.workspace import Workspace


def test_files__one_set_an_image(photos, segmenter, tmp_path):
    out = tmp_path / "out"
    made = predict_folder(out, segmenter, photos, confidence=True)
    assert made.counts == {"images": 6, "skipped": 0}
    stems = {"a", "b", "c", "d", "sub/a", "sub/e"}
    for kind, suffix in (("labels", ".png"), ("overlays", ".jpg"), ("confidence", ".png")):
        found = {str(path.relative_to(out / kind).with_suffix("")) for path in (out / kind).rglob(f"*{suffix}")}
        assert found == stems
    for image_id in photos.ids:
        image = read_image(photos.path(image_id))
        found = segmenter.segment(image)
        stem = Path(image_id).with_suffix(".png")
        assert np.array_equal(read_index_png(out / "labels" / stem), found.labels)
        confidence = np.asarray(Image.open(out / "confidence" / stem)) / 255
        assert np.abs(confidence - found.confidence).max() <= 0.5 / 255 + 1e-6


def test_files__images_untouched(photos, segmenter, tmp_path, contents):
    before = contents(photos.folder)
    predict_folder(tmp_path / "out", segmenter, photos)
    assert contents(photos.folder) == before


def test_options__off(photos, segmenter, tmp_path):
    out = tmp_path / "out"
    predict_folder(out, segmenter, photos, instances=False, overlays=False)
    assert {entry.name for entry in out.iterdir()} == {"inputs.parquet", "labels", "predictions.json", "skipped.jsonl"}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with numpy 2
def test_coco__read_by_pycocotools(photos, objects_segmenter, tmp_path, capsys):
    from pycocotools.coco import COCO

    out = tmp_path / "out"
    predict_folder(out, objects_segmenter, photos)
    coco = COCO(out / "instances.json")
    assert [coco.cats[label]["name"] for label in (1, 2)] == ["dusk", "noon"]
    assert "one object" in coco.dataset["info"]["description"]
    for number, image_id in enumerate(photos.ids, start=1):
        assert coco.imgs[number]["file_name"] == image_id
        wanted = objects_segmenter.segment(read_image(photos.path(image_id))).instances
        found = coco.loadAnns(coco.getAnnIds(imgIds=[number]))
        assert [each["score"] for each in found] == [0.75, 0.5]
        for each, mask in zip(found, wanted.masks, strict=True):
            assert np.array_equal(coco.annToMask(each).astype(bool), mask)
            assert each["area"] == mask.sum()
            assert each["iscrowd"] == 0


def test_coco__semantic_system(photos, segmenter, tmp_path):
    out = tmp_path / "out"
    predict_folder(out, segmenter, photos)
    coco = json.loads((out / "instances.json").read_text())
    assert "finds no objects" in coco["info"]["description"]
    per_image = {}
    for each in coco["annotations"]:
        per_image.setdefault(each["image_id"], []).append(each["category_id"])
        assert 0 <= each["score"] <= 1
    for number, image_id in enumerate(photos.ids, start=1):
        labels = segmenter.segment(read_image(photos.path(image_id))).labels
        assert per_image[number] == [label for label in np.unique(labels).tolist() if label]
    assert [each["id"] for each in coco["annotations"]] == list(range(1, len(coco["annotations"]) + 1))


class StopsAt:
    """Fails on the nth batch."""

    def __init__(self, segmenter, count):
        self.names, self.count, self.segmenter = segmenter.names, count, segmenter

    def segment_many(self, images) -> list[Prediction]:
        self.count -= 1
        if self.count < 0:
            raise KeyboardInterrupt
        return self.segmenter.segment_many(images)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(stream, "BLOCK", 2)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("after", [0, 1, 2])
def test_resume__same_bytes(photos, objects_segmenter, tmp_path, contents, after):
    predict_folder(tmp_path / "whole", objects_segmenter, photos)
    with pytest.raises(KeyboardInterrupt):
        predict_folder(tmp_path / "resumed", StopsAt(objects_segmenter, after), photos)
    predict_folder(tmp_path / "resumed", objects_segmenter, photos)
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")


SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import ObjectsSegmenter
from namesake.images import open_images
from namesake.prediction import predict_folder, objects
append = objects.ObjectsFile.append
def dies(self, line):
    append(self, line)
    if len(self._places) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
objects.ObjectsFile.append = dies
predict_folder(Path(sys.argv[3]), ObjectsSegmenter(), open_images(Path(sys.argv[2])))
"""


def test_resume__killed_between_objects_and_label_map(photos, objects_segmenter, tmp_path, contents):
    predict_folder(tmp_path / "whole", objects_segmenter, photos)
    where = [str(Path(__file__).parent), str(photos.folder), str(tmp_path / "killed")]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *where], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len((tmp_path / "killed" / "instances.jsonl").read_text().splitlines()) == 3
    assert len(list((tmp_path / "killed" / "labels").rglob("*.png"))) == 2
    predict_folder(tmp_path / "killed", objects_segmenter, photos)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_resume__line_cut_off(photos, segmenter, tmp_path, contents):
    predict_folder(tmp_path / "whole", segmenter, photos)
    predict_folder(tmp_path / "cut", segmenter, photos)
    path = tmp_path / "cut" / "instances.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    predict_folder(tmp_path / "cut", segmenter, photos)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_resume__nothing_to_do(photos, segmenter, tmp_path):
    predict_folder(tmp_path / "out", segmenter, photos)
    made = predict_folder(tmp_path / "out", StopsAt(segmenter, 0), photos)
    assert made.counts == {"images": 6, "skipped": 0}


def test_resume__images_added(photos, segmenter, tmp_path):
    some = Images(photos.folder, photos.ids[:3])
    predict_folder(tmp_path / "out", segmenter, some)
    predict_folder(tmp_path / "out", StopsAt(segmenter, 1), photos)
    assert len(json.loads((tmp_path / "out" / "instances.json").read_text())["images"]) == 6


def test_skipped__listed_and_counted(photos, segmenter, tmp_path):
    (photos.folder / "b.png").write_bytes(b"no picture")
    made = predict_folder(tmp_path / "out", segmenter, photos)
    assert made.counts == {"images": 5, "skipped": 1}
    lines = [json.loads(line) for line in (tmp_path / "out" / "skipped.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == ["b.png"]
    assert lines[0]["reason"]
    coco = json.loads((tmp_path / "out" / "instances.json").read_text())
    assert [image["id"] for image in coco["images"]] == [1, 3, 4, 5, 6]


def test_skipped__all(photos, segmenter, tmp_path):
    for image_id in photos.ids:
        photos.path(image_id).write_bytes(b"no picture")
    with pytest.raises(ImagesError, match="none of 6 images"):
        predict_folder(tmp_path / "out", segmenter, photos)


def test_images__none(segmenter, tmp_path):
    with pytest.raises(ImagesError, match="no images"):
        predict_folder(tmp_path / "out", segmenter, Images(tmp_path / "photos", ()))


def test_out__users_folder(photos, segmenter, tmp_path, contents):
    (tmp_path / "mine" / "labels").mkdir(parents=True)
    (tmp_path / "mine" / "labels" / "a.png").write_bytes(b"drawn by hand")
    before = contents(tmp_path / "mine")
    with pytest.raises(WorkspaceError, match="not empty"):
        predict_folder(tmp_path / "mine", segmenter, photos)
    assert contents(tmp_path / "mine") == before


def test_out__within_images(photos, segmenter):
    with pytest.raises(WorkspaceError, match="lies within the images"):
        predict_folder(photos.folder / "out", segmenter, photos)
    assert not (photos.folder / "out").exists()


def test_out__other_settings(photos, segmenter, tmp_path):
    predict_folder(tmp_path / "out", segmenter, photos, source="runs/one")
    with pytest.raises(WorkspaceError, match=r"other settings \(overlays\)"):
        predict_folder(tmp_path / "out", segmenter, photos, source="runs/one", overlays=False)
    with pytest.raises(WorkspaceError, match=r"other settings \(the segmenter, or how it computes and reads\)"):
        predict_folder(tmp_path / "out", segmenter, photos, source="runs/two")


def test_out__other_words_for_a_name(photos, segmenter, tmp_path):
    """A name's synonyms decide what is found, so they are part of the work; folders without them say nothing."""

    class Speaks:
        def __init__(self, *synonyms):
            self.names = Names(segmenter.names.names, synonyms=synonyms)

        def segment_many(self, images):
            return segmenter.segment_many(images)

    others = ((),) * (len(segmenter.names) - 1)
    predict_folder(tmp_path / "out", Speaks(("evening",), *others), photos)
    assert open_predictions(tmp_path / "out").names.synonyms == (("evening",), *others)
    with pytest.raises(WorkspaceError, match="synonyms"):
        predict_folder(tmp_path / "out", Speaks(("morning",), *others), photos)
    predict_folder(tmp_path / "plain", segmenter, photos)
    predict_folder(tmp_path / "plain", Speaks(), photos)
    assert "synonyms" not in json.loads((tmp_path / "plain" / "predictions.json").read_text())


def test_out__damaged_claim(photos, segmenter, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.json").write_text("{")
    with pytest.raises(WorkspaceError, match="damaged"):
        predict_folder(tmp_path / "out", segmenter, photos)


def test_step__opened_when_done(photos, tmp_path):
    class Named:
        names = Names(("dusk", "noon"))

        def __repr__(self):
            return "Named"

        def segment_many(self, images) -> list[Prediction]:
            return [
                Prediction((image[..., 0] > 90).astype(np.uint8), np.ones(image.shape[:2], np.float32))
                for image in images
            ]

    with Workspace(tmp_path / "run") as workspace:
        made = workspace.step(predict_folder, Named(), photos)
        opened = workspace.step(predict_folder, Named(), photos)
    assert [stage["reused"] for stage in workspace.stages] == [False, True]
    assert opened == made
    assert open_predictions(made.folder).names == Named.names


def test_open__nothing_there(tmp_path):
    with pytest.raises(WorkspaceError, match=r"expected predictions\.json"):
        open_predictions(tmp_path)


def test_stems__suffix_kept_where_needed():
    assert stems_of(["a.jpg", "a.png", "s/a.png", "b.c.jpg"]) == {
        "a.jpg": "a.jpg",
        "a.png": "a.png",
        "s/a.png": "s/a",
        "b.c.jpg": "b.c",
    }


def test_labels__many_names(tmp_path):
    class Many:
        names = Names(tuple(f"name {number}" for number in range(300)))

        def segment_many(self, images) -> list[Prediction]:
            labels = np.full(images[0].shape[:2], 255, dtype=np.int32)
            labels[0, :3] = 300, 65_535, 0
            return [Prediction(labels, np.ones(labels.shape, np.float32))]

    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 6), "red").save(tmp_path / "photos" / "x.png")
    predict_folder(tmp_path / "out", Many(), open_images(tmp_path / "photos"))
    assert read_index_png(tmp_path / "out" / "labels" / "x.png")[0, :4].tolist() == [300, 65_535, 0, 255]
    found = json.loads((tmp_path / "out" / "instances.json").read_text())["annotations"]
    assert [each["category_id"] for each in found] == [255, 300]


def test_overlays__opacity(photos, segmenter, tmp_path):
    plain, opaque = (
        predict_folder(tmp_path / f"{opacity}", segmenter, photos, opacity=opacity) for opacity in (0.45, 1.0)
    )
    one, other = (next((made.folder / "overlays").rglob("*.jpg")).read_bytes() for made in (plain, opaque))
    assert one != other
    with pytest.raises(WorkspaceError, match="opacity"):
        predict_folder(tmp_path / "1.0", segmenter, photos)
    with pytest.raises(ConfigError, match="from 0 to 1, found 45"):
        predict_folder(tmp_path / "new", segmenter, photos, opacity=45)
