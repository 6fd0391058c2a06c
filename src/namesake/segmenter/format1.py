"""Read the `config.json` of segmenters saved in format 1, whose options had other names.

Weights are the same in both formats; only words and a few values differ.
"""

from collections.abc import Mapping
from typing import Any

AUTOMATIC = {
    "predicted_iou": "pred_iou_thresh",
    "stability": "stability_score_thresh",
    "stability_offset": "stability_score_offset",
    "duplicate_overlap": "box_nms_thresh",
    "points_at_once": "points_per_batch",
}
RENAMED: Mapping[str, Mapping[str, str]] = {
    "deeplab": {
        "low_level": "low_level_channels",
        "aspp": "aspp_channels",
        "backbone_momentum": "backbone_bn_momentum",
    },
    "query": {
        "mlp": "mlp_dim",
        "hidden": "hidden_dim",
        "resize_positions": "interpolate_offset",
        "likeness": "score_function",
        "fit": "patch_fit",
        "temperature": "logit_scale",
    },
    "aligned": AUTOMATIC
    | {
        "encoder": "dense_encoder",
        "widening": "mlp_ratio",
        "sentence": "prompts",
        "side": "image_size",
        "refine": "refine_with",
        "temperature": "logit_scale",
    },
    "regions": AUTOMATIC
    | {
        "masks": "mask_model",
        "sentence": "prompts",
        "side": "image_size",
        "mlp": "keep_last_mlp",
        "voters": "present_from",
        "more_than": "min_votes",
        "points": "points_per_word",
        "longer_side": "resize_longer",
    },
    "maskclip": {
        "temperature": "logit_scale",
        "size": "resize_shorter",
        "denoise": "prompt_denoising",
        "smooth": "key_smoothing",
    },
    "references": {"encoder": "dino", "temperature": "logit_scale", "size": "resize_shorter"},
    "frozen": {"hidden": "hidden_dim"},
    "saliency+clip": {"temperature": "logit_scale"},
}
"""By kind: word of format 1 -> word of format 2, at any depth of `architecture`."""
VALUES: Mapping[str, Mapping[Any, Any]] = {
    "interpolate_offset": {"published": 0.1, "size": 0.0},
    "patch_fit": {"published": "crop", "patches": "resize"},
}
"""By word of format 2: value of format 1 -> value of format 2."""


def upgrade(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a `config.json` of format 1, in the words of format 2.

    Raises:
        KeyError: An entry is missing.
        TypeError: The architecture is no table.
    """
    kind, preprocessing = str(content["kind"]), dict(content["preprocessing"])
    preprocessing["resize_longer"] = preprocessing.pop("longer_side_at_most")
    architecture = _renamed(content["architecture"], RENAMED.get(kind, {}))
    if kind == "maskclip":
        architecture = {"prompt_denoising": 0.0, "key_smoothing": 0.0} | architecture
    if "min_votes" in architecture:
        architecture["min_votes"] += 1  # format 1 held the number that votes have to exceed
    return {**content, "architecture": architecture, "preprocessing": preprocessing}


def _renamed(table: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for old, value in dict(table).items():
        word = words.get(old, old)
        if isinstance(value, Mapping):
            found[word] = dict(value) if word == "least" else _renamed(value, words)  # `least` is keyed by names
        else:
            values = VALUES.get(word, {})
            found[word] = values.get(value, value) if isinstance(value, str) else value
    return found
