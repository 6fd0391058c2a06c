"""The tables of ZUTIS (https://arxiv.org/abs/2304.14376) with their values."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, final

from torch import Tensor

from namesake.records import Prediction
from namesake.reproduce.measures import finer_names, objects, semantic, sized_and_fast, speed, topics
from namesake.reproduce.namedmask import (
    IMAGENET_S,
    MASKCLIP_DIFFERS,
    RECO_CLIP,
    RECO_DIFFERS,
    STUFF_MASKS,
    WITHOUT_EXPERTS,
    by_size,
)
from namesake.reproduce.table import Setting, Table, by_column
from namesake.segmenter import Segmenter
from namesake.segmenter.query import OpenVocabulary
from namesake.shapes import ImageArray

AP = ("AP", "AP50", "AP75")
AGNOSTIC = tuple(f"agnostic {column}" for column in AP)
ap, agnostic_ap = partial(by_column, AP), partial(by_column, AGNOSTIC)
"""Published AP, AP50 and AP75."""
NO_STOP = ("training.architecture.stop_gradient=False",)
LONG = ("training.iterations=80000",)
UP_TO_1024 = ("training.resize_longer=1024",)
"""Section 4.1, "Inference": larger images of ImageNet-S are shrunk to a longer side of 1024."""
B32 = "openai/clip-vit-base-patch32"
PUBLISHED_BALANCE = ("training.logit_scale=1.0", "training.mask_weight=6.6")
"""The published weight of the mask loss beside naming: cosines are not scaled, and 6 layers with 10 objects a sample
make 6.6 times the terms of the mini preset's 2 with 4."""
COCO_UNSEEN = (
    "airplane", "train", "parking meter", "cat", "bear", "suitcase", "frisbee", "snowboard", "fork", "sandwich",
    "hot dog", "toilet", "mouse", "toaster", "hair drier",
)  # fmt: skip
"""The 15 names of COCO that prior work on zero-shot instance segmentation keeps from training (section 4.3)."""
PIECES = (
    "MaskCLIP's and NamedMask's objects are the connected pieces of their maps; the paper takes one whole mask a name."
)
BY_WORD = ("threshold=none",)
"""MaskCLIP as ZUTIS compares with it: background is what the word "background" wins."""


def with_inference(**changes: Any) -> Callable[[Segmenter], Segmenter]:  # noqa: ANN401
    """A reading with other values of these fields of `QueryInference`."""

    def read(segmenter: Segmenter) -> Segmenter:
        predictor = segmenter.predictor
        assert isinstance(predictor, OpenVocabulary)
        other = predictor.with_inference(replace(predictor.inference, **changes))
        return Segmenter(other, segmenter.settings, device=segmenter.device)

    return read


keep_duplicates = with_inference(nms=1.0)
"""No suppression: every proposal is an object."""
by_softmax = with_inference(score_function="softmax")
"""Names of objects by a softmax over all names, as the paper writes it, instead of one sigmoid a name."""


def pieces_of_the_map(segmenter: Segmenter) -> Segmenter:
    """The same segmenter without objects of its own, so that the pieces of its label map stand for them."""
    predictor = segmenter.predictor
    assert isinstance(predictor, OpenVocabulary)
    return Segmenter(MapOnly(predictor), segmenter.settings, device=segmenter.device)


@final
class MapOnly:
    """A predictor whose label maps are another's, and that finds no objects.

    Args:
        predictor: The other.
    """

    def __init__(self, predictor: OpenVocabulary) -> None:
        self._predictor = predictor

    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Label maps of height x width."""
        found = self._predictor.predict(images, height=height, width=width)
        return [replace(each, instances=None) for each in found]

    def weights(self) -> dict[str, Tensor]:
        """The other's weights."""
        return self._predictor.weights()


def large(parameters: float, rate: float | None, *values: float) -> dict[str, float]:
    """Published values of Table 5: parameters in millions, images a second, then those by size of object."""
    speed = {} if rate is None else {"images/s": rate}
    return {**by_size(*values), "parameters (M)": parameters, **speed}


def at_side(side: int) -> Callable[[Segmenter], Segmenter]:
    """Reads a segmenter with images shrunk to this side for the network."""

    def read(segmenter: Segmenter) -> Segmenter:
        settings = replace(segmenter.settings, resize_longer=side)
        return Segmenter(segmenter.predictor, settings, device=segmenter.device)

    return read


