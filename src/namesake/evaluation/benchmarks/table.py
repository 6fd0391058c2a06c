"""Every benchmark by name, one row each: what it is, its terms, how it lies on disk, and how it is scored.

Numbers of images and ids are those of the downloads; names are in the papers' spelling. "NamedMask", "ZUTIS" and
"FMbSeg" are the papers whose tables use it, "ReCo" the one that they build on.
"""

from collections.abc import Mapping

from namesake.evaluation.benchmarks.decode import MANY_IGNORED
from namesake.evaluation.benchmarks.ids import published_names
from namesake.evaluation.benchmarks.layouts import Coco, Own, Paired
from namesake.evaluation.benchmarks.listing import Listing
from namesake.shapes import IGNORE

VOC_HOMES = ("", "VOC2012", "VOCdevkit/VOC2012")
COCO_LIST = "annotations/instances_train2014_sel20k.json"


def _voc(split: str, images: int, *, title: str, tables: tuple[str, ...], background: bool = True) -> Listing:
    return Listing(
        title=title,
        layouts=(
            Paired(
                "JPEGImages",
                "SegmentationClass",
                f"ImageSets/Segmentation/{split}.txt",
                ".jpg",
                numbers="SegmentationObject",
            ),
        ),
        ids="voc",
        background=(0,) if background else (),
        ignored=(IGNORE,) if background else (IGNORE, 0),
        images=images,
        page="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        licence="Flickr terms of use; for research",
        tables=tables,
        homes=VOC_HOMES,
    )


def _cityscapes(ids: str, *, title: str, tables: tuple[str, ...], background: bool = False) -> Listing:
    named = set(published_names(ids).names)
    others = tuple(number for number in range(34) if number not in named)
    return Listing(
        title=title,
        layouts=(
            Paired(
                "leftImg8bit/val",
                "gtFine/val",
                image_suffix="_leftImg8bit.png",
                label_suffix="_gtFine_labelIds.png",
            ),
        ),
        ids=ids,
        background=others if background else (),
        ignored=(IGNORE,) if background else (IGNORE, *others),
        images=500,
        page="https://www.cityscapes-dataset.com/downloads/ (gtFine_trainvaltest, leftImg8bit_trainvaltest)",
        licence="Cityscapes terms, non-commercial",
        tables=tables,
    )


def _imagenet_s(size: int, images: int, *, tables: tuple[str, ...]) -> Listing:
    return Listing(
        title=f"ImageNet-S, {size} names and other, validation",
        layouts=(Paired("validation", "validation-segmentation", image_suffix=".JPEG", decode="red + 256 green"),),
        ids=f"imagenet-s{size}",
        ignored=(MANY_IGNORED,),
        images=images,
        page="https://github.com/LUSSeg/ImageNet-S (needs a copy of ImageNet-1K)",
        licence="ImageNet terms, non-commercial research",
        tables=tables,
        measures=("sizes", "foreground"),
        zero_if_absent=True,
        homes=("", f"ImageNetS{size}"),
    )


def _coco(title: str, *, tables: tuple[str, ...], background: bool = True) -> Listing:
    return Listing(
        title=title,
        layouts=(
            Coco("val2017", "annotations/instances_val2017.json", "stuffthingmaps/val2017", decode="coco things"),
            Coco("val2017", "annotations/instances_val2017.json"),
        ),
        ids="coco",
        background=(0,) if background else (),
        ignored=(IGNORE,) if background else (IGNORE, 0),
        images=5000,
        page="https://cocodataset.org/#download (val2017.zip, annotations_trainval2017.zip)",
        licence="annotations CC BY 4.0, images under Flickr terms",
        tables=tables,
    )


def _stuff(ids: str, *, title: str, tables: tuple[str, ...]) -> Listing:
    folders = ("stuffthingmaps/val2017", "annotations/stuffthingmaps/val2017", "annotations/val2017")
    return Listing(
        title=title,
        layouts=tuple(Paired("val2017", folder, "labels") for folder in folders),
        ids=ids,
        background=(),
        images=5000,
        page="https://github.com/nightrome/cocostuff (stuffthingmaps_trainval2017.zip), images from "
        "https://cocodataset.org/#download",
        licence="annotations CC BY 4.0, images under Flickr terms",
        tables=tables,
    )


