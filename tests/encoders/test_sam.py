"""Tiny random SAMs against transformers' own processors, models and mask-generation steps."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import Sam2Model, SamModel
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from namesake.config import check
from namesake.encoders import sam as module
from namesake.encoders.loading import quiet
from namesake.encoders.sam import AutomaticConfig, boxes_of, load_sam, point_grid, stability_scores, suppress_boxes
from namesake.errors import ConfigError, WeightsError
from namesake.shapes import ImageArray

OFFSET = 0.05
COLOURS = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.25]}


@pytest.fixture
def sam_folder(tiny: Callable[[str], Path]) -> Path:
    """A SAM of 32 pixels, patch 8."""
    return tiny("sam")


@pytest.fixture
def sam2_folder(tiny: Callable[[str], Path]) -> Path:
    """A SAM 2 of 64 pixels."""
    return tiny("sam2")


def reference(folder: Path) -> tuple[SamModel, SamImageProcessorPil]:
    with quiet():
        return SamModel.from_pretrained(folder).eval(), SamImageProcessorPil.from_pretrained(folder)


@torch.no_grad()
def reference_masks(folder: Path, image: ImageArray, points: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Mask logits [prompts, 3, H, W] and IoU [prompts, 3] as transformers' own classes give them."""
    model, processor = reference(folder)
    inputs = processor(Image.fromarray(image), return_tensors="pt")
    height, width = inputs["reshaped_input_sizes"][0].tolist()
    scaled = points * [width / image.shape[1], height / image.shape[0]]
    output = model(pixel_values=inputs["pixel_values"], input_points=torch.tensor(scaled[None], dtype=torch.float32))
    masks = processor.post_process_masks(
        output.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"], binarize=False
    )
    return masks[0], output.iou_scores[0]


@pytest.mark.parametrize("number", range(4))
def test_at_points__surest_of_three_as_transformers_has_it(sam_folder: Path, images: list, number: int) -> None:
    image = images[number]
    points = np.random.default_rng(number).uniform(0, 1, (5, 3, 2)) * [image.shape[1], image.shape[0]]
    logits, iou = reference_masks(sam_folder, image, points)
    sam = load_sam(str(sam_folder), device="cpu")
    found = sam.at_points(sam.embed(image), points)
    best = iou.argmax(1)
    np.testing.assert_allclose(found.scores, iou.max(1).values.numpy(), atol=1e-5)
    wanted = logits[torch.arange(5), best]
    clear = wanted.abs().numpy() > 1e-4
    assert found.masks.shape == (5, *image.shape[:2])
    assert 0 < wanted.gt(0).float().mean() < 1
    np.testing.assert_array_equal(found.masks[clear], wanted.numpy()[clear] > 0)


def test_at_points__no_prompt_no_mask(sam_folder: Path, images: list) -> None:
    sam = load_sam(str(sam_folder), device="cpu")
    found = sam.at_points(sam.embed(images[0]), np.zeros((0, 5, 2)))
    assert found.masks.shape == (0, 40, 60)
    assert found.scores.shape == (0,)


@torch.no_grad()
def reference_automatic(folder: Path, image: ImageArray, config: AutomaticConfig) -> list[tuple[float, np.ndarray]]:
    """The steps of transformers' mask-generation pipeline, with a plain non-maximum suppression at its end."""
    model, processor = reference(folder)
    boxes, grid, crops, labels = processor.generate_crop_boxes(
        Image.fromarray(image), 32, points_per_crop=config.points_per_side
    )
    inputs = processor(crops, return_tensors="pt")
    output = model(
        image_embeddings=model.get_image_embeddings(inputs["pixel_values"]),
        input_points=grid.float(),
        input_labels=labels,
    )
    logits = processor.post_process_masks(
        output.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"], binarize=False
    )
    codes, scores, found = processor.filter_masks(
        logits[0], output.iou_scores[0], image.shape[:2], boxes[0], config.pred_iou_thresh,
        config.stability_score_thresh, 0, OFFSET,
    )  # fmt: skip
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda one: -float(scores[one])):
        if all(box_iou(found[i].tolist(), found[j].tolist()) <= config.box_nms_thresh for j in kept):
            kept.append(i)
    return [(float(scores[i]), decode(codes[i])) for i in kept]


def decode(code: dict) -> np.ndarray:
    height, width = code["size"]
    values = np.repeat(np.arange(len(code["counts"])) % 2 == 1, code["counts"])
    return values.reshape(width, height).T


def box_iou(a: list[float], b: list[float]) -> float:
    common = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union if union else 0.0


