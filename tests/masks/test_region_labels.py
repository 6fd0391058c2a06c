import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.encoders import AutomaticConfig
from namesake.errors import DataError, ImagesError
from namesake.images import open_images, read_image
from namesake.masks import region_labels, rle
from namesake.masks.present_words import present_words
from namesake.masks.region_labels import (
    KINDS,
    label_regions,
    name_regions,
    open_region_labels,
    read_shown,
)
from namesake.masks.regions import RegionsConfig, load_region_namer
from namesake.masks.store import read_masks, read_skipped
from namesake.records import Images, Names
from namesake.workspace import Workspace

NAMES = Names(("cat", "dog"), synonyms=((), ("red dog",)), background=("park", "bench"))


@pytest.fixture
def config(tiny_clip: Path, tiny_sam: Path, monkeypatch: pytest.MonkeyPatch) -> RegionsConfig:
    monkeypatch.setattr(region_labels, "SHARD_SIZE", 3)
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


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


def test_labels__masks_of_both_kinds_with_words_that_are_there(
    pictures: Images, config: RegionsConfig, tmp_path: Path
) -> None:
    made = label_regions(tmp_path / "out", pictures, NAMES, config=config, device="cpu")
    assert made.words == ("park", "bench", "cat", "dog", "red dog")
    assert made.labels == (0, 0, 1, 2, 2)
    assert made.counts["images"] == 10
    assert made.counts["unreadable"] == 1
    assert {card.tier for card in made.models} == {"S", "M"}
    namer = load_region_namer(made.words, config, device="cpu")
    for image_id in ("0.png", "5.png"):
        image = read_image(pictures.path(image_id))
        *both, count = name_regions(namer, image)
        view = namer.look(image)
        present = present_words(view.features.tokens, namer.texts, min_votes=1)
        assert count == len(present) > 0
        for kind, regions in zip(KINDS, both, strict=True):
            rows = [row for row in read_masks(made.masks(kind)) if row.image_id == image_id]
            assert [row.label - 1 for row in rows] == regions.words.tolist()
            assert set(regions.words) <= set(present.tolist())
            for row, mask in zip(rows, regions.masks, strict=True):
                np.testing.assert_array_equal(rle.decode(row.rle, row.height, row.width), mask)
            assert max(regions.masks.shape[1:]) <= 48


def test_regions__each_network_sees_an_image_once(pictures: Images, config: RegionsConfig) -> None:
    """Both stages, every point and every mask come from one embedding of SAM and one of CLIP."""
    namer, seen = load_region_namer(("park", "cat", "dog"), config, device="cpu"), []
    namer.source.look.args[0].model.vision_encoder.register_forward_hook(lambda *_: seen.append("sam"))
    namer.clip.model.vision_model.embeddings.register_forward_hook(lambda *_: seen.append("clip"))
    *both, _ = name_regions(namer, read_image(pictures.path("1.png")))
    assert all(len(regions.masks) for regions in both)
    assert sorted(seen) == ["clip", "sam"]


def test_labels__automatic_masks_get_the_nearest_word_that_is_there(pictures: Images, config: RegionsConfig) -> None:
    namer = load_region_namer(("park", "cat", "dog"), config, device="cpu")
    view = namer.look(read_image(pictures.path("1.png")))
    present = torch.tensor([0, 2])
    regions = view.automatic(present)
    rows, columns = view.features.patches.shape[:2]
    assert len(regions.masks)
    for mask, word in zip(regions.masks, regions.words, strict=True):
        fine = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(mask).float()[None], (rows, columns))[0]
        mean = (fine[..., None] * view.features.patches).sum((0, 1))
        assert word == present[int((namer.texts[present] @ mean).argmax())]


def test_labels__killed_and_restarted_ends_with_the_same_bytes(
    pictures: Images, config: RegionsConfig, tmp_path: Path
) -> None:
    options = {"config": config, "device": "cpu"}
    whole = label_regions(tmp_path / "whole", pictures, NAMES, **options)
    label_regions(tmp_path / "cut", pictures, NAMES, **options)
    for kind, kept in ((KINDS[0], 2), (KINDS[1], 1)):  # the one kind was a shard ahead of the other
        for path in sorted((tmp_path / "cut" / kind).glob("*.parquet"))[kept:]:
            path.unlink()
    label_regions(tmp_path / "cut", pictures, NAMES, **options)
    assert contents(tmp_path / "cut") == contents(whole.folder)


