from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from namesake.archives import open_archives, rows
from namesake.encoders import load_dino
from namesake.errors import ConfigError, ImagesError, WeightsError
from namesake.images import read_image
from namesake.images.geometry import resize_longer_side
from namesake.masks import VotingConfig, open_masks, read_masks, store, voted_masks
from namesake.masks.bilateral import PUBLISHED
from namesake.masks.rle import decode
from namesake.masks.spectral import candidate_masks
from namesake.masks.spectral_masks import voted
from namesake.masks.vote import spectral_vote
from namesake.records import Archives, Images
from namesake.workspace import Workspace


@pytest.fixture
def config(dino_folder: Path, monkeypatch: pytest.MonkeyPatch) -> VotingConfig:
    monkeypatch.setattr(store, "SHARD_SIZE", 4)
    return VotingConfig(encoders=(str(dino_folder),), batch_size=2)


def test_voted_follows_the_steps(config: VotingConfig, draw) -> None:
    dino, image = load_dino(config.encoders[0], device="cpu"), draw(20, 30, seed=0)
    padded = torch.zeros(1, 3, 24, 32)
    padded[:, :, :20, :30] = dino.normalise([image])
    with torch.inference_mode():
        grid = candidate_masks(dino.patch_features(padded))[0]
    pixels = grid.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)[:, :20, :30]
    winner, agreement = spectral_vote(pixels[None])
    masks, scores = voted([image], [dino], config=config)
    assert np.array_equal(masks[0], pixels[winner[0]].numpy())
    assert scores[0] == agreement[0].item()


def test_voted__every_encoder_adds_its_candidates(config: VotingConfig, draw) -> None:
    dino, image = load_dino(config.encoders[0], device="cpu"), draw(32, 32, seed=1)
    one, agreement = voted([image], [dino], config=config)
    three, raised = voted([image], [dino, dino, dino], config=config)
    assert np.array_equal(one, three)
    assert raised[0] > agreement[0]


def test_every_image_gets_a_mask_without_label(pictures: Images, config: VotingConfig, tmp_path: Path) -> None:
    made = voted_masks(tmp_path / "masks", pictures, config=config, device="cpu")
    rows = list(read_masks(made))
    assert [row.image_id for row in rows] == [f"{number}.png" for number in range(9)]
    assert {row.label for row in rows} == {0}
    assert made.counts["masks"] == 9
    assert made.counts["skipped"] == 1
    dino = load_dino(config.encoders[0], device="cpu")
    for row in rows[:3]:
        masks, scores = voted([read_image(pictures.path(row.image_id))], [dino], config=config)
        assert np.array_equal(decode(row.rle, row.height, row.width), masks[0])
        assert abs(row.score - scores[0]) < 1e-6


def test_archives__each_image_once_with_the_label_of_its_archive(
    archives: Archives, config: VotingConfig, tmp_path: Path
) -> None:
    made = voted_masks(tmp_path / "masks", archives, config=config, device="cpu")
    found = list(read_masks(made))
    assert {row.image_id: row.label for row in found} == {
        **{f"{number}.png": 1 for number in (0, 1, 2, 3)},
        **{f"{number}.png": 2 for number in (4, 5, 6, 7, 8)},  # 4 is in both archives
    }
    assert len(found) == 9
    assert (made.counts["masks"], made.counts["skipped"]) == (9, 1)
    whole = voted_masks(tmp_path / "of images", archives.images, config=config, device="cpu")
    alike = {row.image_id: row for row in read_masks(whole)}
    assert all((row.rle, row.score) == (alike[row.image_id].rle, alike[row.image_id].score) for row in found)


def test_archives__only_their_images(archives: Archives, config: VotingConfig, tmp_path: Path) -> None:
    table = rows(archives)
    kept = table.filter(pc.equal(table["label"], 2))
    for path in archives.folder.glob("*.parquet"):
        pq.write_table(kept.cast(pq.read_schema(path)), path)
    made = voted_masks(tmp_path / "masks", open_archives(archives.folder), config=config, device="cpu")
    assert [row.image_id for row in read_masks(made)] == [f"{number}.png" for number in (4, 5, 6, 7, 8)]


