from pathlib import Path

import numpy as np
import pytest

from namesake.archives import unique_images
from namesake.errors import ConfigError
from namesake.images import read_image
from namesake.masks import rle, store
from namesake.masks.regions import RegionsConfig
from namesake.masks.store import MaskWriter, lookup
from namesake.masks.stuff import StuffConfig, check_stuff, redraw_stuff, stuff_among
from namesake.records import Archives, Names, PseudoMask, PseudoMasks


@pytest.fixture
def masks(archives: Archives, tmp_path: Path) -> PseudoMasks:
    """A corner of every image that can be read."""
    with MaskWriter(tmp_path / "before") as writer:
        for image_id, label in unique_images(archives).items():
            if image_id == "broken.png":
                writer.skip(image_id, "broken")
                continue
            height, width = read_image(archives.images.path(image_id)).shape[:2]
            corner = np.zeros((height, width), bool)
            corner[:5, :5] = True
            writer.write(PseudoMask(image_id, label, 0.5, height, width, rle.encode(corner)))
    return PseudoMasks(tmp_path / "before")


@pytest.fixture
def config(tiny_clip: Path, tiny_sam: Path, monkeypatch: pytest.MonkeyPatch) -> StuffConfig:
    monkeypatch.setattr(store, "SHARD_SIZE", 4)
    regions = RegionsConfig(
        clip=str(tiny_clip), mask_model=str(tiny_sam), image_size=64, min_votes=1, resize_longer=48, points_per_word=2
    )
    return StuffConfig(names=("other",), regions=regions)


def test_stuff__new_masks_for_its_images_and_the_old_ones_for_things(
    masks: PseudoMasks, archives: Archives, config: StuffConfig, tmp_path: Path
) -> None:
    made = redraw_stuff(tmp_path / "out", masks, archives, config=config, device="cpu")
    labels = {image: label for image, label in unique_images(archives).items() if image != "broken.png"}
    before, after = (lookup(some, list(labels)) for some in (masks, made))
    assert {row.image_id: row.label for row in after} == labels
    for old, new in zip(before, after, strict=True):
        assert (old.height, old.width) == (new.height, new.width)
        assert (old == new) == (new.label == 1)
    assert made.counts["skipped"] == 1
    assert {card.tier for card in made.models} == {"S", "M"}


def test_stuff__restarted_ends_with_the_same_bytes(
    masks: PseudoMasks, archives: Archives, config: StuffConfig, tmp_path: Path
) -> None:
    for _ in range(2):
        redraw_stuff(tmp_path / "out", masks, archives, config=config, device="cpu")
        shards = sorted((tmp_path / "out").glob("*.parquet"))
        found = [path.read_bytes() for path in shards]
        shards[-1].unlink()
    redraw_stuff(tmp_path / "out", masks, archives, config=config, device="cpu")
    assert [path.read_bytes() for path in shards] == found


def test_stuff__a_name_that_is_none_of_the_names(
    masks: PseudoMasks, archives: Archives, config: StuffConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="grass"):
        redraw_stuff(tmp_path, masks, archives, config=StuffConfig(names=("grass",)), device="cpu")


def test_stuff__of_a_part_of_the_names() -> None:
    config, every = StuffConfig(names=("sky", "grass")), Names(("car", "sky", "grass"))
    check_stuff(config, every)
    assert stuff_among(config, every) == config
    assert stuff_among(config, Names(("car", "grass"))).names == ("grass",)
    assert stuff_among(config, Names(("car",))).names == ()
