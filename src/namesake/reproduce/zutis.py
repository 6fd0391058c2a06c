"""The tables of ZUTIS (https://arxiv.org/abs/2304.14376) with their values."""

from collections.abc import Callable
from dataclasses import replace

from namesake.reproduce.measures import finer_names, objects, semantic, sized, speed, topics
from namesake.reproduce.namedmask import IMAGENET_S, STUFF_MASKS
from namesake.reproduce.table import Setting, Table
from namesake.segmenter import Segmenter
from namesake.segmenter.query import OpenVocabulary

AP = ("AP", "AP50", "AP75")
AGNOSTIC = tuple(f"agnostic {column}" for column in AP)
NO_STOP = ("training.network.stop_gradient=False",)
LONGER = ("training.iterations=1200",)
BY_WORD = ("threshold=none",)
"""MaskCLIP as ZUTIS compares with it: background is what the word "background" wins."""


def keep_duplicates(segmenter: Segmenter) -> Segmenter:
    """The same segmenter without non-maximum suppression."""
    predictor = segmenter.predictor
    assert isinstance(predictor, OpenVocabulary)
    every = predictor.with_inference(replace(predictor.inference, nms=1.0))
    return Segmenter(every, segmenter.settings, device=segmenter.device)


def by_softmax(segmenter: Segmenter) -> Segmenter:
    """The same segmenter with the paper's words for how sure an object's name is."""
    predictor = segmenter.predictor
    assert isinstance(predictor, OpenVocabulary)
    other = predictor.with_inference(replace(predictor.inference, likeness="softmax"))
    return Segmenter(other, segmenter.settings, device=segmenter.device)


def at_side(side: int) -> Callable[[Segmenter], Segmenter]:
    """Reads a segmenter with images shrunk to this side for the network."""

    def read(segmenter: Segmenter) -> Segmenter:
        settings = replace(segmenter.settings, longer_side=side)
        return Segmenter(segmenter.predictor, settings, device=segmenter.device)

    return read


def ap(*values: float, columns: tuple[str, ...] = AP) -> dict[str, float]:
    """Published AP, AP50 and AP75."""
    return dict(zip(columns, values, strict=True))