TABLES: dict[str, Table] = {
    "1": Table(
        "Stop-gradient and non-maximum suppression",
        (
            Setting("no stop-gradient, no suppression", "zutis", NO_STOP, published=ap(0.3, 0.4, 0.3),
                    read=keep_duplicates),
            Setting("stop-gradient, no suppression", "zutis", published=ap(4.4, 8.7, 4.2), read=keep_duplicates),
            Setting("stop-gradient and suppression", "zutis", published=ap(13.7, 30.9, 11.1)),
            Setting("no stop-gradient, published balance", "zutis", mini=(*NO_STOP, *PUBLISHED_BALANCE), scale="mini"),
            Setting("stop-gradient, published balance", "zutis", mini=PUBLISHED_BALANCE, scale="mini"),
        ),
        objects,
        columns=(*AP, "mIoU"),
        benchmarks={"AP": "voc2012-trainval"},
        collection="imagenet-pass",
        differs="The rows of the published balance weigh the mask loss against naming as the paper does; the preset of "
        "the embedded world weighs naming more, so that the stop-gradient has less to keep out.",
    ),
    "2": Table(
        "What the stop-gradient keeps: naming",
        (
            Setting("no stop-gradient", "zutis", NO_STOP,
                    published=agnostic_ap(8.4, 19.9, 6.4) | ap(1.0, 1.9, 0.9)),
            Setting("stop-gradient", "zutis", published=agnostic_ap(9.9, 24.1, 7.4) | ap(13.7, 30.9, 11.1)),
            Setting("no stop-gradient, published balance", "zutis", mini=(*NO_STOP, *PUBLISHED_BALANCE), scale="mini"),
            Setting("stop-gradient, published balance", "zutis", mini=PUBLISHED_BALANCE, scale="mini"),
        ),
        objects,
        columns=(*AGNOSTIC, *AP),
        benchmarks={"AP": "voc2012-trainval"},
        collection="imagenet-pass",
    ),
    "3": Table(
        "Instances",
        (
            Setting("ZUTIS", "zutis", published=ap(5.7, 11.0, 5.4)),
            Setting("ZUTIS, ViT-B/32", "zutis", (f"training.clip={B32}",), mini=(),
                    published=ap(3.4, 8.0, 2.6), scale="paper"),
            Setting("ZUTIS, pieces of its own map", "zutis", read=pieces_of_the_map),
            Setting("MaskCLIP, pieces of its map", "maskclip", BY_WORD, published=ap(1.3, 3.4, 0.8)),
            Setting("MaskCLIP ViT-B/32, pieces of its map", "maskclip", (f"clip={B32}", *BY_WORD), mini=BY_WORD,
                    published=ap(0.3, 0.8, 0.2), scale="paper"),
            Setting("NamedMask, pieces of its map", "namedmask"),
            Setting("DINO, ViT-S/16", published=ap(0.7, 2.0, 0.4)),
            Setting("LOST, ViT-S/16", published=ap(1.2, 3.3, 0.6)),
            Setting("MaskDistill, ViT-S/16", published=ap(1.7, 4.1, 1.4)),
            Setting("MaskDistill, RN50-C4", published=ap(3.5, 7.7, 2.9)),
        ),
        objects,
        columns=(*AP, "agnostic AP"),
        benchmarks={"AP": "coco20k"},
        collection="imagenet-pass",
        differs=f"{PIECES} {WITHOUT_EXPERTS}",
        real_differs=PIECES + " Rows without a value of ours are quoted from the paper.",
    ),
    "4": Table(
        "Semantic segmentation",
        (
            Setting("ZUTIS", "zutis", published={"COCO": 32.8, "CoCA": 32.7}),
            Setting("NamedMask", "namedmask", published={"COCO": 28.4, "CoCA": 27.3}),
            Setting("MaskCLIP, background word", "maskclip", BY_WORD, published={"COCO": 20.6, "CoCA": 20.2}),
            Setting("MaskCLIP, background threshold", "maskclip"),
            Setting("ReCo", "reco", RECO_CLIP, mini=(), published={"COCO": 23.8, "CoCA": 28.8}),
        ),
        semantic,
        benchmarks={"COCO": "coco2017", "CoCA": "coca"},
        collection="imagenet-pass",
        differs=f"NamedMask and ZUTIS learn from the same archives and saliency masks. {WITHOUT_EXPERTS}",
        real_differs="NamedMask learns from archives of ImageNet and PASS here, as ZUTIS does; its published row is of "
        "ImageNet alone. " + MASKCLIP_DIFFERS + RECO_DIFFERS,
    ),
    "5": Table(
        "ImageNet-S with 919 names",
        (
            Setting("ZUTIS", "zutis", (*LONG, *UP_TO_1024), mini=(),
                    published=large(86.2, 43.5, 37.4, 10.7, 32.1, 40.2, 33.4)),
            Setting("ZUTIS, ViT-B/32", "zutis", (*LONG, *UP_TO_1024, f"training.clip={B32}"), mini=(),
                    scale="paper",
                    published=large(87.8, 76.9, 27.5, 5.6, 22.3, 28.9, 26.5)),
            Setting("NamedMask", "namedmask", (*IMAGENET_S, "experts.groups=90"), mini=(),
                    published=large(26.6, 125.0, 22.9, 5.1, 19.4, 24.4, 19.8)),
            Setting("ReCo", "reco", RECO_CLIP, mini=(), published=large(170.4, 32.3, 10.3, 6.0, 11.6, 10.2, 6.7)),
            Setting("PASS_p", published=large(25.6, None, 6.6, 1.3, 4.6, 7.1, 8.4)),
            Setting("PASS_s", published=large(25.6, None, 11.0, 2.4, 8.3, 11.9, 13.4)),
        ),
        sized_and_fast,
        columns=("mIoU", "S", "MS", "ML", "L", "parameters (M)", "images/s"),
        benchmarks={"mIoU": "imagenet-s919"},
        differs="The embedded world stands for the benchmark. Images a second are those of a CPU, by wall clock. "
        + WITHOUT_EXPERTS,
        real_differs="Ours is on the validation split (12,419 images), the paper's on the test split (27,423), whose "
        "truth stays with its server: `namesake evaluate --submission` writes what it takes. Archives are of ImageNet "
        "alone, as the paper has them (unsupervised domain adaptation); NamedMask's published row learned from "
        "LAION-5B. Images a second depend on the device. " + RECO_DIFFERS,
    ),
    "6": Table(
        "A finer name than any that was trained on",
        (
            Setting('asked for "bird"', "zutis", published={"IoU": 72.5}, facts={"name": "bird"}, scale="paper",
                    names_of="coco2017"),
            Setting("asked for the image's breed", "zutis", published={"IoU": 72.6}, scale="paper",
                    names_of="coco2017"),
        ),
        finer_names,
        benchmarks={"IoU": "cub200"},
        collection="imagenet-pass",
        differs="The names of the embedded world have no finer ones, so this table needs real data.",
        real_differs="Trained with COCO's 80 names; IoU is summed over all images.",
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
        collection="imagenet-pass",
        unseen=COCO_UNSEEN,
        differs="Scenes of 8 families that no segmenter was trained on; the embedded CLIP has seen their names. "
        + PIECES,
        real_differs="Trained with 65 names of COCO, asked for the other 15. " + PIECES,
    ),
    "figure-3": Table(
        "Encoder size and speed",
        (
            Setting("ViT-B/16", "zutis", scale="paper"),
            Setting("ViT-B/32", "zutis", (f"training.clip={B32}",), mini=(), scale="paper"),
            Setting("ViT-L/14", "zutis", ("training.clip=openai/clip-vit-large-patch14",), mini=(), scale="paper"),
            Setting("96 px", "zutis", scale="mini"),
            Setting("72 px", "zutis", scale="mini", read=at_side(72)),
            Setting("48 px", "zutis", scale="mini", read=at_side(48)),
        ),
        speed,
        columns=("mIoU", "AP", "images/s", "parameters (M)"),
        benchmarks={"mIoU": "voc2012-trainval"},
        collection="imagenet-pass",
        real_differs="The paper draws the curves and prints no values; images a second are those of this device.",
        differs="There is one embedded CLIP, so computation is saved by smaller images, not by smaller encoders. "
        "The paper draws the curves: more computation, better masks and names.",
    ),
    "remedies": Table(
        "Beyond the paper: objects that touch",
        (
            Setting("whole saliency masks (paper)", "zutis"),
            Setting("connected pieces as targets", "zutis", ("training.targets=components",)),
        ),
        objects,
        columns=(*AP, "agnostic AP", "mIoU"),
        benchmarks={"AP": "voc2012-trainval"},
        collection="imagenet-pass",
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
            Setting("cosines scaled by 100", "zutis", ("training.logit_scale=100.0",), scale="paper"),
            Setting("no temperature", "zutis", ("training.logit_scale=1.0",), scale="mini"),
        ),
        objects,
        columns=(*AP, "mIoU"),
        benchmarks={"AP": "voc2012-trainval"},
        collection="imagenet-pass",
        differs='The embedded preset already scales cosines by 15; "no temperature" is the released code\'s 1.',
    ),
}  # fmt: skip
