"""What other programs read of a labelled dataset, compared with the masks that went in: one line a format.

    python benchmarks/exports.py

200 scenes of the embedded world with their true masks are written by `write_dataset`, once as objects and once as the
connected pieces of their label maps, and read back by pycocotools, supervision, Pillow and, where a format has no
light reader, by one written here from its description. IoU is per mask, best match of the same name; "differ" are the
pixels in which masks differ, in percent of those they have. Label maps count where they are sure.
"""

import argparse
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask
from scipy.ndimage import distance_transform_edt
from skimage.measure import label as components
from supervision import DetectionDataset

from brush import decode_brush
from claims import claim
from namesake.images import open_images
from namesake.prediction import DatasetConfig, predict_folder, write_dataset
from namesake.prediction.export import to_supervision
from namesake.records import Instances, Names, Prediction
from namesake.shapes import IGNORE, ImageArray, LabelArray, MaskArray
from namesake.world import write_world

Masks = dict[str, list[tuple[str, MaskArray]]]
"""By stem of the image: a name and a mask, for each object, or for each name in a label map."""
FAR = 6.0
"""Pixels from an outline at which the labels are certain."""


class Found(NamedTuple):
    """How well a format gave the masks back."""

    masks: int
    mean_iou: float
    least_iou: float
    percent_different: float


class Truth:
    """Predicts the true masks of a world's scenes, in the order of their files; least sure along outlines."""

    def __init__(self, world: Path, *, objects: bool) -> None:
        self.names = Names(names_of(world))
        self._world, self._objects = world, objects
        self._stems = iter(sorted(path.stem for path in (world / "images").iterdir()))

    def segment_many(self, images: Sequence[ImageArray]) -> list[Prediction]:
        """The truth of the next images."""
        return [self.predict(next(self._stems)) for _ in images]

    def predict(self, stem: str) -> Prediction:
        """The truth of one image."""
        labels, numbers = (png(self._world / folder / f"{stem}.png") for folder in ("masks", "instances"))
        edges = (np.diff(labels.astype(int), axis=0, append=-1) != 0) | (np.diff(labels.astype(int), append=-1) != 0)
        confidence = np.clip(distance_transform_edt(~edges) / FAR, 0, 1).astype(np.float32)
        if not self._objects:
            return Prediction(labels, confidence)
        masks = numbers[None] == np.arange(1, numbers.max(initial=0) + 1)[:, None, None]
        owners = [int(labels[mask][0]) for mask in masks]
        named = tuple(self.names.names[owner - 1] for owner in owners)
        return Prediction(labels, confidence, Instances(masks, tuple(owners), named, (0.9,) * len(masks)))


