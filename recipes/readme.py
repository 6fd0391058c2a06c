"""Held-out figures in, the README beside the embedded weights out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

HEAD = """---
license: apache-2.0
---
# Embedded models

Small models in transformers' own formats, trained by the scripts in `recipes/` on nothing but the images that
`namesake world` renders. They know that world only: on photographs their answers mean nothing. No mask and no label was
used but the rendered captions, by CLIP alone, and the rendered masks, by SAM alone (which had human masks to learn
from: tier M). DINO owes nothing to names: a convolutional network learned without labels what pictures of one very
object share that show it from several sides in several scenes, and DINO learned from its feature maps. The ResNet
imitates the whitened patch features of CLIP, of DINO and of the network that taught DINO on unlabelled images, because
self-distillation of a network that two cores can train finds too little. Licence: Apache-2.0.

| folder | class | what for | weights |
|---|---|---|---|
| `clip` | `CLIPModel`, ViT 4 x 128, patch 8, 96 px | index, archives, dense labels | {clip} MB |
| `dino` | `ViTModel`, 4 x 128, patch 8, 96 px | patch features, voted masks | {dino} MB |
| `resnet` | `ResNetModel`, 5 bottlenecks to 384 channels | start of a segmenter | {resnet} MB |
| `saliency` | SelfMask, 10 queries over the DINO ViT | class-agnostic masks | {saliency} MB |
| `sam` | `SamModel`, ViT 4 x 128, patch 8, 96 px, 3 masks a point | masks from points, all of an image | {sam} MB |

Weights are stored in float16. Held-out figures, in percent, from images of other seeds than those trained on
(`figures.json` has all of them):

"""
ROWS = {
    "clip": (
        ("zero_shot_accuracy", "zero-shot accuracy, {zero_shot_images} images of one object, 24 names"),
        ("retrieval_precision_at_50", "retrieval precision at 50, mean over names, {retrieval_images} images"),
        (
            "retrieval_precision_at_100",
            "retrieval precision at 100 ({retrieval_relevant_images_per_name} relevant a name)",
        ),
        ("retrieval_precision_at_100_worst_name", "the same, worst name"),
        ("patch_accuracy_things_among_names", "patches of things in {patch_scenes} scenes, 24 names (value path)"),
        ("patch_accuracy_all_topics", "all patches, 24 names and 10 kinds of stuff (value path)"),
        ("patch_accuracy_all_topics_without_perceptron", "the same without the perceptron behind the values"),
        ("patch_accuracy_all_topics_last_output", "the same as patches leave the last block"),
    ),
    "dino": (
        (
            "best_iou",
            "IoU of voted masks with the objects, {mask_images} images, {best_block}, {affinity}",
        ),
        ("colour_iou", "the same from the colours of patches"),
        ("voted_mask_iou_twice_the_grid", "features upsampled twice"),
    ),
    "resnet": (
        ("probe_recall_trained", "linear probe of places, mean recall over {probe_labels} labels"),
        ("probe_recall_random", "the same from random weights"),
        ("probe_recall_things_trained", "linear probe of places of things, 24 labels"),
        ("probe_recall_things_random", "the same from random weights"),
    ),
    "saliency": (
        ("saliency_iou", "IoU with the objects after the bilateral solver, {saliency_images} images"),
        ("saliency_iou_without_solver", "the same without the solver"),
        ("saliency_share_above_half", "images with an IoU above 50"),
    ),
    "sam": (
        (
            "thing_deep_point_iou",
            "IoU of things from the point deepest inside, {sam_scenes} scenes, {thing_deep_regions} things",
        ),
        ("thing_random_point_iou", "the same from any point"),
        ("stuff_deep_point_iou", "IoU of stuff from the point deepest inside, {stuff_deep_regions} regions"),
        ("stuff_random_point_iou", "the same from any point"),
        ("automatic_recall_unfiltered_above_40", "things above 40 px that one of all masks has (IoU above 50)"),
        ("automatic_recall_preset_above_40", "the same after the filters of the preset mini"),
    ),
}
PROBES = ("ridge_things", "ridge_stuff", "nearest_things", "nearest_stuff", "boundary_recall")
"""Columns of the table of probes."""


def write_readme(figures: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write the model table and those figures that are there."""
    sizes = {name: f"{figures.get(name, {}).get('bytes', 0) / 1e6:.1f}" for name in ROWS}
    lines = ["| model | figure | value |", "|---|---|---|"]
    for model, rows in ROWS.items():
        values = dict(figures.get(model, {}))
        if "voted_mask_iou" in values:
            table = values["voted_mask_iou"]
            values["best_iou"] = table[values["best_block"]][values["best_temperature"]]
            best = values["best_temperature"]
            values["affinity"] = best if best == "published affinity" else f"temperature {best}"
            values["colour_iou"] = max(table["colour"].values())
        lines += [f"| {model} | {text.format(**values)} | {values[key]} |" for key, text in rows if key in values]
    probes = figures.get("probes", {})
    if probes:
        lines += [
            "",
            "What patches know: mean IoU of things and of stuff, by a ridge classifier and by the label of the most",
            f"alike patch of {probes['probe_images']} other images, on {probes['probe_scenes']} scenes; and the",
            "share of objects' outlines that voted masks follow within 3 pixels.",
            "",
            "| patches of | " + " | ".join(column.replace("_", ", ") for column in PROBES) + " |",
            "|---|" + "---|" * len(PROBES),
        ]
        names = [key.removesuffix("_ridge_things") for key in probes if key.endswith("_ridge_things")]
        lines += [f"| {name} | " + " | ".join(str(probes[f"{name}_{c}"]) for c in PROBES) + " |" for name in names]
    made = [
        "",
        "Made with `recipes/render.py` and `views.py`, then `guide.py`, `first_dino.py`, `watcher.py`, `dino.py`,",
        "`clip.py`, `resnet.py`, `selfmask.py` and `evaluate.py`, seed 0. Updates of 32 images: guide 3,500, first",
        "DINO 1,000, DINO 1,600, CLIP 4,500 and 600, ResNet 4,000 from the network of before, which 6,500 updates had",
        "taught what earlier teachers see (`--start`); of 144 pictures: watcher 1,300; of 16: saliency 1,200. The DINO",
        "that is here learned from an earlier watcher; what changed during that training is in dev/LOG.md.",
        "",
    ]
    path.write_text(HEAD.format(**sizes) + "\n".join(lines + made), encoding="utf-8")