def test_labels__no_name_is_there(pictures: Images, config: RegionsConfig, tmp_path: Path) -> None:
    made = label_regions(tmp_path / "out", pictures, NAMES, config=replace(config, min_votes=100), device="cpu")
    assert made.counts == {"images": 10, "prompted": 0, "automatic": 0, "without_a_name": 9, "without_a_mask": 0,
                           "unreadable": 1}  # fmt: skip
    assert ("0.png", "no word is there") in read_skipped(made.folder / "prompted")
    assert list(read_masks(made.masks("automatic"))) == []


def test_labels__no_mask_comes_back(pictures: Images, config: RegionsConfig, tmp_path: Path) -> None:
    strict = replace(config, automatic=AutomaticConfig(points_per_side=2, pred_iou_thresh=1e9))
    made = label_regions(tmp_path / "out", pictures, NAMES, config=strict, device="cpu")
    assert made.counts["without_a_mask"] == 9
    assert made.counts["automatic"] == 0 < made.counts["prompted"]


def test_labels__names_that_images_are_known_to_show(pictures: Images, config: RegionsConfig, tmp_path: Path) -> None:
    shown = {"0.png": ("cat",), "1.png": ("dog", "cat")}
    made = label_regions(tmp_path / "out", pictures, NAMES, config=config, shown=shown, device="cpu")
    by_image: dict[str, set[int]] = {}
    for kind in KINDS:
        for row in read_masks(made.masks(kind)):
            by_image.setdefault(row.image_id, set()).add(made.labels[row.label - 1])
    assert by_image["0.png"] == {1}
    assert by_image["1.png"] <= {1, 2}
    assert set(by_image) == {"0.png", "1.png"}


def test_labels__a_name_that_images_show_but_nobody_asked_for(
    pictures: Images, config: RegionsConfig, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="zebra"):
        label_regions(tmp_path, pictures, NAMES, config=config, shown={"0.png": ("zebra",)}, device="cpu")


def test_labels__not_one_image_can_be_read(config: RegionsConfig, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"no image")
    with pytest.raises(ImagesError, match="none of the 1 images"):
        label_regions(tmp_path / "out", open_images(tmp_path / "images"), NAMES, config=config, device="cpu")


def test_labels__more_names_than_patches(config: RegionsConfig, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (30, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "images" / "a.png")
    many = Names(tuple(f"cat {number}" for number in range(80)))
    shown = {"a.png": many.names}
    images = open_images(tmp_path / "images")
    made = label_regions(tmp_path / "out", images, many, config=config, shown=shown, device="cpu")
    assert 0 < made.counts["prompted"] <= 80


def test_labels__a_finished_stage_is_opened_again(pictures: Images, config: RegionsConfig, tmp_path: Path) -> None:
    with Workspace(tmp_path / "run") as workspace:
        made = workspace.step(label_regions, pictures, NAMES, config=config, device="cpu")
    with Workspace(tmp_path / "run") as workspace:
        again = workspace.step(label_regions, pictures, NAMES, config=config, device="cpu")
        assert workspace.stages[0]["reused"]
    assert (again.words, again.labels, again.counts, again.clip) == (made.words, made.labels, made.counts, made.clip)


def test_open__nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no named masks"):
        open_region_labels(tmp_path)


def test_shown__read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "shown.json").write_text(json.dumps({"a.jpg": ["cat", "sofa"]}))
    assert read_shown(tmp_path / "shown.json") == {"a.jpg": ("cat", "sofa")}


@pytest.mark.parametrize("content", ["[1]", '{"a": "cat"}', "{"])
def test_shown__not_a_table_of_lists(tmp_path: Path, content: str) -> None:
    (tmp_path / "shown.json").write_text(content)
    with pytest.raises(DataError, match="JSON table"):
        read_shown(tmp_path / "shown.json")