def _saliency(title: str, count: int, *layouts: tuple[str, str], page: str, home: str) -> Listing:
    return Listing(
        title=f"{title}, salient objects",
        layouts=tuple(Paired(images, labels, "labels", decode="any") for images, labels in layouts),
        ids="saliency",
        images=count,
        page=page,
        licence="for research; see its page",
        tables=("SelfMask 1",),
        measures=("foreground", "saliency"),
        homes=("", home),
    )


def _context(*, title: str, tables: tuple[str, ...], background: bool = False) -> Listing:
    return Listing(
        title=title,
        layouts=(
            Paired(
                "VOC2010/JPEGImages",
                "VOC2010/SegmentationClassContext",
                "VOC2010/ImageSets/SegmentationContext/val.txt",
                ".jpg",
            ),
            Paired(
                "VOC2010/JPEGImages",
                "trainval",
                "VOC2010/ImageSets/Main/val.txt",
                ".jpg",
                ".mat",
                decode="pascal context",
                needs=("labels.txt",),
            ),
        ),
        ids="pascal-context",
        background=(0,) if background else (),
        ignored=(IGNORE,) if background else (0, IGNORE),
        images=5105,
        page="https://cs.stanford.edu/~roozbeh/pascal-context/ (trainval.tar.gz, labels.txt) and VOC 2010",
        licence="Flickr terms of use; for research",
        tables=tables,
        homes=("", "VOCdevkit"),
    )