@pytest.mark.parametrize("resize_longer", [512, 32])
def test_archives__the_solver_redraws_what_was_voted(
    archives: Archives, config: VotingConfig, tmp_path: Path, resize_longer: int
) -> None:
    solved = replace(config, bilateral_solver=True, resize_longer=resize_longer)
    made = voted_masks(tmp_path / "masks", archives, config=solved, device="cpu")
    plain = voted_masks(tmp_path / "plain", archives, config=replace(solved, bilateral_solver=False), device="cpu")
    dino, changed = load_dino(config.encoders[0], device="cpu"), 0
    for row, before in zip(read_masks(made), read_masks(plain), strict=True):
        image = read_image(archives.images.path(row.image_id))
        small = resize_longer_side(image, side=resize_longer) if max(image.shape) > resize_longer else image
        masks, _ = voted([small], [dino], config=config)
        refined = PUBLISHED.refine(small, masks[0])
        lines = np.arange(row.height) * small.shape[0] // row.height
        columns = np.arange(row.width) * small.shape[1] // row.width
        assert np.array_equal(decode(row.rle, row.height, row.width), refined[lines[:, None], columns])
        assert (row.label, row.score) == (before.label, before.score)
        changed += row.rle != before.rle
    assert changed > 0


def test_archives__reused_in_a_workspace_and_of_the_same_bytes_when_killed(
    archives: Archives, config: VotingConfig, tmp_path: Path
) -> None:
    with Workspace(tmp_path / "run") as workspace:
        first = workspace.step(voted_masks, archives, config=config, device="cpu")
        again = workspace.step(voted_masks, archives, config=config, device="cpu")
    assert [stage["reused"] for stage in workspace.stages] == [False, True]
    assert again == first == open_masks(tmp_path / "run/masks/voted")
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / "masks-00001.parquet").write_bytes((first.folder / "masks-00001.parquet").read_bytes())
    voted_masks(killed, archives, config=config, device="cpu")
    shards = sorted(path.name for path in killed.glob("*.parquet"))
    assert len(shards) == 3
    assert all((killed / name).read_bytes() == (first.folder / name).read_bytes() for name in shards)


def test_killed_and_resumed_gives_the_same_bytes(pictures: Images, config: VotingConfig, tmp_path: Path) -> None:
    whole = voted_masks(tmp_path / "whole", pictures, config=config, device="cpu").folder
    resumed = tmp_path / "resumed"
    resumed.mkdir()
    (resumed / "masks-00000.parquet").write_bytes((whole / "masks-00000.parquet").read_bytes())
    voted_masks(resumed, pictures, config=config, device="cpu")
    assert {path.name: path.read_bytes() for path in resumed.iterdir()} == {
        path.name: path.read_bytes() for path in whole.iterdir()
    }
    assert open_masks(resumed).counts == open_masks(whole).counts


def test_larger_images_are_shrunk_and_their_masks_brought_back(
    pictures: Images, config: VotingConfig, tmp_path: Path
) -> None:
    made = voted_masks(tmp_path / "masks", pictures, config=replace(config, resize_longer=32), device="cpu")
    sizes = {(row.height, row.width) for row in read_masks(made)}
    assert sizes == {(40, 40), (40, 56), (64, 48)}


def test_temperature_and_block_are_options(pictures: Images, config: VotingConfig, tmp_path: Path) -> None:
    changed = replace(config, temperature=0.3, block=0, clusters=(2, 5))
    made = voted_masks(tmp_path / "masks", pictures, config=changed, device="cpu")
    assert made.counts["masks"] == 9


def test_no_readable_image(pictures: Images, config: VotingConfig, tmp_path: Path) -> None:
    broken = Images(pictures.folder, ("broken.png",))
    with pytest.raises(ImagesError, match="none of the 1 images"):
        voted_masks(tmp_path / "masks", broken, config=config, device="cpu")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoders": ()}, r"encoders is empty, expected an encoder"),
        ({"clusters": (1, 2)}, r"clusters is \(1, 2\), expected"),
        ({"batch_size": 0}, "batch_size is 0, expected 1 or more"),
        ({"temperature": -1.0}, "temperature is -1.0, expected 0 or more"),
    ],
)
def test_option_out_of_range(pictures: Images, config: VotingConfig, tmp_path: Path, change, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        voted_masks(tmp_path / "masks", pictures, config=replace(config, **change), device="cpu")


def test_missing_encoder(pictures: Images, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="facebook/dino-vits16"):
        voted_masks(tmp_path / "masks", pictures, device="cpu")
