"""Pseudo-masks against truth: sums over a name's images, wrong labels count, unknown names and images are refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.errors import DataError
from namesake.evaluation.benchmarks import open_benchmark
from namesake.evaluation.pseudo_masks import Fit, mask_fit_by_company, mask_iou_per_name
from namesake.masks import rle
from namesake.masks.store import MaskWriter, open_masks
from namesake.records import Names, PseudoMask


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "names.json").write_text('{"0": "background", "3": "dog", "5": "cat"}')
    truth = np.zeros((8, 8), dtype=np.uint8)
    truth[:4] = 3
    for stem, value in (("a", truth), ("b", truth), ("c", np.where(truth, 0, 5).astype(np.uint8))):
        Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(tmp_path / "images" / f"{stem}.png")
        Image.fromarray(value).save(tmp_path / "masks" / f"{stem}.png")
    return tmp_path


def write(folder: Path, rows: dict[str, tuple[int, slice]]):
    with MaskWriter(folder) as writer:
        for image_id, (label, where) in rows.items():
            mask = np.zeros((8, 8), dtype=bool)
            mask[where] = True
            writer.write(PseudoMask(image_id, label, 1.0, 8, 8, rle.encode(mask)))
    return open_masks(folder)


def test_mask_iou__sums_over_the_images_of_a_name(root: Path, tmp_path: Path) -> None:
    masks = write(tmp_path / "made", {"a.png": (1, slice(0, 2)), "b.png": (1, slice(0, 8)), "c.png": (2, slice(4, 8))})
    found = mask_iou_per_name(masks, Names(("dog", "cat")), open_benchmark("folder", root))
    assert found == {"dog": pytest.approx(100 * (16 + 32) / (32 + 64)), "cat": 100}


def test_mask_iou__a_wrong_label_counts_against_the_name(root: Path, tmp_path: Path) -> None:
    masks = write(tmp_path / "made", {"a.png": (1, slice(0, 4)), "c.png": (1, slice(4, 8))})
    found = mask_iou_per_name(masks, Names(("dog", "cat")), open_benchmark("folder", root))
    assert found == {"dog": 50}


def test_mask_iou__unknown_name_or_image(root: Path, tmp_path: Path) -> None:
    benchmark = open_benchmark("folder", root)
    with pytest.raises(DataError, match="bird"):
        mask_iou_per_name(write(tmp_path / "one", {"a.png": (1, slice(4))}), Names(("bird",)), benchmark)
    with pytest.raises(DataError, match=r"z\.png"):
        mask_iou_per_name(write(tmp_path / "two", {"z.png": (1, slice(4))}), Names(("dog",)), benchmark)


def test_mask_fit__alone_and_in_company(root: Path, tmp_path: Path) -> None:
    both = np.zeros((8, 8), dtype=np.uint8)
    both[:4], both[4:6] = 3, 5
    Image.fromarray(both).save(root / "masks" / "b.png")
    masks = write(tmp_path / "made", {"a.png": (1, slice(0, 2)), "b.png": (1, slice(2, 6))})
    found = mask_fit_by_company(masks, Names(("dog", "cat")), open_benchmark("folder", root))
    assert found == {"alone": Fit(1, 50.0, 0.0), "in company": Fit(1, pytest.approx(100 / 3), 50.0)}


def test_mask_fit__nothing_in_company(root: Path, tmp_path: Path) -> None:
    masks = write(tmp_path / "made", {"a.png": (1, slice(0, 4))})
    company = mask_fit_by_company(masks, Names(("dog", "cat")), open_benchmark("folder", root))["in company"]
    assert company.images == 0
    assert np.isnan(company.iou)
    assert company.others == 0
