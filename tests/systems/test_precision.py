"""Frozen encoders in 8 bits: every stage that sees images with them computes so, near to float32, and says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import namesake
from namesake.encoders.int8 import why_not_int8
from namesake.index import open_index, read_embeddings
from namesake.masks import rle
from namesake.masks.store import open_masks, read_masks
from namesake.workspace import read_manifest
from namesake.world import write_world

pytestmark = [pytest.mark.skipif(bool(why_not_int8()), reason=why_not_int8()), pytest.mark.slow]

CASES = {
    "namedmask, saliency": ("namedmask", ("archives.images_per_name=5",), "masks/saliency"),
    "namedmask, votes": (
        "namedmask",
        ("archives.images_per_name=5", "voting.encoders=embedded:dino", "voting.block=2"),
        "masks/voted",
    ),
    "namedmask, guided": ("namedmask", ("archives.images_per_name=5", "guide.clip=embedded:clip"), "masks/guided"),
    "namedmask, stuff": ("namedmask", ("archives.images_per_name=5", "stuff.names=tree"), "masks/stuff"),
    "fmbseg": ("fmbseg", (), "masks/regions/automatic"),
    "selfmask": ("selfmask", (), "masks/voted"),
}
"""System, its options, and the folder of masks that come of its encoders."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world("unlabelled", folder, count=12, seed=5)
    return folder / "images"


def made(system: str, config: tuple[str, ...], images: Path, out: Path, precision: str) -> Path:
    namesake.run(
        system,
        names=None if system == "selfmask" else "car, tree, mug",
        images=images,
        out=out / precision,
        preset="mini",
        config=(*config, f"encoder_precision={precision}"),
        until="masks",
        device="cpu",
    )
    return out / precision


def masks_in(folder: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for each in read_masks(open_masks(folder)):
        found.setdefault(each.image_id, []).append(rle.decode(each.rle, each.height, each.width))
    return found


@pytest.mark.parametrize("case", CASES)
def test_masks_are_near_and_their_stage_is_another(case: str, images: Path, tmp_path: Path) -> None:
    system, config, masks = CASES[case]
    exact, eight = (made(system, config, images, tmp_path, precision) for precision in ("no", "int8"))
    stage = masks.removesuffix("/automatic")
    told = [(read_manifest(folder / stage) or {})["config"].get("precision") for folder in (exact, eight)]
    assert told == [None, "int8"]  # runs of before, which knew no such option, are gone on with
    before, after = masks_in(exact / masks), masks_in(eight / masks)
    # the best counterpart of each mask: another number of them is no other result
    best = [
        max((one & other).sum() / max(1, (one | other).sum()) for other in after[image_id])
        for image_id, several in before.items()
        for one in several
        if image_id in after
    ]
    assert before.keys() & after.keys()
    assert 0.8 < np.mean(best) < 1


def test_index_is_near(images: Path, tmp_path: Path) -> None:
    folders = [
        made("namedmask", ("archives.images_per_name=5",), images, tmp_path, precision) for precision in ("no", "int8")
    ]
    exact, eight = (read_embeddings(open_index(folder / "index"), range(12)).astype(np.float32) for folder in folders)
    cosines = (exact * eight).sum(axis=1)
    assert 0.98 < cosines.min() < 0.99999
