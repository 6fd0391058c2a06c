from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from namesake.encoders import AutomaticConfig
from namesake.encoders.patches import load_patch_encoder
from namesake.errors import WeightsError
from namesake.images.geometry import resize, resize_labels, resize_longer_side
from namesake.masks.proposals import load_masks_from
from namesake.names.prompts import TEMPLATES
from namesake.networks.alignment import Alignment, AlignmentConfig
from namesake.records import Names
from namesake.segmenter import CarefulConfig, Segmenter, Settings, load_segmenter
from namesake.segmenter.aligned import KIND, Aligned, AlignedInference, architecture_of, majority_label
from namesake.segmenter.classify import decide
from namesake.segmenter.words import TextSide

PETS = Names(("cat", "dog"), synonyms=((), ("red dog",)), background=("park", "bench"))
GRID = AutomaticConfig(points_per_side=3, pred_iou_thresh=-9, stability_score_thresh=0.01, box_nms_thresh=0.999)


def build(encoder: Path, clip: Path, *, refine: str = "") -> Segmenter:
    torch.manual_seed(0)
    loaded = load_patch_encoder(str(encoder), device="cpu")
    module = Alignment(AlignmentConfig(dim=loaded.dim, joint=10)).requires_grad_(False)
    texts = TextSide(str(clip), prompts="photo", joint=10, device="cpu")
    inference = AlignedInference(image_size=48, refine_with=refine, automatic=GRID, logit_scale=5.0)
    source = load_masks_from(refine, GRID, device="cpu") if refine else None
    predictor = Aligned(loaded, module, PETS, texts=texts, inference=inference, source=source)
    facts = architecture_of(predictor, encoder=str(encoder), clip=str(clip), prompts="photo")
    return Segmenter(predictor, Settings(KIND, PETS, architecture=facts, preprocessing=None, models=(loaded.card,)))


@pytest.fixture
def base(tiny_dino: Path, tiny_clip: Path) -> Segmenter:
    return build(tiny_dino, tiny_clip)


@pytest.fixture
def refined(tiny_dino: Path, tiny_clip: Path, tiny_sam: Path) -> Segmenter:
    return build(tiny_dino, tiny_clip, refine=str(tiny_sam))


@pytest.fixture
def image() -> np.ndarray:
    coarse = np.random.default_rng(3).integers(0, 256, (5, 7, 3))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)


def test_base__nearest_word_of_interpolated_similarities(base: Segmenter, image: np.ndarray) -> None:
    found = base.segment(image)
    predictor = base.predictor
    cosines = predictor.features([image])[0] @ predictor.texts.T
    fine = interpolate(cosines.permute(2, 0, 1)[None], size=(40, 56), mode="bilinear")[0]
    owner = np.array([0, 0, 1, 2, 2])
    margin = fine.topk(2, dim=0).values.diff(dim=0)[0].abs().numpy() > 1e-5
    np.testing.assert_array_equal(found.labels[margin], owner[fine.argmax(0).numpy()][margin])
    probability = (5 * fine).softmax(0).numpy()
    wanted = np.stack([probability[owner == label].sum(0) for label in range(3)])
    np.testing.assert_allclose(found.confidence, wanted[found.labels, *np.indices((40, 56))], atol=1e-5)


def test_refined__masks_take_the_label_of_most_of_their_patches_over_the_base(
    base: Segmenter, refined: Segmenter, image: np.ndarray
) -> None:
    plain, smooth = base.segment(image).labels, refined.segment(image).labels
    assert plain.shape == smooth.shape == image.shape[:2]
    predictor = refined.predictor
    shrunk = resize_longer_side(image, side=48)
    masks = predictor.source.look(shrunk).all()
    owner = torch.tensor([0, 0, 1, 2, 2])
    patches = owner[(predictor.features([image])[0] @ predictor.texts.T).argmax(-1)]
    labels, _ = majority_label(masks.masks, patches)
    covered = resize_labels(masks.masks.any(0), height=40, width=56)
    assert len(masks.masks)
    np.testing.assert_array_equal(smooth[~covered], plain[~covered])
    assert set(np.unique(smooth[covered])) <= set(labels.tolist())


def test_refined__no_mask_leaves_the_base(
    base: Segmenter, refined: Segmenter, tiny_sam: Path, image: np.ndarray
) -> None:
    refined.predictor.source = load_masks_from(str(tiny_sam), replace(GRID, pred_iou_thresh=1e9), device="cpu")
    np.testing.assert_array_equal(refined.segment(image).labels, base.segment(image).labels)


def test_vote__label_of_most_of_the_covered_area() -> None:
    labels = torch.tensor([[0, 1], [2, 1]])
    masks = np.zeros((4, 4, 4), bool)
    masks[0, :, 1:] = True  # a half of the left patches, all of the right ones
    masks[1, :2, :2] = True
    masks[2, 3, 0] = True
    found, share = majority_label(masks[:3], labels)
    assert found.tolist() == [1, 0, 2]
    np.testing.assert_allclose(share, [2 / 3, 1, 1], atol=1e-6)
    assert majority_label(masks[:0], labels)[0].tolist() == []


