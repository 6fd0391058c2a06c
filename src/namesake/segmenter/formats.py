"""Read the `config.json` of segmenters that earlier versions saved: other words, and options that are fixed now.

Weights are the same in all formats.
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
FIXED = {
    "stability_score_offset": 1.0,
    "smallest_share": 0.0,
    "likeness_temperature": 5.0,
    "points_per_batch": None,
}
"""Options that there are no more, and their only value now; None where it does not change what is predicted."""


def upgrade(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a `config.json`, in the words of now.

    Raises:
        KeyError: An entry is missing.
        TypeError: The architecture is no table.
        ValueError: An option that is fixed now had another value.
    """
    if not isinstance(content["architecture"], dict):
        raise TypeError(f"architecture should be a table, is {content['architecture']!r}")
    if content["format"] == 1:
        content = _of_format_1(content)
    return {**content, "architecture": _without_fixed(content["architecture"])}


def _of_format_1(content: Mapping[str, Any]) -> dict[str, Any]:
    kind, preprocessing = str(content["kind"]), dict(content["preprocessing"])
    preprocessing["resize_longer"] = preprocessing.pop("longer_side_at_most")
    architecture = _renamed(content["architecture"], RENAMED.get(kind, {}))
    if kind == "maskclip":
        architecture = {"prompt_denoising": 0.0, "key_smoothing": 0.0} | architecture
    if "min_votes" in architecture:
        architecture["min_votes"] += 1  # format 1 held the number that votes have to exceed
    return {**content, "architecture": architecture, "preprocessing": preprocessing}


def _without_fixed(table: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for word, value in dict(table).items():
        if word not in FIXED:
            kept[word] = _without_fixed(value) if isinstance(value, Mapping) and word != "least" else value
        elif FIXED[word] not in {None, value}:
            raise ValueError(f"{word} is {value} and can only be {FIXED[word]} now; train the segmenter anew")
    return kept


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