@pytest.mark.parametrize("number", [0, 1])
def test_automatic__masks_of_the_mask_generation_pipeline(
    sam_folder: Path, images: list, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STABILITY_OFFSET", OFFSET)
    monkeypatch.setattr(module, "POINTS_AT_ONCE", 10)
    config = AutomaticConfig(
        points_per_side=6, pred_iou_thresh=0.02, stability_score_thresh=0.8, box_nms_thresh=0.999,
    )  # fmt: skip
    wanted = reference_automatic(sam_folder, images[number], config)
    sam = load_sam(str(sam_folder), device="cpu")
    found = sam.automatic(sam.embed(images[number]), config)
    assert len(wanted) >= 2
    np.testing.assert_allclose(found.scores, [score for score, _ in wanted], atol=1e-5)
    differing = (found.masks != np.stack([mask for _, mask in wanted])).mean()
    assert differing < 1e-4


@pytest.mark.parametrize("filters", [{"pred_iou_thresh": 1e9}, {"pred_iou_thresh": -9, "stability_score_thresh": 2.0}])
def test_automatic__nothing_passes_a_filter(sam_folder: Path, images: list, filters: dict) -> None:
    sam = load_sam(str(sam_folder), device="cpu")
    found = sam.automatic(sam.embed(images[0]), AutomaticConfig(points_per_side=3, **filters))
    assert found.masks.shape == (0, 40, 60)


@torch.no_grad()
def test_sam2__masks_and_scores_of_its_own_class(sam2_folder: Path, images: list) -> None:
    image = images[0]
    points = np.array([[[10.0, 20.0]], [[50.0, 5.0]]])
    with quiet():
        model = Sam2Model.from_pretrained(sam2_folder).eval()
    small = np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR), np.float32) / 255
    x = torch.from_numpy((small - COLOURS["image_mean"]) / COLOURS["image_std"]).permute(2, 0, 1)[None].float()
    scaled = torch.tensor(points * [64 / 60, 64 / 40], dtype=torch.float32)[None]
    output = model(pixel_values=x, input_points=scaled, input_labels=torch.ones(1, 2, 1, dtype=torch.long))
    fine = torch.nn.functional.interpolate(output.pred_masks[0], (40, 60), mode="bilinear")
    sam = load_sam(str(sam2_folder), device="cpu")
    found = sam.at_points(sam.embed(image), points)
    iou = output.iou_scores[0]
    np.testing.assert_allclose(found.scores, iou.max(1).values.numpy(), atol=1e-5)
    wanted = fine[torch.arange(2), iou.argmax(1)].numpy()
    clear = np.abs(wanted) > 1e-4
    np.testing.assert_array_equal(found.masks[clear], wanted[clear] > 0)
    assert len(
        sam.automatic(
            sam.embed(image), AutomaticConfig(points_per_side=3, pred_iou_thresh=-9, stability_score_thresh=0.01)
        ).masks
    )


def test_point_grid__centres_of_cells_row_by_row() -> None:
    np.testing.assert_allclose(point_grid(2), [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])


def test_stability__iou_of_a_stricter_and_a_laxer_mask() -> None:
    logits = torch.tensor([[[2.0, 0.5], [-0.5, -2.0]], [[-9.0, -9.0], [-9.0, -9.0]]])
    scores = stability_scores(logits, offset=1.0)
    assert scores[0] == pytest.approx(1 / 3)
    assert torch.isnan(scores[1])


def test_boxes__covered_columns_and_rows_and_zeros_for_an_empty_mask() -> None:
    masks = np.zeros((2, 5, 7), bool)
    masks[0, 1:4, 2:7] = True
    np.testing.assert_array_equal(boxes_of(masks), [[2, 1, 6, 3], [0, 0, 0, 0]])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), overlap=st.floats(0.1, 0.9))
def test_suppress_boxes__as_a_plain_loop_does(seed: int, overlap: float) -> None:
    random = np.random.default_rng(seed)
    low = random.integers(0, 20, (12, 2))
    boxes = np.concatenate([low, low + random.integers(0, 15, (12, 2))], axis=1)
    scores = random.permutation(12).astype(np.float32)
    kept: list[int] = []
    for i in np.argsort(-scores):
        if all(box_iou(boxes[i].tolist(), boxes[j].tolist()) <= overlap for j in kept):
            kept.append(int(i))
    assert suppress_boxes(boxes, scores, overlap=overlap).tolist() == kept


def test_config__an_empty_grid_is_refused() -> None:
    with pytest.raises(ConfigError, match="points_per_side"):
        check(AutomaticConfig(points_per_side=0))


def test_load__another_model_type_is_refused(tiny: Callable[[str], Path]) -> None:
    with pytest.raises(WeightsError, match="sam or sam2"):
        load_sam(str(tiny("vit")), device="cpu")


def test_load__canvas_that_is_no_square_of_the_longer_side(sam_folder: Path, tmp_path: Path) -> None:
    for file in sam_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pad_size": {"height": 48, "width": 32}}))
    with pytest.raises(WeightsError, match="square"):
        load_sam(str(tmp_path), device="cpu")


def test_card__masks_had_a_part_in_it(sam_folder: Path) -> None:
    assert load_sam(str(sam_folder), device="cpu").card.tier == "M"