BENCHMARKS: Mapping[str, Listing] = {
    "world": Listing(
        title="scenes of the embedded world, exact ground truth (namesake world --draw scenes)",
        layouts=(Own(),),
        licence="Apache-2.0",
        page="rendered by namesake world --draw scenes",
    ),
    "folder": Listing(
        title="any folder: images/, masks/ (index PNGs), names.json (id -> name), maybe instances.json",
        layouts=(Own(),),
        page="your own images and masks",
        licence="yours",
    ),
    "voc2012": _voc(
        "val",
        1449,
        title="PASCAL VOC 2012, 20 names and background, val",
        tables=("NamedMask 4, 6", "FMbSeg 1, 2, appendix 2 (PV-21)"),
    ),
    "voc2012-20": _voc(
        "val",
        1449,
        title="PASCAL VOC 2012, 20 names, background not counted, val",
        tables=("FMbSeg 1, 2, appendix 2 (PV-20)",),
        background=False,
    ),
    "voc2012-train": _voc(
        "train",
        1464,
        title="PASCAL VOC 2012, 20 names and background, train",
        tables=("NamedMask 1, 3, figure 3, supplementary 1, supplementary figure 2",),
    ),
    "voc2012-trainval": _voc(
        "trainval", 2913, title="PASCAL VOC 2012, 20 names and background, trainval", tables=("ZUTIS 1, 2, figure 3",)
    ),
    "coco2017": _coco(
        "COCO 2017 val, 80 names and background; COCO-Stuff's maps, or where they are not, drawn from objects",
        tables=("NamedMask 5", "ZUTIS 4"),
    ),
    "coco2017-things": _coco(
        "COCO 2017 val, 80 names, all else not counted", tables=("FMbSeg 1, 2, appendix 2 (CO-80)",), background=False
    ),
    "coco20k": Listing(
        title="COCO-20K, objects of 80 names in 19,817 images of train2014",
        layouts=(Coco("train2014", COCO_LIST),),
        ids="coco",
        images=19_817,
        page="https://cocodataset.org/#download (train2014.zip, annotations_trainval2014.zip); then make its list with "
        "`namesake evaluate --benchmark coco20k --root DIR --prepare`",
        licence="annotations CC BY 4.0, images under Flickr terms",
        tables=("ZUTIS 3, 7",),
    ),
    "coca": Listing(
        title="CoCA, 80 names and background",
        layouts=(Paired("image", "binary", decode="category folder"),),
        ids="coca",
        images=1295,
        page="https://zhaozhang.net/coca.html",
        licence="for research; see its page",
        tables=("NamedMask 5", "ZUTIS 4"),
        measures=("foreground",),
        homes=("", "CoCA"),
    ),
    "cityscapes-objects": _cityscapes(
        "cityscapes-objects",
        title="Cityscapes val, 14 objects and background (all else)",
        tables=("NamedMask 5",),
        background=True,
    ),
    "cityscapes": _cityscapes(
        "cityscapes-19", title="Cityscapes val, its 19 evaluated names", tables=("FMbSeg 1, 2, appendix 2 (City)",)
    ),
    "cityscapes-27": _cityscapes("cityscapes-27", title="Cityscapes val, 27 names", tables=("ReCo",)),
    "imagenet-s50": _imagenet_s(50, 752, tables=("NamedMask 7",)),
    "imagenet-s300": _imagenet_s(300, 4097, tables=("NamedMask 2, 8",)),
    "imagenet-s919": _imagenet_s(919, 12_419, tables=("NamedMask 9", "ZUTIS 5")),
    "cub200": Listing(
        title="CUB-200-2011 test, birds of any breed against the rest",
        layouts=(Paired("images", "segmentations", "images.txt", decode="binary", needs=("train_test_split.txt",)),),
        ids="cub200",
        images=5794,
        page="https://www.vision.caltech.edu/datasets/cub_200_2011/ (images and segmentations)",
        licence="non-commercial research",
        tables=("ZUTIS 6",),
        measures=("foreground",),
        homes=("", "CUB_200_2011"),
    ),
    "duts-te": _saliency(
        "DUTS test",
        5019,
        ("DUTS-TE-Image", "DUTS-TE-Mask"),
        ("images", "ground_truth_mask"),
        page="http://saliencydetection.net/duts/",
        home="DUTS-TE",
    ),
    "ecssd": _saliency(
        "ECSSD",
        1000,
        ("images", "ground_truth_mask"),
        ("images", "masks"),
        page="https://www.cse.cuhk.edu.hk/leojia/projects/hsaliency/dataset.html",
        home="ECSSD",
    ),
    "dut-omron": _saliency(
        "DUT-OMRON",
        5168,
        ("DUT-OMRON-image", "pixelwiseGT-new-PNG"),
        ("images", "ground_truth_mask"),
        page="http://saliencydetection.net/dut-omron/",
        home="DUT-OMRON",
    ),
    "pascal-context": _context(
        title="Pascal Context, 59 names, all else not counted, val", tables=("FMbSeg 1, 2, appendix 2 (PC-59)", "ReCo")
    ),
    "pascal-context-60": _context(title="Pascal Context, 59 names and background, val", tables=(), background=True),
    "coco-stuff": _stuff(
        "coco-stuff", title="COCO-Stuff val2017, 171 names", tables=("FMbSeg 1, 2, 3, appendix 2 (CS-171)",)
    ),
    "coco-stuff-27": _stuff(
        "coco-stuff-27", title="COCO-Stuff val2017, 27 groups of names; the 171 count as theirs", tables=("ReCo",)
    ),
    "ade20k": Listing(
        title="ADE20K validation, 150 names",
        layouts=(Paired("images/validation", "annotations/validation", image_suffix=".jpg"),),
        ids="ade20k",
        background=(),
        ignored=(0,),
        images=2000,
        page="http://sceneparsing.csail.mit.edu (ADEChallengeData2016.zip)",
        licence="BSD-3-Clause; images for non-commercial research",
        tables=("FMbSeg 1, 2, appendix 2 (ADE)",),
        homes=("", "ADEChallengeData2016"),
    ),
    "kitti-step": Listing(
        title="KITTI-STEP val, 19 names",
        layouts=(Paired("training/image_02", "panoptic_maps/val", "labels", ".png", decode="red"),),
        ids="kitti-step",
        background=(),
        images=2981,
        page="https://www.cvlibs.net/datasets/kitti/eval_step.php",
        licence="CC BY-NC-SA 3.0",
        tables=("ReCo",),
    ),
    "camvid": Listing(
        title="CamVid test, 11 names; ids 0 to 11, or its 32 colours joined to them",
        layouts=(
            Paired("test", "testannot", decode="camvid"),
            Paired("images", "labels", decode="camvid"),
            Paired("test", "test_labels", label_suffix="_L.png", decode="camvid"),
            Paired("701_StillsRaw_full", "LabeledApproved_full", label_suffix="_L.png", decode="camvid"),
        ),
        ids="camvid",
        background=(),
        ignored=(11, IGNORE),
        images=233,
        page="http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/",
        licence="for research; see its page",
        homes=("", "CamVid"),
    ),
    "water": Listing(
        title="water segmentation, water and background",
        layouts=(
            Paired("JPEGImages", "Annotations", "labels", decode="binary"),
            Paired("images", "masks", "labels", decode="binary"),
        ),
        ids="water",
        page="https://www.kaggle.com/datasets/gvclsu/water-segmentation-dataset",
        licence="see its page",
        tables=("FMbSeg water (section 4.5.1)",),
        measures=("foreground",),
        homes=("", "water_v2", "water_v2/water_v2"),
    ),
}
