"""The tables of FMbSeg (https://arxiv.org/abs/2403.09307) and of its appendix, with their values."""

from functools import partial

from namesake.reproduce.measures import told, topics
from namesake.reproduce.own_objects import measure_own_objects
from namesake.reproduce.table import Setting, Table, by_column
from namesake.segmenter import Segmenter
from namesake.segmenter.aligned import Aligned
from namesake.systems.fmbseg import PRESETS

SETS = ("PV-21", "PV-20", "PC-59", "CO-80", "CS-171", "City", "ADE")
EVERY = ("mIoU", "mIoU things", "mIoU stuff")
BOTH = ("alignment.label_sources=both",)
"""Masks of stage 1.1 over those of 1.2, as the paper has them; the preset of the embedded world takes 1.2 alone."""
ON_DINO = "alignment.dense_encoder=embedded:dino"
TWICE = f"alignment.iterations={2 * PRESETS['mini'].alignment.iterations}"

on_sets = partial(by_column, SETS)
"""Published mean IoU by benchmark."""
BASE = Setting(
    "Stage 2 (base)", "fmbseg", names="topics", names_of="coco-stuff",
    published=on_sets(67.73, 85.65, 42.72, 57.63, 29.88, 28.37, 16.25),
)  # fmt: skip
BENCHMARKS = {
    "PV-21": "voc2012", "PV-20": "voc2012-20", "PC-59": "pascal-context", "CO-80": "coco2017-things",
    "CS-171": "coco-stuff", "City": "cityscapes", "ADE": "ade20k",
}  # fmt: skip
PROTOCOL = (
    "Trained once, with the 171 names of COCO-Stuff on COCO train2017, and asked for each benchmark's names. PV-21: "
    "the 91 names of stuff of COCO-Stuff are asked for too and count as background, and background counts as a name, "
    "as in "
    'the paper. CO-80: pixels of stuff do not count, our reading of "things only"; the paper does not say. City: the '
    "19 evaluated names; the paper says 30 categories. The paper gives no learning rate, momentum, weight decay or "
    "number of heads: ours are guesses, and this training was never run at its size. "
)


def refined(segmenter: Segmenter) -> Segmenter:
    """The same segmenter, its labels refined by the masks of SAM of its preset."""
    predictor = segmenter.predictor
    assert isinstance(predictor, Aligned)
    embedded = predictor.encoder.card.source.startswith("embedded:")
    better = predictor.refined_by("embedded:sam" if embedded else "facebook/sam-vit-huge")
    return Segmenter(better, segmenter.settings, device=segmenter.device)


def stage_1(label: str, kind: str, *values: float) -> Setting:
    """The first stage alone, which trains nothing."""
    return Setting(label, "fmbseg", (f"until={kind}",), names="topics", published=on_sets(*values))