def png(path: Path) -> LabelArray:
    """The values of a PNG."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def names_of(world: Path) -> tuple[str, ...]:
    """Names of the labels from 1."""
    return tuple(json.loads((world / "names.json").read_text(encoding="utf-8")).values())[1:]


def label_maps(data: Path) -> dict[str, LabelArray]:
    """All label maps, by stem."""
    return {path.stem: png(path) for path in sorted((data / "masks").rglob("*.png"))}


def by_name(labels: LabelArray, names: dict[int, str]) -> list[tuple[str, MaskArray]]:
    """A mask for each name in a label map."""
    return [(names[value], labels == value) for value in np.unique(labels).tolist() if 0 < value < IGNORE]


def true_maps(world: Path, data: Path) -> Masks:
    """The true label maps, where those of the dataset are sure."""
    names = dict(enumerate(names_of(world), start=1))
    sure = {stem: labels != IGNORE for stem, labels in label_maps(data).items()}
    return {stem: by_name(png(world / "masks" / f"{stem}.png") * mask, names) for stem, mask in sure.items()}


def true_objects(world: Path, data: Path) -> Masks:
    """The true objects of every image."""
    truth = Truth(world, objects=True)
    every = {stem: truth.predict(stem).instances for stem in label_maps(data)}
    return {stem: list(zip(each.names, each.masks, strict=True)) for stem, each in every.items() if each is not None}


def true_pieces(world: Path, data: Path) -> Masks:
    """The connected pieces of the true label maps, where those of the dataset are sure."""
    return {
        stem: [
            (name, whole == number)
            for name, mask in found
            for whole in (components(mask, connectivity=2),)
            for number in range(1, whole.max() + 1)
        ]
        for stem, found in true_maps(world, data).items()
    }


def read_classes_json(data: Path) -> Masks:
    """LightlyTrain: label maps, and `classes.json` with a name for every value in them."""
    names = {int(value): name for value, name in json.loads((data / "classes.json").read_text("utf-8")).items()}
    return {stem: by_name(labels, names) for stem, labels in label_maps(data).items()}


def read_data_yaml(data: Path) -> Masks:
    """Ultralytics, semantic: the label map of an image lies where its path has the folder of masks."""
    facts = yaml.safe_load((data / "data.yaml").read_text("utf-8"))
    images = [path for split in ("train", "val") for path in (data / facts[split]).iterdir()]
    places = {path.stem: Path(str(path).replace("/images/", f"/{facts['masks_dir']}/")) for path in images}
    return {stem: by_name(png(place.with_suffix(".png")), facts["names"]) for stem, place in places.items()}


def read_voc_classes(data: Path) -> Masks:
    """VOC and CVAT: colours of `SegmentationClass`, named by `labelmap.txt`."""
    lines = [line.split(":") for line in (data / "voc/labelmap.txt").read_text("utf-8").splitlines() if line[0] != "#"]
    colours = {tuple(map(int, colour.split(","))): name for name, colour, *_ in lines}
    found: Masks = {}
    for path in (data / "voc" / "SegmentationClass").glob("*.png"):
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        here = {tuple(colour) for colour in np.unique(pixels.reshape(-1, 3), axis=0).tolist()}
        named = [(colours[colour], (pixels == colour).all(axis=2)) for colour in here]
        found[path.stem] = [(name, mask) for name, mask in named if name not in {"background", "ignored"}]
    return found


def read_voc_objects(data: Path) -> Masks:
    """VOC and CVAT: numbers of `SegmentationObject`, each named by the class map below it."""
    classes = read_voc_classes(data)
    found: Masks = {}
    for stem, named in classes.items():
        numbers = png(data / "voc" / "SegmentationObject" / f"{stem}.png")
        masks = [numbers == number for number in np.unique(numbers[numbers > 0])]
        found[stem] = [(next(name for name, own in named if own[mask].all()), mask) for mask in masks]
    return found


def read_coco(data: Path) -> Masks:
    """COCO, by pycocotools."""
    found: Masks = {}
    for path in sorted((data / "annotations").glob("instances_*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        names = {each["id"]: each["name"] for each in content["categories"]}
        stems = {each["id"]: Path(each["file_name"]).stem for each in content["images"]}
        found |= {stem: [] for stem in stems.values()}
        for each in content["annotations"]:
            mask = coco_mask.decode(each["segmentation"]).astype(bool)
            found[stems[each["image_id"]]].append((names[each["category_id"]], mask))
    return found


def read_yolo(data: Path) -> Masks:
    """YOLO polygons as Ultralytics reads them: cut to whole pixels, filled with their line."""
    names = yaml.safe_load((data / "data-instances.yaml").read_text("utf-8"))["names"]
    found: Masks = {}
    for path in (data / "labels").rglob("*.txt"):
        with Image.open(next((data / "images" / path.parent.name).glob(f"{path.stem}.*"))) as picture:
            size = picture.size
        rows = [line.split() for line in path.read_text("utf-8").splitlines()]
        polygons = [(np.array(shares, float).reshape(-1, 2) * size).astype(int).tolist() for _, *shares in rows]
        canvases = [Image.new("1", size) for _ in rows]
        for canvas, polygon in zip(canvases, polygons, strict=True):
            ImageDraw.Draw(canvas).polygon([tuple(point) for point in polygon], fill=1, outline=1)
        found[path.stem] = [(names[int(row[0])], np.array(drawn)) for row, drawn in zip(rows, canvases, strict=True)]
    return found


def read_by_supervision(data: Path, form: str) -> Masks:
    """COCO or YOLO, by supervision's own reader."""
    found: Masks = {}
    for split in ("train", "val"):
        images = str(data / "images" / split)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if form == "coco":
                table = str(data / "annotations" / f"instances_{split}.json")
                read = DetectionDataset.from_coco(images, table, force_masks=True)
            else:
                labels, table = str(data / "labels" / split), str(data / "data-instances.yaml")
                read = DetectionDataset.from_yolo(images, labels, table, force_masks=True)
            for path, each in read.annotations.items():
                masks = [] if each.mask is None else list(each.mask)
                classes = [] if each.class_id is None else each.class_id.tolist()
                found[Path(path).stem] = [(read.classes[own], mask) for own, mask in zip(classes, masks, strict=True)]
    return found


