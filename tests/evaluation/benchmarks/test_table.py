"""Each benchmark in a tiny root of its own layout, read with its own ids; and what the table must hold."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.errors import DataError
from namesake.evaluation.benchmarks import BENCHMARKS, open_benchmark
from namesake.evaluation.benchmarks.decode import DECODERS

LABELS = {
    "voc2012": 21,
    "voc2012-20": 20,
    "coco2017": 81,
    "coco20k": 81,
    "coca": 81,
    "cityscapes-objects": 15,
    "cityscapes": 19,
    "cityscapes-27": 27,
    "imagenet-s50": 51,
    "imagenet-s300": 301,
    "imagenet-s919": 920,
    "cub200": 2,
    "pascal-context": 59,
    "pascal-context-60": 60,
    "coco-stuff": 171,
    "coco-stuff-27": 27,
    "ade20k": 150,
    "kitti-step": 19,
    "camvid": 11,
    "water": 2,
}


@pytest.mark.parametrize(("name", "labels"), LABELS.items())
def test_table__number_of_names(name, labels):
    assert BENCHMARKS[name].labels == labels


@pytest.mark.parametrize("name", BENCHMARKS)
def test_table__says_where_from_and_on_what_terms(name):
    listing = BENCHMARKS[name]
    assert listing.title
    assert listing.page
    assert listing.licence
    assert {layout.decode for layout in listing.layouts} <= set(DECODERS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_open__empty_root_says_what_is_missing(name, tmp_path):
    with pytest.raises(DataError, match=r"missing: .*It comes from"):
        open_benchmark(name, tmp_path)


def put(path: Path, pixels: list) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(pixels, dtype=np.uint8)).save(path)


def listed(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


GREY = [[9, 9, 9, 9]]


def make_voc(root):
    for stem in ("a", "b"):
        put(root / "VOCdevkit/VOC2012/JPEGImages" / f"{stem}.jpg", GREY)
    put(root / "VOCdevkit/VOC2012/SegmentationClass/b.png", [[0, 1, 20, 255]])
    listed(root / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt", "b")


def make_cityscapes(root):
    put(root / "leftImg8bit/val/ulm/ulm_0_leftImg8bit.png", GREY)
    put(root / "gtFine/val/ulm/ulm_0_gtFine_labelIds.png", [[0, 7, 18, 26]])


def make_imagenet_s(root):
    put(root / "ImageNetS50/validation/n01443537/a.JPEG", GREY)
    put(root / "ImageNetS50/validation-segmentation/n01443537/a.png", [[[0, 0, 0], [50, 0, 0], [232, 3, 0], [1, 0, 0]]])


def make_coca(root):
    put(root / "CoCA/image/avocado/a.jpg", GREY)
    put(root / "CoCA/binary/avocado/a.png", [[0, 0, 255, 255]])


def make_cub(root):
    home = root / "CUB_200_2011"
    put(home / "images/001.A/x.jpg", GREY)
    put(home / "images/001.A/y.jpg", GREY)
    put(home / "segmentations/001.A/y.png", [[0, 51, 204, 255]])
    listed(home / "images.txt", "1 001.A/x.jpg", "2 001.A/y.jpg")
    listed(home / "train_test_split.txt", "1 1", "2 0")


def make_stuff(root):
    put(root / "val2017/a.jpg", GREY)
    put(root / "stuffthingmaps/val2017/a.png", [[0, 12, 181, 255]])


def make_ade(root):
    put(root / "ADEChallengeData2016/images/validation/a.jpg", GREY)
    put(root / "ADEChallengeData2016/annotations/validation/a.png", [[0, 1, 150, 2]])


def make_kitti(root):
    put(root / "training/image_02/0001/000000.png", GREY)
    put(root / "training/image_02/0002/000000.png", GREY)
    put(root / "panoptic_maps/val/0002/000000.png", [[[0, 0, 1], [18, 2, 0], [255, 0, 0], [5, 0, 0]]])


def make_water(root):
    put(root / "water_v2/JPEGImages/sea/0.jpg", GREY)
    put(root / "water_v2/Annotations/sea/0.png", [[0, 0, 255, 255]])


@pytest.mark.parametrize(
    ("name", "make", "truth", "called"),
    [
        ("voc2012", make_voc, [0, 1, 20, 255], {0: "background", 1: "aeroplane", 20: "tv/monitor"}),
        ("voc2012-20", make_voc, [255, 1, 20, 255], {1: "aeroplane"}),
        ("cityscapes-objects", make_cityscapes, [0, 7, 18, 26], {0: "background", 7: "background", 26: "car"}),
        ("cityscapes", make_cityscapes, [255, 7, 255, 26], {7: "road", 26: "car"}),
        ("cityscapes-27", make_cityscapes, [255, 7, 18, 26], {7: "road", 18: "polegroup"}),
        ("imagenet-s50", make_imagenet_s, [0, 50, 1000, 1], {0: "background", 1: "goldfish"}),
        ("coca", make_coca, [0, 0, 5, 5], {5: "avocado"}),
        ("cub200", make_cub, [0, 0, 1, 1], {1: "bird"}),
        ("coco-stuff", make_stuff, [0, 12, 181, 255], {0: "person", 12: "stop sign", 181: "wood"}),
        ("coco-stuff-27", make_stuff, [0, 12, 181, 255], {0: "person", 12: "outdoor"}),
        ("ade20k", make_ade, [0, 1, 150, 2], {1: "wall", 150: "flag"}),
        ("kitti-step", make_kitti, [0, 18, 255, 5], {0: "road", 18: "bicycle"}),
        ("water", make_water, [0, 0, 1, 1], {0: "background", 1: "water"}),
    ],
)
def test_open__as_downloaded(tmp_path, name, make, truth, called):
    make(tmp_path)
    benchmark = open_benchmark(name, tmp_path)
    assert len(benchmark.images) == 1
    assert benchmark.truth(benchmark.images.ids[0]).tolist() == [truth]
    assert {number: benchmark.names[number] for number in called} == called
    assert "background" in benchmark.names.values() or benchmark.ignore in truth


def test_open__listed_image_is_missing(tmp_path):
    make_voc(tmp_path)
    (tmp_path / "VOCdevkit/VOC2012/JPEGImages/b.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 1 images that are listed .* first is b\.jpg"):
        open_benchmark("voc2012", tmp_path)


def test_open__a_part_says_so(tmp_path, capsys):
    make_voc(tmp_path)
    assert "a part: 1 of 1449" in open_benchmark("voc2012", tmp_path).regime
    assert "the whole benchmark has 1449" in capsys.readouterr().err


def coco_root(root: Path, **changes) -> Path:
    """Two images; in the first a large object with a small one before it, and a crowd."""
    for number in (1, 2):
        put(root / "val2017" / f"{number}.jpg", [[9] * 10] * 10)
    boxes = {1: (0, 0, 8, 8, 0), 18: (2, 2, 4, 4, 0), 3: (0, 6, 10, 10, 1)}
    content = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": 10, "width": 10} for n in (1, 2)],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {
                "id": category,
                "image_id": 1,
                "category_id": category,
                "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
                "area": (right - left) * (bottom - top),
                "iscrowd": crowd,
            }
            for category, (left, top, right, bottom, crowd) in boxes.items()
        ],
    }
    path = root / "annotations" / "instances_val2017.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content | changes))
    return root


def test_coco__small_before_large_before_crowd(tmp_path):
    benchmark = open_benchmark("coco2017", coco_root(tmp_path))
    labels = benchmark.truth("1.jpg")
    assert (labels[0, 0], labels[3, 3], labels[9, 0], labels[9, 9], labels[7, 4]) == (1, 18, 3, 3, 1)
    assert not benchmark.truth("2.jpg").any()


def test_coco__stuff_maps_come_first(tmp_path):
    coco_root(tmp_path)
    for number in (1, 2):
        put(tmp_path / "stuffthingmaps/val2017" / f"{number}.png", [[0] * 5 + [120] * 4 + [255]] * 10)
    benchmark = open_benchmark("coco2017", tmp_path)
    assert benchmark.truth("1.jpg")[0].tolist() == [1] * 5 + [0] * 4 + [255]
    assert benchmark.objects is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": [{"id": 5, "image_id": 9, "category_id": 1}]}, "annotation 5 is of the image 9"),
        ({"annotations": [{"id": 5, "image_id": 1, "category_id": 2}]}, "annotation 5 is of the category 2"),
        ({"images": 3}, "holds no COCO annotations"),
    ],
)
def test_coco__malformed(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        open_benchmark("coco2017", coco_root(tmp_path, **change))


@pytest.mark.data
def test_coco__real_annotations(shared):
    benchmark = open_benchmark("coco2017", shared / "data" / "coco2017-mini")
    assert (len(benchmark.images), len(benchmark.names)) == (79, 81)
    present = {
        label for image_id in benchmark.images.ids[:12] for label in np.unique(benchmark.truth(image_id)).tolist()
    }
    assert present <= set(benchmark.names)


@pytest.mark.data
def test_camvid__real_label_maps(shared):
    benchmark = open_benchmark("camvid", shared / "data" / "camvid-mini")
    assert (len(benchmark.images), len(benchmark.names), benchmark.ignore) == (39, 11, 11)
    assert set(np.unique(benchmark.truth(benchmark.images.ids[0])).tolist()) <= set(range(12))
