import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BitImageProcessorPil, CLIPImageProcessorPil, SiglipImageProcessorPil, ViTImageProcessorPil

from namesake.encoders.preprocess import Preprocessing, centre_crop, read_preprocessing
from namesake.errors import ImagesError, WeightsError
from namesake.images.geometry import resize_shorter_side
from namesake.shapes import ImageArray

ODD = {
    "size": {"height": 20, "width": 30},
    "crop_size": {"height": 26, "width": 17},
    "do_center_crop": True,
    "resample": 0,
    "rescale_factor": 1 / 128,
    "image_mean": [0.9, 0.1, 0.2],
    "image_std": [0.7, 0.11, 3.0],
}


@pytest.mark.parametrize(
    ("processor", "entries"),
    [
        (CLIPImageProcessorPil, {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}),
        (CLIPImageProcessorPil, {"size": {"shortest_edge": 31}, "crop_size": {"height": 28, "width": 25}}),
        (CLIPImageProcessorPil, ODD),
        (CLIPImageProcessorPil, {"do_resize": False}),
        (CLIPImageProcessorPil, {"do_normalize": False, "size": {"shortest_edge": 30}}),
        (CLIPImageProcessorPil, {"do_rescale": False, "image_mean": [9.0, 8.0, 7.0], "resample": 2}),
        (BitImageProcessorPil, {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}),
        (ViTImageProcessorPil, {"size": {"height": 24, "width": 24}}),
        (SiglipImageProcessorPil, {"size": {"height": 24, "width": 40}}),
    ],
)
def test_same_input_as_transformers_own_processor(
    processor: Any, entries: dict[str, Any], images: list[ImageArray], tmp_path: Path
) -> None:
    reference = processor(**entries)
    reference.save_pretrained(tmp_path)
    wanted = torch.cat([reference(images=[image], return_tensors="pt")["pixel_values"] for image in images])
    found = read_preprocessing(tmp_path).apply(images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted.float(), atol=1e-5, rtol=0)


def test_folder_with_odd_values_uses_its_own(images: list[ImageArray], tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(ODD))
    rule = read_preprocessing(tmp_path)
    assert (rule.mean, rule.std, rule.size, rule.crop) == ((0.9, 0.1, 0.2), (0.7, 0.11, 3.0), (20, 30), (26, 17))
    assert (rule.method, rule.rescale_factor, rule.shorter_side) == ("nearest", 1 / 128, None)
    assert not torch.allclose(rule.apply(images[:1]).mean(), torch.zeros(()), atol=0.1)


@pytest.mark.parametrize(
    ("kind", "shorter_side", "size"),
    [("CLIPFeatureExtractor", 24, None), ("ViTFeatureExtractor", None, (24, 24))],
)
def test_bare_size_of_old_files__shorter_side_or_square(
    kind: str, shorter_side: int | None, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    entries = {"feature_extractor_type": kind, "size": 24, "crop_size": 20, "image_mean": [0, 0, 0]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(entries | {"image_std": [1, 1, 1]}))
    rule = read_preprocessing(tmp_path)
    assert (rule.shorter_side, rule.size) == (shorter_side, size)
    assert rule.crop == ((20, 20) if shorter_side else None)
    assert rule.method == ("bicubic" if shorter_side else "bilinear")


def test_nested_processor_config_goes_before_the_old_file(tmp_path: Path) -> None:
    entries = {"size": {"height": 8, "width": 8}, "image_mean": [0.1] * 3, "image_std": [1.0] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(entries | {"image_mean": [0.7] * 3}))
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": entries}))
    assert read_preprocessing(tmp_path).mean == (0.1, 0.1, 0.1)
    (tmp_path / "processor_config.json").write_text(json.dumps({"processor_class": "CLIPProcessor"}))
    assert read_preprocessing(tmp_path).mean == (0.7, 0.7, 0.7)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_mean": None}, "TypeError"),
        ({"image_mean": [0.5, 0.5]}, "ValueError"),
        ({"resample": 1}, "resample 1"),
        ({"size": {"longest_edge": 9}}, "expected shortest_edge, or height and width"),
        ({"crop_pct": 0.9}, "crop_pct"),
        ({"do_pad": True}, "do_pad"),
    ],
)
def test_unusable_entries(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(ODD | change))
    with pytest.raises(WeightsError, match=said):
        read_preprocessing(tmp_path)


@pytest.mark.parametrize("name", ["image_mean", "image_std", "size"])
def test_absent_entry_is_not_guessed(name: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({key: ODD[key] for key in ODD if key != name}))
    with pytest.raises(WeightsError, match=name):
        read_preprocessing(tmp_path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no preprocessor_config\.json"):
        read_preprocessing(tmp_path)


def test_normalise_by_hand() -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    rule = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))
    wanted = (image / 255 - np.array([0.1, 0.2, 0.3])) / np.array([0.5, 0.25, 2.0])
    np.testing.assert_allclose(rule.normalise([image])[0].permute(1, 2, 0).numpy(), wanted, atol=1e-6)


def test_normalise__sizes_differ(images: list[ImageArray]) -> None:
    rule = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    with pytest.raises(ImagesError, match=r"\(40, 60\), \(61, 33\)"):
        rule.normalise(images[:2])
    with pytest.raises(ImagesError, match="no image"):
        rule.normalise([])


def test_images_are_not_changed(images: list[ImageArray]) -> None:
    before = [image.copy() for image in images]
    Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), size=(8, 8), crop=(4, 4)).apply(images)
    for image, copy in zip(images, before, strict=True):
        np.testing.assert_array_equal(image, copy)


def test_centre_crop__larger_than_the_image_pads_black() -> None:
    image = np.full((2, 3, 3), 7, dtype=np.uint8)
    cut = centre_crop(image, height=4, width=3)
    np.testing.assert_array_equal(cut[:, 0, 0], [0, 7, 7, 0])


@pytest.mark.parametrize("size", [(1, 65_000), (65_000, 1), (20, 20_000), (2, 2), (9, 450)])
def test_crop__long_images_are_cut_first(size: tuple[int, int]):
    """Of 1 x 65000 pixels at a shorter side of 224, the whole would be 10 GB."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    way = Preprocessing(mean=(0, 0, 0), std=(1, 1, 1), shorter_side=224, crop=(224, 224), method="bicubic")
    found = way.shape(image)
    assert found.shape == (224, 224, 3)
    if size == (9, 450):
        whole = resize_shorter_side(image, side=224, method="bicubic")
        assert np.abs(centre_crop(whole, height=224, width=224).astype(int) - found).max() <= 1
