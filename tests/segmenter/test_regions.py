from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from namesake.encoders import AutomaticConfig
from namesake.errors import ConfigError
from namesake.masks.regions import RegionsConfig, paint
from namesake.records import Names
from namesake.segmenter import build_named_regions, load_segmenter

PETS = Names(("cat", "dog"), synonyms=((), ("red dog",)), background=("park", "bench"))


@pytest.fixture
def config(tiny_clip: Path, tiny_sam: Path) -> RegionsConfig:
    grid = AutomaticConfig(points_per_side=3, pred_iou_thresh=-9, stability_score_thresh=0.01, box_nms_thresh=0.999)
    return RegionsConfig(
        clip=str(tiny_clip),
        mask_model=str(tiny_sam),
        image_size=64,
        min_votes=1,
        resize_longer=48,
        points_per_word=2,
        automatic=grid,
    )


@pytest.fixture
def image() -> np.ndarray:
    coarse = np.random.default_rng(3).integers(0, 256, (5, 7, 3))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)


@pytest.mark.parametrize("kind", ["prompted", "automatic"])
def test_regions__painted_masks_and_not_sure_elsewhere(
    kind: str, config: RegionsConfig, image: np.ndarray, tmp_path: Path
) -> None:
    build_named_regions(tmp_path, PETS, kind=kind, config=config, device="cpu")
    segmenter = load_segmenter(tmp_path, device="cpu")
    found = segmenter.segment(image)
    view = segmenter.predictor.namer.look(image)
    regions = getattr(view, kind)(view.present())
    labels = np.array([0, 0, 1, 2, 2])[regions.words]
    small = paint(regions._replace(words=labels), nothing=255)
    assert small.shape == (34, 48)
    assert found.labels.shape == (40, 56)
    assert set(np.unique(found.labels)) == set(np.unique(small))
    assert not found.confidence[found.labels == 255].any()
    assert segmenter.settings.tier == "M"


def test_regions__no_name_is_there(config: RegionsConfig, image: np.ndarray, tmp_path: Path) -> None:
    build_named_regions(tmp_path, PETS, kind="automatic", config=replace(config, min_votes=100), device="cpu")
    found = load_segmenter(tmp_path, device="cpu").segment(image)
    assert (found.labels == 255).all()
    assert not found.confidence.any()


def test_regions__other_names(config: RegionsConfig, image: np.ndarray, tmp_path: Path) -> None:
    build_named_regions(tmp_path, PETS, kind="prompted", config=config, device="cpu")
    other = load_segmenter(tmp_path, device="cpu").with_names("dog")
    assert set(np.unique(other.segment(image).labels)) <= {0, 1, 255}


def test_regions__unknown_kind(config: RegionsConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="prompted, automatic"):
        build_named_regions(tmp_path, PETS, kind="all", config=config, device="cpu")