def read_label_studio(data: Path) -> Masks:
    """Label Studio's brush, by `decode_brush`."""
    found: Masks = {}
    for task in json.loads((data / "label_studio" / "tasks.json").read_text("utf-8")):
        regions = task["predictions"][0]["result"]
        found[Path(task["data"]["image"]).stem] = [
            (
                region["value"]["brushlabels"][0],
                decode_brush(region["value"]["rle"], region["original_height"], region["original_width"]),
            )
            for region in regions
        ]
    return found


def compare(wanted: Masks, found: Masks) -> Found:
    """How well masks were given back; a mask without one of its name has IoU 0."""
    ious, pixels, wrong = [], 0, 0
    for stem, masks in wanted.items():
        for name, mask in masks:
            same = [other for named, other in found.get(stem, ()) if named == name]
            best = max(same, key=lambda other: iou(mask, other), default=np.zeros_like(mask))
            ious.append(iou(mask, best))
            pixels, wrong = pixels + int(mask.sum()), wrong + int((mask ^ best).sum())
    extra = sum(len(found.get(stem, ())) - len(masks) for stem, masks in wanted.items())
    if extra > 0:
        raise ValueError(f"{extra} masks more than went in")
    return Found(len(ious), float(np.mean(ious)), min(ious), 100 * wrong / max(pixels, 1))


def iou(first: MaskArray, second: MaskArray) -> float:
    """Intersection over union of two masks, one of which is not empty."""
    return float((first & second).sum() / max((first | second).sum(), 1))


MAPS: dict[str, Callable[[Path], Masks]] = {
    "index PNG, LightlyTrain": read_classes_json,
    "index PNG, Ultralytics semantic": read_data_yaml,
    "VOC, CVAT classes": read_voc_classes,
}
OBJECTS: dict[str, Callable[[Path], Masks]] = {
    "COCO, by pycocotools": read_coco,
    "COCO, by supervision": lambda data: read_by_supervision(data, "coco"),
    "Label Studio brush": read_label_studio,
    "VOC, CVAT objects": read_voc_objects,
    "YOLO polygons": read_yolo,
    "YOLO polygons, by supervision": lambda data: read_by_supervision(data, "yolo"),
}


def measure(folder: Path, *, scenes: int, seed: int = 0) -> Iterator[tuple[str, str, Found]]:
    """Write the world and its two datasets, and compare every format: what was compared, format, result."""
    world = folder / "world"
    write_world("scenes", world, count=scenes, seed=seed, workers=1)
    images = open_images(world / "images")
    for kind, objects in (("objects", True), ("pieces", False)):
        truth, data = Truth(world, objects=objects), folder / kind
        predictions = predict_folder(folder / f"{kind}-predictions", truth, images, confidence=True)
        write_dataset(predictions, images, out=data, config=DatasetConfig())
        if objects:
            yield from (
                ("label maps", name, compare(true_maps(world, data), read(data))) for name, read in MAPS.items()
            )
        wanted = (true_objects if objects else true_pieces)(world, data)
        yield from ((kind, name, compare(wanted, read(data))) for name, read in OBJECTS.items())
        memory = {stem: to_supervision(truth.predict(stem), truth.names) for stem in wanted} if objects else {}
        in_memory = {stem: list(zip(each["class_name"], each.mask, strict=True)) for stem, each in memory.items()}
        yield from [(kind, "to_supervision, in memory", compare(wanted, in_memory))] if objects else []


def main() -> None:
    """Print one line a format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for kind, name, found in measure(Path(place), scenes=options.scenes):
            ious = f"IoU {found.mean_iou:.4f}, least {found.least_iou:.4f}"
            claim(f"{kind}, {name}, {found.masks} masks", f"{ious}, {found.percent_different:.2f} % of pixels differ")


if __name__ == "__main__":
    main()
