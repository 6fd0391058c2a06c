import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from namesake.cli import app
from namesake.encoders import AutomaticConfig
from namesake.encoders.patches import squares
from namesake.errors import DataError, ImagesError
from namesake.images import open_images
from namesake.masks.regions import RegionsConfig, mean_features
from namesake.prediction.find import LONE, FindConfig, Finder, Match, find_object, load_finder, quality, read_shown_ids
from namesake.records import Images
from tiny_models import write_clip, write_dino, write_sam


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> FindConfig:
    home = tmp_path_factory.mktemp("models")
    regions = RegionsConfig(
        clip=str(write_clip(home / "clip")), mask_model=str(write_sam(home / "sam")), image_size=64, points_per_word=2,
        resize_longer=48, automatic=AutomaticConfig(points_per_side=2),
    )  # fmt: skip
    return FindConfig(regions, dense_encoder=str(write_dino(home / "dino", "vit")), image_size=48)


@pytest.fixture
def folder(tmp_path: Path) -> Images:
    """Noise of different colours, and a file that is no image."""
    home = tmp_path / "images"
    home.mkdir()
    random = np.random.default_rng(0)
    for number, colour in enumerate(((200, 40, 40), (40, 200, 40), (60, 60, 220))):
        noise = random.normal(colour, 25, (40, 40, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noise).save(home / f"{number}.png")
    (home / "broken.png").write_bytes(b"nothing")
    return open_images(home)


def test_score__cosine_of_the_features_within_the_masks(config: FindConfig, folder: Images) -> None:
    finder = load_finder("cat", [folder.path("0.png"), folder.path("1.png")], config=config, device="cpu")
    matches = {match.image_id: match for match in find_object(finder, folder)}
    assert matches["0.png"].score == pytest.approx(1.0, abs=1e-5)
    assert matches["broken.png"].score is None
    assert matches["broken.png"].reason
    image = np.asarray(Image.open(folder.path("2.png")))
    regions = finder.namer.look(image).prompted(torch.tensor([0]))
    patches = finder.encoder.patch_features(squares(finder.encoder, [image], side=48))[0]
    described = mean_features(regions.masks, patches)[0].numpy()
    assert matches["2.png"].score == pytest.approx(max(finder.views @ described), abs=1e-6)


def test_threshold__the_picture_least_like_the_others(config: FindConfig, folder: Images) -> None:
    paths = [folder.path(f"{number}.png") for number in range(3)]
    finder = load_finder("cat", paths, config=config, device="cpu")
    alike = finder.views @ finder.views.T
    wanted = min(max(alike[i, j] for j in range(3) if j != i) for i in range(3))
    assert finder.threshold() == pytest.approx(wanted)
    assert load_finder("cat", paths[:1], config=config, device="cpu").threshold() == LONE


def test_finder__no_mask_in_any_picture(config: FindConfig, folder: Images) -> None:
    finder = load_finder("cat", [folder.path("0.png")], config=config, device="cpu")
    with pytest.raises(ImagesError, match="no 'cat' can be segmented in the 0 pictures"):
        Finder(finder.namer, finder.encoder, 48, [])


def test_quality__in_percent() -> None:
    matches = [Match("a", 0.9), Match("b", 0.8), Match("c", 0.2), Match("d", None, "broken")]
    assert quality(matches, {"a", "c", "d"}, threshold=0.5) == (50.0, pytest.approx(100 / 3))
    assert quality(matches, set(), threshold=0.95) == (None, None)


@pytest.mark.parametrize(("name", "content"), [("s.txt", "0.png\n\n1.png\n"), ("s.json", '["0.png", "1.png"]')])
def test_shown__ids_of_images(name: str, content: str, folder: Images, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert read_shown_ids(tmp_path / name, folder) == {"0.png", "1.png"}


def test_shown__an_id_that_is_no_image(folder: Images, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("9.png")
    with pytest.raises(DataError, match=r"9\.png"):
        read_shown_ids(tmp_path / "s.txt", folder)


def test_verb__an_unknown_preset(folder: Images) -> None:
    arguments = ["find", "--object", str(folder.folder), "--name", "cat", "--images", str(folder.folder)]
    result = CliRunner().invoke(app, [*arguments, "--preset", "none"])
    assert "there is no preset 'none'" in str(result.exception)


def test_verb__several_files_as_a_shell_gives_them(
    folder: Images, config: FindConfig, tmp_path: Path, monkeypatch
) -> None:
    from namesake.systems import fmbseg

    monkeypatch.setattr(fmbseg, "find_config", lambda _: config)
    (tmp_path / "shown.json").write_text(json.dumps(["0.png"]))
    files = [str(folder.path(f"{number}.png")) for number in (0, 1)]
    result = CliRunner().invoke(
        app,
        ["find", "--object", *files, "--name", "cat", "--images", str(folder.folder), "--threshold", "0.99",
         "--shown", str(tmp_path / "shown.json"), "--out", str(tmp_path / "found.json"), "--device", "cpu", "--json"],
    )  # fmt: skip
    told = json.loads(result.stdout)
    assert {"0.png", "1.png"} <= {each["image"] for each in told["found"]}
    assert told["recall"] == 100
    assert told["skipped"] == 1
    assert set(json.loads((tmp_path / "found.json").read_text())["scores"]) == set(folder.ids)
