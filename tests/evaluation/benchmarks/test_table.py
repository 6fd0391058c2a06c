"""Each benchmark in a tiny root of its own layout, read with its own ids; and what the table must hold."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from namesake.errors import DataError
from namesake.evaluation.benchmarks import BENCHMARKS, open_benchmark, plain, prepare_coco20k
from namesake.evaluation.benchmarks.decode import DECODERS, encode_red_green
from namesake.evaluation.benchmarks.ids import published_names

LABELS = {
    "voc2012": 21,
    "voc2012-20": 20,
    "voc2012-train": 21,
    "voc2012-trainval": 21,
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
    "coco2017-things": 80,
    "duts-te": 2,
    "ecssd": 2,
    "dut-omron": 2,
}


@pytest.mark.parametrize(("name", "labels"), LABELS.items())
def test_table__number_of_names(name, labels):
    assert BENCHMARKS[name].labels == labels


def test_table__every_benchmark_is_counted_and_opened():
    opened = {case[0] for case in AS_DOWNLOADED} | {"coco2017", "coco2017-things", "coco20k"}
    assert set(BENCHMARKS) == set(LABELS) | {"world", "folder"}
    assert opened == set(LABELS)


@pytest.mark.data
def test_names__spelled_as_in_the_papers(shared):
    """The lists of the published programs, by the ids of the label maps."""
    lists = json.loads((shared / "reference" / "categories.json").read_text(encoding="utf-8"))
    numbered = {f"imagenet-s{size}": lists["imagenet_s"][f"names_{size}"] for size in (50, 300, 919)}
    numbered["voc"] = lists["voc2012"]["names_used_for_retrieval_and_text"]
    numbered["coca"], numbered["pascal-context"] = lists["coca"]["names"], lists["reco_pascal_context_59"]["names"]
    wanted = {key: dict(enumerate(names, start=1)) for key, names in numbered.items()}
    wanted["kitti-step"] = dict(enumerate(lists["reco_kitti_step_19"]["names"]))
    wanted["cityscapes-27"] = dict(enumerate(lists["reco_cityscapes_27"]["names"], start=7))
    objects = lists["cityscapes_object"]["names_to_official_labelId"]
    wanted["cityscapes-objects"] = {number: name for name, number in objects.items()}
    official = lists["coco2017"]["contiguous_to_official_id"]
    wanted["coco"] = {official[str(place)]: name for place, name in enumerate(lists["coco2017"]["names"], start=1)}
    stuff = lists["reco_coco_stuff"]
    places = {int(number): place for number, place in stuff["fine182_index_to_fine171_index"].items()}
    wanted["coco-stuff"] = {number: stuff["fine_171"][place] for number, place in places.items()}
    groups = {number: stuff["fine171_index_to_coarse27"][str(place)] for number, place in places.items()}
    wanted["coco-stuff-27"] = {number: stuff["coarse_27"][group] for number, group in groups.items()}
    assert {key: dict(published_names(key).names) for key in wanted} == wanted
    aliases = {plain(word): name for word, name in published_names("voc").aliases.items()}
    assert lists["voc2012"]["aliases"].items() <= aliases.items()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_table__says_where_from_and_on_what_terms(name):
    listing = BENCHMARKS[name]
    assert listing.title
    assert listing.page
    assert listing.licence
    assert {layout.decode for layout in listing.layouts} <= set(DECODERS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_open__empty_root_says_what_is_missing(name, tmp_path):
    with pytest.raises(DataError, match=r"missing: .*It (comes from|is rendered by|is your own)"):
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
    for split in ("train", "val", "trainval"):
        listed(root / f"VOCdevkit/VOC2012/ImageSets/Segmentation/{split}.txt", "b")


def make_cityscapes(root):
    put(root / "leftImg8bit/val/ulm/ulm_0_leftImg8bit.png", GREY)
    put(root / "gtFine/val/ulm/ulm_0_gtFine_labelIds.png", [[0, 7, 18, 26]])


def make_imagenet_s(root):
    for size in (50, 300, 919):
        put(root / f"ImageNetS{size}/validation/n01443537/a.JPEG", GREY)
        labels = encode_red_green(np.array([[0, size, 1000, 1]]))
        put(root / f"ImageNetS{size}/validation-segmentation/n01443537/a.png", labels.tolist())


def make_context(root):
    """As its makers have it: a list of words, and MATLAB files of their numbers."""
    words = ["accordion", *published_names("pascal-context").names.values()]
    listed(root / "labels.txt", *(f"{number}: {word}" for number, word in enumerate(words, start=1)))
    put(root / "VOC2010/JPEGImages/a.jpg", GREY)
    listed(root / "VOC2010/ImageSets/Main/val.txt", "a")
    (root / "trainval").mkdir()
    savemat(root / "trainval/a.mat", {"LabelMap": np.array([[1, 2, 60, 3]], np.uint16)})


def make_context_pngs(root):
    put(root / "VOCdevkit/VOC2010/JPEGImages/a.jpg", GREY)
    put(root / "VOCdevkit/VOC2010/SegmentationClassContext/a.png", [[0, 1, 59, 2]])
    listed(root / "VOCdevkit/VOC2010/ImageSets/SegmentationContext/val.txt", "a")


def make_camvid(root):
    put(root / "CamVid/test/a.png", GREY)
    put(root / "CamVid/testannot/a.png", [[0, 10, 11, 3]])


def make_camvid_colours(root):
    put(root / "701_StillsRaw_full/a.png", GREY)
    colours = [[[128, 128, 128], [0, 128, 192], [0, 0, 0], [128, 64, 128]]]
    put(root / "LabeledApproved_full/a_L.png", colours)


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


def make_salient(images, masks):
    def make(root):
        put(root / images / "0.jpg", GREY)
        put(root / masks / "0.png", [[0, 3, 255, 0]])

    return make


AS_DOWNLOADED = [
    ("duts-te", make_salient("DUTS-TE/DUTS-TE-Image", "DUTS-TE/DUTS-TE-Mask"), [0, 1, 1, 0], {1: "salient object"}),
    ("ecssd", make_salient("images", "ground_truth_mask"), [0, 1, 1, 0], {1: "salient object"}),
    ("dut-omron", make_salient("DUT-OMRON-image", "pixelwiseGT-new-PNG"), [0, 1, 1, 0], {1: "salient object"}),
    ("voc2012", make_voc, [0, 1, 20, 255], {0: "background", 1: "aeroplane", 20: "tv/monitor"}),
    ("voc2012-train", make_voc, [0, 1, 20, 255], {0: "background", 15: "person"}),
    ("voc2012-trainval", make_voc, [0, 1, 20, 255], {0: "background", 15: "person"}),
    ("voc2012-20", make_voc, [255, 1, 20, 255], {1: "aeroplane"}),
    ("cityscapes-objects", make_cityscapes, [0, 7, 18, 26], {0: "background", 7: "background", 26: "car"}),
    ("cityscapes", make_cityscapes, [255, 7, 255, 26], {7: "road", 26: "car"}),
    ("cityscapes-27", make_cityscapes, [255, 7, 18, 26], {7: "road", 18: "polegroup"}),
    ("imagenet-s50", make_imagenet_s, [0, 50, 1000, 1], {0: "background", 1: "goldfish"}),
    ("imagenet-s300", make_imagenet_s, [0, 300, 1000, 1], {0: "background", 1: "tench"}),
    ("imagenet-s919", make_imagenet_s, [0, 919, 1000, 1], {0: "background", 1: "tench"}),
    ("coca", make_coca, [0, 0, 5, 5], {5: "avocado"}),
    ("cub200", make_cub, [0, 0, 1, 1], {1: "bird"}),
    ("pascal-context", make_context, [0, 1, 59, 2], {1: "aeroplane", 59: "wood"}),
    ("pascal-context", make_context_pngs, [0, 1, 59, 2], {1: "aeroplane", 59: "wood"}),
    ("pascal-context-60", make_context, [0, 1, 59, 2], {0: "background", 59: "wood"}),
    ("coco-stuff", make_stuff, [0, 12, 181, 255], {0: "person", 12: "stop sign", 181: "wood"}),
    ("coco-stuff-27", make_stuff, [0, 12, 181, 255], {0: "person", 12: "outdoor"}),
    ("ade20k", make_ade, [0, 1, 150, 2], {1: "wall", 150: "flag"}),
    ("kitti-step", make_kitti, [0, 18, 255, 5], {0: "road", 18: "bicycle"}),
    ("camvid", make_camvid, [0, 10, 11, 3], {0: "sky", 10: "bicyclist"}),
    ("camvid", make_camvid_colours, [0, 10, 11, 3], {0: "sky", 3: "road"}),
    ("water", make_water, [0, 0, 1, 1], {0: "background", 1: "water"}),
]


@pytest.mark.parametrize(("name", "make", "truth", "called"), AS_DOWNLOADED)
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


def test_coco20k__after_its_list_is_made(tmp_path):
    coco_root(tmp_path)
    (tmp_path / "val2017").rename(tmp_path / "train2014")
    (tmp_path / "annotations/instances_val2017.json").rename(tmp_path / "annotations/instances_train2014.json")
    prepare_coco20k("coco20k", tmp_path)
    benchmark = open_benchmark("coco20k", tmp_path)
    assert benchmark.images.ids == ("1.jpg",)
    assert benchmark.truth("1.jpg")[3, 3] == 18
    assert benchmark.objects is not None


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
        ({"annotations": [{"id": 5, "image_id": 9, "category_id": 1}]}, r"annotation 1 \(id 5\) is of the image 9"),
        ({"annotations": [{"id": 5, "image_id": 1, "category_id": 2}]}, r"annotation 1 \(id 5\) is of the category 2"),
        ({"images": 3}, "expected a list, found 3"),
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