TABLES: dict[str, Table] = {
    "1": Table(
        "Things and stuff",
        (
            BASE,
            Setting("Stage 2 (refined)", "fmbseg", names="topics", names_of="coco-stuff", read=refined,
                    published=on_sets(71.02, 87.03, 44.34, 58.20, 30.65, 30.55, 16.60)),
            Setting("MaskCLIP", "maskclip", ("threshold=none",), names="topics",
                    published=on_sets(38.8, 74.9, 23.6, 20.6, 16.4, 12.6, 9.8)),
            Setting("TCL", published={"PV-21": 55.0, "PV-20": 83.2, "PC-59": 33.9, "CO-80": 31.6, "CS-171": 22.4,
                                      "City": 24.0, "ADE": 17.1}),
        ),
        topics,
        columns=EVERY,
        benchmarks=BENCHMARKS,
        collection="coco",
        differs="Aligned with the masks of stage 1.2 alone, without those of 1.1.",
        real_differs=PROTOCOL + "MaskCLIP is ours, with ViT-B/16 and the same words; its and TCL's published rows are "
        "quoted in the paper.",
    ),
    "water": Table(
        "Water of any kind (section 4.5.1)",
        (
            Setting("Stage 1.1", "fmbseg", ("until=prompted",), names="topics", scale="paper",
                    published={"mIoU": 83.1}),
            Setting("Stage 1.2", "fmbseg", ("until=automatic",), names="topics", scale="paper"),
        ),
        topics,
        benchmarks={"mIoU": "water"},
        collection="coco",
        differs="The embedded world has one kind of water, so this table needs real data.",
        real_differs="The paper says stage 1, not which half, and no words: ours are water, river, sea and the other "
        "kinds of COCO-Stuff's water, against its other stuff as background. Mean IoU of water and background.",
    ),
    "2": Table(
        "Stage 1: labels from masks that names ask for, from all masks, and with known names",
        (
            stage_1("Stage 1.1", "prompted", 25.37, 42.92, 22.03, 32.97, 16.96, 9.50, 10.45),
            stage_1("Stage 1.2", "automatic", 36.68, 53.36, 24.25, 29.15, 16.82, 14.86, 12.30),
            Setting("Stage 1.1 (semi-supervised)", "fmbseg", ("until=prompted",), names="topics",
                    published=on_sets(50.86, 63.82, 39.33, 47.77, 29.03, 10.76, 22.86), facts={"told": True}),
        ),
        told,
        columns=EVERY,
        benchmarks=BENCHMARKS,
        collection="coco",
        differs="Pixels without a mask are wrong, as in the paper. The last row is told which names each image shows.",
        real_differs="Nothing is trained: each benchmark is labelled with its own names. PV-21, CO-80 and City as in "
        "Table 1.",
    ),
    "3": Table(
        "Modules and losses",
        (
            Setting("transformer block, TSupCon", "fmbseg", names="topics", names_of="coco-stuff",
                    published={"CS-171": 29.88}),
            Setting("linear", "fmbseg", ("alignment.module=linear",), names="topics", names_of="coco-stuff",
                    published={"CS-171": 27.25}),
            Setting("MLP", "fmbseg", ("alignment.module=mlp",), names="topics", names_of="coco-stuff",
                    published={"CS-171": 28.90}),
            Setting("SupCon", "fmbseg", ("alignment.loss=supcon",), names="topics", names_of="coco-stuff",
                    published={"CS-171": 26.25}),
            Setting("prototypes alone (Eq. 2)", "fmbseg", ("alignment.loss=prototype",), names="topics",
                    names_of="coco-stuff", published={"CS-171": 28.51}),
        ),
        topics,
        columns=EVERY,
        benchmarks={"CS-171": "coco-stuff"},
        collection="coco",
        real_differs="Learning rate, momentum, weight decay and heads are guesses, the same for all rows; the paper "
        "gives none.",
    ),
    "4": Table(
        "Finding one very object by a few pictures",
        (
            Setting("FMbSeg, stage 1", "fmbseg", ("until=prompted",), names="topics",
                    published={"Precision": 91.0, "Recall": 87.0}),
            Setting("MyVLM", published={"Precision": 90.0, "Recall": 96.0}),
        ),
        measure_own_objects,
        collection="very-objects",
        real_differs="29 objects of MyVLM's published pictures, about ten each: four that the seed draws describe an "
        "object, its others are to be found among those of all other objects; each is named by the words of its "
        "folder. The paper does not say which pictures, which names or how it chose a threshold; ours is the likeness "
        "of the given picture that is least like the other three.",
        differs="With the embedded CLIP's patches in place of DINOv2's; 8 rendered objects by 4 pictures each, among "
        "12 views of it, 12 of others of its family and 12 of other families; the paper has 29 objects and does not "
        "say how it chose a threshold. Ours is the likeness of the given picture that is least like the other three.",
    ),
    "appendix-2": Table(
        "Share of the masks of stage 1.2",
        tuple(
            Setting(
                f"{percent} %", "fmbseg", config, names="topics", names_of="coco-stuff", published=on_sets(*values)
            )
            for percent, config, values in (
                (75, BOTH, (67.73, 85.65, 42.72, 57.63, 29.88, 28.37, 16.25)),
                (0, ("alignment.label_sources=prompted",), (65.83, 85.41, 41.34, 57.56, 28.02, 22.15, 15.40)),
                (33, (*BOTH, "alignment.automatic_fraction=0.33"), (67.89, 84.92, 43.06, 57.19, 28.85, 26.71, 16.11)),
                (100, (*BOTH, "alignment.automatic_fraction=1.0"), (63.58, 83.90, 38.69, 54.99, 27.55, 28.45, 14.99)),
            )
        ),
        topics,
        columns=EVERY,
        benchmarks=BENCHMARKS,
        collection="coco",
        real_differs=PROTOCOL.strip(),
    ),
    "residual": Table(
        "Beyond the paper: a quarter of a learned change of CLIP's patches",
        (
            Setting("Stage 2 (base)", "fmbseg", names="topics"),
            Setting("a quarter of a learned change of CLIP's patches", "fmbseg",
                    mini=("alignment.residual_weight=0.25",), names="topics"),
        ),
        topics,
        columns=EVERY,
    ),
    "unseen": Table(
        "Beyond the paper: things that no training saw, among stuff that it did",
        (
            Setting("Stage 2 (base)", "fmbseg", names="topics", asked="unseen topics", on="unseen"),
            Setting("a quarter of a learned change of CLIP's patches", "fmbseg",
                    mini=("alignment.residual_weight=0.25",), names="topics", asked="unseen topics", on="unseen"),
            Setting("MaskCLIP", "maskclip", ("threshold=0.0",), names="unseen topics", on="unseen"),
        ),
        topics,
        columns=EVERY,
    ),
    "encoders": Table(
        "Beyond the paper: other encoders, and masks without SAM",
        (
            Setting("CLIP, SAM (as preset)", "fmbseg", names="topics"),
            Setting("DINO, SAM", "fmbseg", mini=(ON_DINO,), names="topics"),
            Setting("CLIP, SAM, aligned twice as long", "fmbseg", mini=(TWICE,), names="topics"),
            Setting("DINO, SAM, aligned twice as long", "fmbseg", mini=(ON_DINO, TWICE), names="topics"),
            Setting("CLIP, SelfMask (no human mask)", "fmbseg", mini=("regions.mask_model=embedded:saliency",),
                    names="topics"),
        ),
        topics,
        columns=EVERY,
    ),
}  # fmt: skip