TABLES: dict[str, Table] = {
    "1": Table(
        "Stop-gradient and non-maximum suppression",
        (
            Setting("no stop-gradient, no suppression", "zutis", NO_STOP, published=ap(0.3, 0.4, 0.3),
                    read=keep_duplicates),
            Setting("stop-gradient, no suppression", "zutis", published=ap(4.4, 8.7, 4.2), read=keep_duplicates),
            Setting("stop-gradient and suppression", "zutis", published=ap(13.7, 30.9, 11.1)),
        ),
        objects,
        columns=(*AP, "mIoU"),
        benchmarks={"AP": "voc2012-trainval"},
    ),
    "2": Table(
        "What the stop-gradient keeps: naming",
        (
            Setting("no stop-gradient", "zutis", NO_STOP,
                    published=ap(8.4, 19.9, 6.4, columns=AGNOSTIC) | ap(1.0, 1.9, 0.9)),
            Setting("stop-gradient", "zutis", published=ap(9.9, 24.1, 7.4, columns=AGNOSTIC) | ap(13.7, 30.9, 11.1)),
        ),
        objects,
        columns=(*AGNOSTIC, *AP),
        benchmarks={"AP": "voc2012-trainval"},
    ),
    "3": Table(
        "Instances",
        (
            Setting("ZUTIS", "zutis", published=ap(5.7, 11.0, 5.4)),
            Setting("MaskCLIP, pieces of its map", "maskclip", BY_WORD, published=ap(1.3, 3.4, 0.8)),
            Setting("NamedMask, pieces of its map", "namedmask"),
            Setting("LOST", published=ap(1.2, 3.3, 0.6)),
            Setting("MaskDistill", published=ap(1.7, 4.1, 1.4)),
        ),
        objects,
        columns=(*AP, "agnostic AP"),
        benchmarks={"AP": "coco20k"},
    ),
    "4": Table(
        "Semantic segmentation",
        (
            Setting("ZUTIS", "zutis", published={"COCO": 32.8, "CoCA": 32.7}),
            Setting("NamedMask", "namedmask", published={"COCO": 28.4, "CoCA": 27.3}),
            Setting("MaskCLIP, background word", "maskclip", BY_WORD, published={"COCO": 20.6, "CoCA": 20.2}),
            Setting("MaskCLIP, background threshold", "maskclip"),
            Setting("ReCo", "reco", published={"COCO": 23.8, "CoCA": 28.8}),
        ),
        semantic,
        benchmarks={"COCO": "coco2017", "CoCA": "coca"},
        differs="NamedMask and ZUTIS learn from the same archives and saliency masks.",
    ),
    "5": Table(
        "ImageNet-S with 919 names",
        (
            Setting("ZUTIS", "zutis", ("training.iterations=80000",), mini=(),
                    published={"mIoU": 37.4, "S": 10.7, "MS": 32.1, "ML": 40.2, "L": 33.4}),
            Setting("NamedMask", "namedmask", (*IMAGENET_S, "experts.groups=90"), mini=(),
                    published={"mIoU": 22.9, "S": 5.1, "MS": 19.4, "ML": 24.4, "L": 19.8}),
            Setting("ReCo", "reco", published={"mIoU": 10.3, "S": 6.0, "MS": 11.6, "ML": 10.2, "L": 6.7}),
        ),
        sized,
        benchmarks={"mIoU": "imagenet-s919"},
        differs="The embedded world stands for the benchmark. Published for ZUTIS: ViT-B/16, 43.5 images a second.",
    ),
    "6": Table(
        "A finer name than any that was trained on",
        (
            Setting('asked for "bird"', "zutis", published={"IoU": 72.5}, facts={"name": "bird"}, scale="paper"),
            Setting("asked for the image's breed", "zutis", published={"IoU": 72.6}, scale="paper"),
        ),
        finer_names,
        benchmarks={"IoU": "cub200"},
        differs="The names of the embedded world have no finer ones, so this table needs real data.",
    ),
    "7": Table(
        "Names that no training saw",
        (
            Setting("ZUTIS, asked for unseen names", "zutis", published=ap(3.3, 7.2, 2.8),
                    asked="unseen", on="unseen"),
            Setting("MaskCLIP, pieces of its map", "maskclip", BY_WORD, published=ap(0.7, 2.0, 0.4),
                    names="unseen", on="unseen"),
        ),
        objects,
        columns=(*AP, "agnostic AP", "mIoU"),
        benchmarks={"AP": "coco20k"},
        differs="Scenes of 8 families that no segmenter was trained on; the embedded CLIP has seen their names.",
    ),
    "figure-3": Table(
        "Encoder size and speed",
        (
            Setting("ViT-B/16", "zutis", scale="paper"),
            Setting("ViT-B/32", "zutis", ("training.clip=openai/clip-vit-base-patch32",), scale="paper"),
            Setting("ViT-L/14", "zutis", ("training.clip=openai/clip-vit-large-patch14",), scale="paper"),
            Setting("96 px", "zutis", scale="mini"),
            Setting("72 px", "zutis", scale="mini", read=at_side(72)),
            Setting("48 px", "zutis", scale="mini", read=at_side(48)),
        ),
        speed,
        columns=("mIoU", "AP", "images/s", "parameters (M)"),
        benchmarks={"mIoU": "voc2012-trainval"},
        differs="There is one embedded CLIP, so computation is saved by smaller images, not by smaller encoders. "
        "The paper draws the curves: more computation, better masks and names.",
    ),
    "longer": Table(
        "Table 1 with three times the updates",
        (
            Setting("no stop-gradient, no suppression", "zutis", mini=(*NO_STOP, *LONGER), published=ap(0.3, 0.4, 0.3),
                    read=keep_duplicates),
            Setting("stop-gradient, no suppression", "zutis", mini=LONGER, published=ap(4.4, 8.7, 4.2),
                    read=keep_duplicates),
            Setting("stop-gradient and suppression", "zutis", mini=LONGER, published=ap(13.7, 30.9, 11.1)),
        ),
        objects,
        columns=(*AP, "agnostic AP", "mIoU"),
        differs="1,200 updates of 8 images; the preset of the embedded world has 400, the paper 20,000.",
    ),
    "remedies": Table(
        "Beyond the paper: objects that touch",
        (
            Setting("whole saliency masks (paper)", "zutis"),
            Setting("connected pieces as targets", "zutis", ("training.targets=components",)),
            Setting("one round of self-training", "zutis", ("training.rounds=1",)),
        ),
        objects,
        columns=(*AP, "agnostic AP", "mIoU"),
        benchmarks={"AP": "voc2012-trainval"},
    ),
    "stuff": Table(
        "Beyond the paper: stuff among the names",
        (
            Setting("saliency masks for all names (paper)", "zutis", names="topics"),
            Setting("masks of FMbSeg's first stage for stuff", "zutis", STUFF_MASKS, names="topics"),
        ),
        topics,
        columns=("mIoU", "mIoU things", "mIoU stuff"),
        differs="16 things and 10 kinds of stuff.",
    ),
    "options": Table(
        "The paper's words where the released code differs",
        (
            Setting("as released", "zutis"),
            Setting("85 sentences a name", "zutis", ("training.prompts=templates",)),
            Setting("softmax over names", "zutis", read=by_softmax),
            Setting("cosines scaled by 100", "zutis", ("training.temperature=100.0",), scale="paper"),
            Setting("no temperature", "zutis", ("training.temperature=1.0",), scale="mini"),
        ),
        objects,
        columns=(*AP, "mIoU"),
        benchmarks={"AP": "voc2012-trainval"},
        differs='The embedded preset already scales cosines by 15; "no temperature" is the released code\'s 1.',
    ),
}  # fmt: skip
