import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw

from namesake.prediction.export.yolo import labels_path, polygon_numbers
from namesake.prediction.polygons import join, trace


def read_line(line: str, height: int, width: int) -> tuple[int, np.ndarray]:
    """One line as trainers read it: shares to whole pixels, filled with the boundary."""
    number, *shares = line.split()
    points = (np.array(shares, dtype=float).reshape(-1, 2) * (width, height)).astype(int)
    canvas = Image.new("L", (width, height))
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in points.tolist()], fill=1, outline=1)
    return int(number), np.array(canvas).astype(bool)


def test_labels__a_line_an_object_and_the_loss_as_said(dataset, made, masks_of):
    names = yaml.safe_load((dataset.folder / "data-instances.yaml").read_text())["names"]
    assert names == {0: "dusk", 1: "noon"}
    ious = []
    for image in dataset.read():
        lines = (dataset.folder / "labels" / image.split / f"{image.stem}.txt").read_text().splitlines()
        kept = [(each, mask) for each, mask in zip(image.annotations, masks_of(image), strict=True) if mask.any()]
        assert len(lines) == len(kept)
        for line, (each, mask) in zip(lines, kept, strict=True):
            number, found = read_line(line, image.height, image.width)
            assert number + 1 == each["category_id"]
            ious.append((found & mask).sum() / (found | mask).sum())
    facts = made.exports["yolo"]
    assert facts["objects"] == len(ious)
    assert facts["mean_iou"] == pytest.approx(np.mean(ious), abs=1e-4)
    assert facts["least_iou"] == pytest.approx(min(ious), abs=1e-4)
    assert facts["mean_iou"] > (0.95 if facts["bridged_parts"] == 0 else 0.85)


def test_polygon_numbers__three_vertices_at_least_within_the_image():
    mask = np.zeros((5, 8), bool)
    mask[4, 7] = True
    numbers = polygon_numbers(join(trace(mask)), mask.shape)
    assert numbers.tolist() == [[0.90625, 0.85]] * 3


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_labels__read_by_supervision(dataset, masks_of):
    supervision = pytest.importorskip("supervision")
    read = supervision.DetectionDataset.from_yolo(
        str(dataset.folder / "images" / "val"),
        str(dataset.folder / "labels" / "val"),
        str(dataset.folder / "data-instances.yaml"),
        force_masks=True,
    )
    ((_, _, found),) = list(read)
    (image,) = (image for image in dataset.read() if image.split == "val")
    masks = masks_of(image)
    assert found.class_id.tolist() == [
        each["category_id"] - 1 for each, mask in zip(image.annotations, masks, strict=True) if mask.any()
    ]
    lines = (dataset.folder / "labels" / "val" / f"{image.stem}.txt").read_text().splitlines()
    for line, mask in zip(lines, found.mask, strict=True):  # it rounds where Ultralytics cuts
        _, cut = read_line(line, image.height, image.width)
        assert (cut & mask).sum() > 0.75 * (cut | mask).sum()


@pytest.mark.parametrize(
    ("stem", "path"),
    [
        ("in", "labels/train/in.txt"),
        ("a/b", "labels/train/a/b.txt"),
        ("images/in", "images/train/labels/in.txt"),
        ("images/x/images/in", "images/train/images/x/labels/in.txt"),
        ("my images/in", "labels/train/my images/in.txt"),
    ],
)
def test_labels__where_ultralytics_looks_for_them(stem: str, path: str):
    """`img2label_paths`: the last `/images/` of the image's path becomes `/labels/`."""
    image = f"/data/images/train/{stem}.jpg"
    before, after = image.rsplit("/images/", 1)
    assert f"/data/{labels_path('train', stem)}" == f"{before}/labels/{after}".removesuffix(".jpg") + ".txt"
    assert labels_path("train", stem) == path
