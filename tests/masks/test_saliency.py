import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from namesake.errors import ConfigError, ImagesError, WeightsError
from namesake.images import read_image
from namesake.masks import SaliencyConfig, detect, open_masks, read_masks, saliency_masks, store
from namesake.masks.rle import decode
from namesake.masks.store import MaskWriter
from namesake.networks import load_selfmask
from namesake.records import Archives, PseudoMask
from namesake.workspace import Workspace


@pytest.fixture
def config(saliency_folder: Path, monkeypatch: pytest.MonkeyPatch) -> SaliencyConfig:
    monkeypatch.setattr(store, "SHARD_SIZE", 4)
    return SaliencyConfig(network=str(saliency_folder), batch_size=2)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_image_gets_its_mask_and_label(archives: Archives, config: SaliencyConfig, tmp_path: Path) -> None:
    made = saliency_masks(tmp_path / "masks", archives, config=config, device="cpu")
    rows = list(read_masks(made))
    assert [row.image_id for row in rows] == [f"{number}.png" for number in range(9)]
    assert [row.label for row in rows] == [1, 1, 1, 1, 2, 2, 2, 2, 2]
    network = load_selfmask(config.network, device="cpu")
    for row in rows:
        image = read_image(archives.images.path(row.image_id))
        (alone,) = detect(network, [image])
        assert np.array_equal(decode(row.rle, row.height, row.width), alone.mask)
        assert (row.height, row.width) == image.shape[:2]
        assert abs(row.score - alone.score) < 1e-6


def test_unreadable_images_are_counted_and_listed(archives: Archives, config: SaliencyConfig, tmp_path: Path) -> None:
    made = saliency_masks(tmp_path / "masks", archives, config=config, device="cpu")
    empty = sum(not decode(row.rle, row.height, row.width).any() for row in read_masks(made))
    assert made.counts == {"masks": 9, "empty": empty, "skipped": 1}
    (skipped,) = json.loads((tmp_path / "masks/skipped.json").read_text())
    assert skipped["image_id"] == "broken.png"
    assert "broken.png" in skipped["reason"]
    assert made.models[0].source == config.network


@pytest.mark.parametrize("killed_after", [1, 5, 8])
def test_killed_and_resumed_gives_the_same_bytes(
    archives: Archives, config: SaliencyConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    saliency_masks(tmp_path / "whole", archives, config=config, device="cpu")
    written: list[PseudoMask] = []

    class Dying(MaskWriter):
        def write_several(self, masks: Sequence[PseudoMask]) -> None:
            if len(written) == killed_after:
                raise KeyboardInterrupt
            written.extend(masks)
            super().write_several(masks)

    with monkeypatch.context() as patch:
        patch.setattr(store, "MaskWriter", Dying)
        with pytest.raises(KeyboardInterrupt):
            saliency_masks(tmp_path / "resumed", archives, config=config, device="cpu")
    assert len(list((tmp_path / "resumed").glob("*.parquet"))) == killed_after // 4
    saliency_masks(tmp_path / "resumed", archives, config=config, device="cpu")
    assert content(tmp_path / "resumed") == content(tmp_path / "whole")


def test_stage_is_reused_in_a_workspace(archives: Archives, config: SaliencyConfig, tmp_path: Path) -> None:
    with Workspace(tmp_path / "run") as workspace:
        first = workspace.step(saliency_masks, archives, config=config, device="cpu")
        again = workspace.step(saliency_masks, archives, config=config, device="cpu")
    assert [stage["reused"] for stage in workspace.stages] == [False, True]
    assert again == first == open_masks(tmp_path / "run/masks/saliency")


def test_solver_is_an_option(archives: Archives, saliency_folder: Path, tmp_path: Path) -> None:
    config = SaliencyConfig(network=str(saliency_folder), bilateral_solver=False)
    made = saliency_masks(tmp_path / "masks", archives, config=config, device="cpu")
    network = load_selfmask(saliency_folder, device="cpu")
    row = next(iter(read_masks(made)))
    (alone,) = detect(network, [read_image(archives.images.path(row.image_id))], solver=None)
    assert np.array_equal(decode(row.rle, row.height, row.width), alone.mask)


def test_no_readable_image(archives: Archives, config: SaliencyConfig, tmp_path: Path) -> None:
    for path in archives.images.folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(ImagesError, match="none of the 10 archive images"):
        saliency_masks(tmp_path / "masks", archives, config=config, device="cpu")


def test_missing_network(archives: Archives, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="selfmask_nq20.pt"):
        saliency_masks(tmp_path / "masks", archives, device="cpu")


def test_option_out_of_range(archives: Archives, config: SaliencyConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size"):
        saliency_masks(tmp_path / "m", archives, config=SaliencyConfig(config.network, batch_size=0), device="cpu")