def test_names__others_at_any_time(base: Segmenter, image: np.ndarray) -> None:
    other = base.with_names("red, dog")
    assert set(np.unique(other.segment(image).labels)) <= {0, 1, 2}
    words = ("background", "red", "dog")
    assert other.predictor.words.words == words
    own = base.predictor.words
    torch.testing.assert_close(other.predictor.texts[2], own.texts[own.words.index("dog")])


def test_names__one_alone_against_background(base: Segmenter, image: np.ndarray) -> None:
    assert set(np.unique(base.with_names("dog").segment(image).labels)) <= {0, 1}


@pytest.mark.parametrize("which", ["base", "refined"])
def test_saved__opens_to_the_same_answers(which: str, request, image: np.ndarray, tmp_path: Path) -> None:
    segmenter = request.getfixturevalue(which)
    segmenter.save(tmp_path)
    again = load_segmenter(tmp_path, device="cpu")
    assert again.kind == KIND
    first, second = segmenter.segment(image), again.segment(image)
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_allclose(first.confidence, second.confidence, atol=1e-6)


def test_open__weights_of_other_names(base: Segmenter, tmp_path: Path) -> None:
    base.save(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"bench"', '"bench", "sky"'))
    with pytest.raises(WeightsError, match="different"):
        load_segmenter(tmp_path, device="cpu")


def test_open__no_aligned_encoder_described(base: Segmenter, tmp_path: Path) -> None:
    base.save(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"alignment"', '"alinement"'))
    with pytest.raises(WeightsError, match="describes no aligned encoder"):
        load_segmenter(tmp_path, device="cpu")


def test_any_encoder__clip_as_well(tiny_clip: Path, image: np.ndarray) -> None:
    assert build(tiny_clip, tiny_clip).segment(image).labels.shape == (40, 56)


def test_templates__are_the_85_where_asked_for(tiny_clip: Path) -> None:
    single = TextSide(str(tiny_clip), prompts="photo", joint=10, device="cpu")
    many = TextSide(str(tiny_clip), prompts="templates", joint=10, device="cpu")
    assert len(TEMPLATES) == 85
    assert not torch.allclose(single.texts_of(["dog"]), many.texts_of(["dog"]))


@pytest.fixture
def local(base: Segmenter) -> Segmenter:
    """Every feature depends on its own patch alone: no attention, no positions."""
    with torch.no_grad():
        for name, weight in (
            *base.predictor.encoder.vit.named_parameters(),
            *base.predictor.alignment.named_parameters(),
        ):
            if "position" in name or "attention.output" in name or "o_proj" in name or "mixed" in name:
                weight.zero_()
    return base


def test_tiles__equal_the_whole_where_features_are_local(local: Segmenter) -> None:
    image = np.random.default_rng(5).integers(0, 256, (120, 170, 3), dtype=np.uint8)
    tiled = Segmenter(local.predictor, local.settings, tile=48).segment(image)
    predictor = local.predictor
    with torch.inference_mode():
        fitted = resize(image, height=8 * 15, width=8 * 21)
        raw = predictor.encoder.patch_features(predictor.encoder.preprocessing.normalise([fitted]))
        features = predictor.alignment(raw.flatten(1, 2)).reshape(15, 21, -1)
        whole = predictor.read(image, 5 * (features @ predictor.texts.T).permute(2, 0, 1), height=120, width=170)
    np.testing.assert_allclose(tiled.confidence, whole.confidence, atol=1e-4)
    assert (tiled.labels == whole.labels).mean() > 0.9999
    assert len(np.unique(tiled.labels)) > 1


def test_tiles__refined_too_and_small_images_as_ever(refined: Segmenter, image: np.ndarray) -> None:
    tiling = Segmenter(refined.predictor, refined.settings, tile=32)
    found = tiling.segment(np.kron(image, np.ones((3, 2, 1), dtype=np.uint8)))
    assert found.labels.shape == found.confidence.shape == (120, 112)
    small = np.ascontiguousarray(image[:32, :32])
    np.testing.assert_array_equal(tiling.segment(small).labels, refined.segment(small).labels)


def test_read_carefully__seen_larger_then_refined(refined: Segmenter, image: np.ndarray, tiny_clip: Path) -> None:
    assert refined.predictor.logits([image], scale=4 / 3).shape[2:] == (8, 8)  # 64 pixels of 8
    config = CarefulConfig(clip=str(tiny_clip), scales=(4 / 3,), flip=False)
    reader = refined.read_carefully(config)
    found = reader.segment(image)
    said = reader.careful.log_probabilities(refined.predictor, [image])[0]
    plain = decide(said, height=40, width=56)
    (expected,) = refined.predictor.complete([image], [plain])
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert not np.allclose(found.confidence, plain.confidence)  # the share of a mask's pixels, where there is one
