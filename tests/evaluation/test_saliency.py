"""Scores of saliency maps against a public implementation's, and where a map or a truth is all of one kind."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.evaluation import evaluate_run
from namesake.evaluation.benchmarks.decode import DECODERS
from namesake.evaluation.saliency import SaliencyScorer, e_measure, f_curve, s_measure, stretch
from namesake.networks import SelfMask, save_selfmask
from namesake.segmenter import load_segmenter
from tiny_models import TINY_SELFMASK

SHAPES = [(24, 32), (31, 17), (40, 40), (12, 50)]
PUBLIC = {
    "max_f_beta": 91.58340763074287,
    "max_f_beta_as_selfmask": 94.93666849329247,
    "mae": 22.310969091846523,
    "s_measure": 70.00375676811605,
    "e_measure": 62.667056001298384,
}
"""PySODMetrics 1.5.1 (Fmeasure of 0.3 and 0.09, MAE, Smeasure, Emeasure) on the four pairs below; it wants numpy 1."""


def pair(seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A noisy map in steps of 1/255, and the disc that it is about."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    down, right = shape[0] * rng.uniform(0.3, 0.7), shape[1] * rng.uniform(0.3, 0.7)
    mask = (y - down) ** 2 + (x - right) ** 2 < (min(shape) * rng.uniform(0.2, 0.4)) ** 2
    found = np.clip(mask * rng.uniform(0.4, 0.9) + rng.normal(0.2, 0.15, shape), 0, 1)
    return np.round(found * 255) / 255, mask


def test_scores__as_a_public_implementation() -> None:
    scorer = SaliencyScorer(ignore=255)
    for seed, shape in enumerate(SHAPES):
        scorer.add_map(*pair(seed, shape))
    assert scorer.scores() == pytest.approx(PUBLIC, rel=1e-9)


def test_perfect_map() -> None:
    _, mask = pair(0, (24, 32))
    perfect = mask.astype(float)
    assert f_curve(perfect, mask, beta_squared=0.3).max() == pytest.approx(1)
    assert s_measure(perfect, mask) == pytest.approx(1)
    assert e_measure(perfect, mask) > 0.99


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_map_of_one_value(value: float) -> None:
    _, mask = pair(0, (24, 32))
    flat = np.full(mask.shape, value)
    assert np.array_equal(stretch(flat), flat)
    assert 0 <= s_measure(flat, mask) <= 1
    assert 0 <= e_measure(flat, mask) <= 1


@pytest.mark.parametrize("full", [False, True])
def test_truth_of_one_kind(full: bool) -> None:
    mask = np.full((8, 9), full)
    right = mask.astype(float)
    assert s_measure(right, mask) == 1
    assert s_measure(1 - right, mask) == 0


def test_one_salient_pixel_in_a_corner() -> None:
    mask = np.zeros((6, 7), dtype=bool)
    mask[-1, -1] = True
    assert np.isfinite(s_measure(mask * 0.5 + 0.1, mask))


def test_run_of_selfmask__is_scored_on_a_saliency_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    save_selfmask(SelfMask(TINY_SELFMASK), tmp_path / "run" / "saliency")
    for number in range(2):
        image = np.random.default_rng(number).integers(0, 255, (40, 48, 3), dtype=np.uint8)
        truth = np.zeros((40, 48), np.uint8)
        truth[10:30, 10:30] = (3, 255)[number]
        for folder, pixels, name in (
            ("DUTS-TE-Image", image, f"{number}.jpg"),
            ("DUTS-TE-Mask", truth, f"{number}.png"),
        ):
            (tmp_path / "duts" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "duts" / folder / name)
    segmenter = load_segmenter(tmp_path / "run", device="cpu")
    assert segmenter.names.names == ("salient object",)
    found = segmenter.segment(tmp_path / "duts" / "DUTS-TE-Image" / "0.jpg")
    assert found.labels.shape == (40, 48)
    assert found.confidence.min() >= 0.5
    read, decode = list[str](), DECODERS["any"]
    monkeypatch.setitem(DECODERS, "any", lambda path: read.append(path.name) or decode(path))
    scores = evaluate_run(tmp_path / "run", benchmark="duts-te", root=tmp_path / "duts", device="cpu")
    assert scores.measures.keys() >= {*PUBLIC, "foreground_iou_over_images"}
    assert all(0 <= value <= 100 for value in scores.measures.values())
    assert sorted(read) == ["0.png", "1.png"], "each truth is read once"
