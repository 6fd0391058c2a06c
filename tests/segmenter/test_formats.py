"""Segmenters of earlier versions open: their words and values are those of now."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from namesake.encoders import AutomaticConfig
from namesake.errors import WeightsError
from namesake.masks.regions import RegionsConfig
from namesake.networks.alignment import AlignmentConfig
from namesake.networks.deeplab import DeepLabConfig
from namesake.networks.zutis import QuerySegmenterConfig
from namesake.segmenter import load_segmenter
from namesake.segmenter.aligned import AlignedInference
from namesake.segmenter.formats import RENAMED, VALUES
from namesake.segmenter.query import Certainty, QueryInference
from namesake.segmenter.settings import read_settings

SAM = {
    "points_per_side": 32, "points_at_once": 64, "predicted_iou": 0.97, "stability": 0.95, "stability_offset": 1.0,
    "duplicate_overlap": 0.7, "smallest_share": 0.0,
}  # fmt: skip
VIT = {
    "dim": 768, "depth": 12, "heads": 12, "mlp": 3072, "patch": 16, "grid": 14, "joint": 512,
    "activation": "quick_gelu", "eps": 1e-05,
}  # fmt: skip
OLD = {
    "deeplab": {
        "stem": 64, "hidden_sizes": [256, 512, 1024, 2048], "depths": [3, 4, 6, 3], "output_stride": 8,
        "low_level": 48, "aspp": 256, "atrous_rates": [12, 24, 36], "dropout": 0.1, "backbone_momentum": 0.01,
    },
    "query": {
        "network": {
            "encoder": VIT, "queries": 100, "layers": 6, "heads": 8, "mlp": 2048, "hidden": 256,
            "resize_positions": "published", "stop_gradient": True,
        },
        "inference": {
            "nms": 0.3, "likeness": "sigmoid", "likeness_temperature": 5.0, "fit": "published", "mark_unsure": False,
        },
        "certainty": {"temperature": 2.5, "least": {"fit": 0.5}, "least_elsewhere": 0.25},
    },
    "aligned": {
        "encoder": "embedded:dino", "sentence": "photo",
        "alignment": {"module": "block", "heads": 0, "widening": 4, "dim": 1024, "joint": 768},
        "inference": {"side": 518, "refine": "", "automatic": SAM, "temperature": 1.0},
    },
    "regions": {
        "kind": "prompted", "clip": "openai/clip-vit-large-patch14-336", "masks": "facebook/sam-vit-huge",
        "sentence": "photo", "side": 1344, "mlp": False, "voters": "crops", "overview": False, "more_than": 1,
        "points": 5, "longer_side": 518, "automatic": SAM,
    },
    "maskclip": {"clip": "a", "labels": [1], "temperature": 100.0, "threshold": None, "size": 320},
    "references": {"encoder": "a", "block": None, "clip": "", "threshold": 0.9, "temperature": 30.0, "size": None},
    "saliency+clip": {"clip": "a", "saliency": "b", "bilateral_solver": True, "temperature": 100.0},
}  # fmt: skip
"""What `config.json` held of segmenters with the papers' options."""
NEW = {
    "deeplab": asdict(DeepLabConfig()),
    "query": {
        "network": asdict(QuerySegmenterConfig()),
        "inference": asdict(QueryInference()),
        "certainty": asdict(Certainty(2.5, {"fit": 0.5}, 0.25)),
    },
    "aligned": {
        "dense_encoder": "embedded:dino", "prompts": "photo", "alignment": asdict(AlignmentConfig()),
        "inference": asdict(AlignedInference()),
    },
    "regions": {"kind": "prompted", **asdict(RegionsConfig())},
    "maskclip": {
        "clip": "a", "labels": [1], "logit_scale": 100.0, "threshold": None, "resize_shorter": 320,
        "prompt_denoising": 0.0, "key_smoothing": 0.0,
    },
    "references": {
        "dino": "a", "block": None, "clip": "", "threshold": 0.9, "logit_scale": 30.0, "resize_shorter": None,
    },
    "saliency+clip": {"clip": "a", "saliency": "b", "bilateral_solver": True, "logit_scale": 100.0},
}  # fmt: skip


def written(folder: Path, kind: str) -> Path:
    content = {
        "format": 1,
        "kind": kind,
        "id2label": {"0": "background", "1": "fit"},
        "architecture": OLD[kind],
        "preprocessing": {"longer_side_at_most": 500},
    }
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", OLD)
def test_words_and_values_are_those_of_now(kind: str, tmp_path: Path) -> None:
    settings = read_settings(written(tmp_path, kind))
    wanted = json.loads(json.dumps(NEW[kind]))
    if kind == "query":  # a network of before had no image stem
        assert wanted["network"].pop("stem") == 0
    if kind == "aligned":  # an alignment of before changed no features of a CLIP's own
        assert not wanted["alignment"].pop("residual")
    assert settings.architecture == wanted
    assert settings.resize_longer == 500


def test_automatic_masks__no_word_is_lost() -> None:
    assert len(SAM) == len(asdict(AutomaticConfig())) + len({"points", "stability_offset", "smallest_share"})


@pytest.mark.parametrize(
    ("kind", "old", "said"),
    [
        ("aligned", {"inference": {"automatic": {"smallest_share": 0.1}}}, "smallest_share is 0.1 and can only be 0.0"),
        ("query", {"inference": {"likeness_temperature": 7.0}}, "likeness_temperature is 7.0 and can only be 5.0"),
    ],
)
@pytest.mark.parametrize("number", [1, 2])
def test_option_that_is_fixed_now_and_was_turned(kind: str, old: dict, said: str, number: int, tmp_path: Path) -> None:
    path = written(tmp_path, kind) / "config.json"
    content = json.loads(path.read_text(encoding="utf-8")) | {"architecture": old, "format": number}
    content["preprocessing"] |= {"resize_longer": 500}
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(WeightsError, match=said):
        read_settings(tmp_path)


def in_format_1(table: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """A table of now in the words and values of format 1."""
    old = {new: word for word, new in words.items()}
    values = {word: {new: before for before, new in pairs.items()} for word, pairs in VALUES.items()}
    return {
        old.get(word, word): in_format_1(value, words)
        if isinstance(value, Mapping) and word != "least"
        else values.get(word, {}).get(value, value)
        if isinstance(value, str | float)
        else value
        for word, value in table.items()
    }


@pytest.mark.parametrize("kind", ["segmenter", "query"])
def test_whole_folder_of_format_1_opens_and_predicts_the_same(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    now = request.getfixturevalue(kind)
    now.save(tmp_path)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content |= {"format": 1, "architecture": in_format_1(content["architecture"], RENAMED.get(now.kind, {}))}
    content["preprocessing"]["longer_side_at_most"] = content["preprocessing"].pop("resize_longer")
    if kind == "query":
        content["architecture"]["inference"]["likeness_temperature"] = 5.0
        assert {"mlp", "hidden", "resize_positions"} <= content["architecture"]["network"].keys()
    path.write_text(json.dumps(content), encoding="utf-8")
    image = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    assert np.array_equal(load_segmenter(tmp_path, device="cpu").segment(image).labels, now.segment(image).labels)
