"""What a person chooses of archives and masks, without a browser."""

import re
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from namesake.app import curate
from namesake.app.curate import Click, Curator
from namesake.errors import DataError
from namesake.masks import rle
from namesake.systems.curation import CURATION, read_curation

BEST = "best images first"


@pytest.fixture
def run(closed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(closed, tmp_path / "<b>run")


@pytest.fixture
def curator(run: Path) -> Curator:
    return Curator(run, allowed=True)


def images(html: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'data-choice="cross" data-image="([^"]*)"', html)]


def test_tiles__every_image_once_and_words_escaped(curator: Curator):
    name = curator.names.names[0]
    html = curator.tiles(name, BEST, 1)
    assert len(images(html)) == len(set(images(html))) == 3
    assert "<img src=x" not in html
    assert curator.tiles(name, BEST, 99) == curator.tiles(name, BEST, -5) == html
    assert "no archives" in curator.tiles("unknown", BEST, 1)


def test_tiles__worst_masks_first(curator: Curator):
    html = curator.tiles(curator.names.names[0], "worst masks first", 1)
    scores = [float(each) for each in re.findall(r"mask (\d\.\d+)", html)]
    assert scores == sorted(scores)
    assert len(scores) == 3


def test_choose__and_take_back(curator: Curator, run: Path):
    name = curator.names.names[0]
    image = images(curator.tiles(name, BEST, 1))[0]
    for choice in ("cross", "accepted", "rejected"):
        curator.choose(name, image, choice)
    kept = read_curation(run / CURATION)
    assert kept.crossed(name) == {image}
    assert kept.mask(image).state == "rejected"
    html = curator.tiles(name, BEST, 1)
    assert 'class="tile rejected crossed"' in html
    assert "1 images crossed out, 1 masks rejected" in curator.state()
    assert "namesake run &lt;here&gt;" in curator.state()
    curator.choose(name, image, "cross")
    curator.choose(name, image, "rejected")
    assert not (run / CURATION).exists()


def test_choose__accepted_keeps_the_mask_that_was_seen(curator: Curator, run: Path):
    name = curator.names.names[0]
    image = images(curator.tiles(name, BEST, 1))[0]
    curator.choose(name, image, "accepted")
    kept = read_curation(run / CURATION).mask(image)
    assert rle.decode(kept.counts.encode(), *kept.size).any()


def test_reword__and_take_back(curator: Curator, run: Path):
    name = curator.names.names[0]
    assert curator.words(name) == name
    curator.reword(name, " coffee mug, mug,, mug")
    assert curator.words(name) == "coffee mug, mug"
    assert read_curation(run / CURATION).words(name) == ("coffee mug", "mug")
    curator.reword(name, " ")
    assert curator.words(name) == name
    assert not (run / CURATION).exists()


@pytest.mark.parametrize(("image", "choice"), [("../../etc/passwd", "cross"), ("nothere.jpg", "accepted")])
def test_choose__images_of_the_archive_only(curator: Curator, run: Path, image: str, choice: str):
    with pytest.raises(DataError, match="expected an image of the archive"):
        curator.choose(curator.names.names[0], image, choice)
    assert not (run / CURATION).exists()


def test_choose__unknown_words(curator: Curator):
    name = curator.names.names[0]
    image = images(curator.tiles(name, BEST, 1))[0]
    with pytest.raises(DataError, match="expected cross, accepted or rejected"):
        curator.choose(name, image, "delete")
    with pytest.raises(DataError, match="expected one of the run's names"):
        curator.reword("nobody", "x")


def test_curator__open_to_others_without_a_password(run: Path):
    looking = Curator(run, allowed=False)
    name = looking.names.names[0]
    html = looking.tiles(name, BEST, 1)
    assert "<button" not in html
    assert "asks for a password" in looking.state()
    with pytest.raises(DataError, match="only be looked at"):
        looking.reword(name, "x")
    assert not (run / CURATION).exists()


def test_click__a_mask_by_points(curator: Curator, run: Path):
    name = curator.names.names[0]
    image = images(curator.tiles(name, BEST, 1))[0]
    begun, picture = curator.click(name, Click(image), None)
    assert picture.shape == (614, 768, 3)
    with pytest.raises(DataError, match="no new mask yet"):
        curator.keep(name, begun)
    made, drawn = curator.click(name, begun, (384, 307))
    assert made.points == ((30.0, pytest.approx(23.98, abs=0.1)),)
    assert not np.array_equal(drawn, picture)
    curator.keep(name, made)
    kept = read_curation(run / CURATION).mask(image)
    assert (kept.state, kept.size, kept.model) == ("corrected", (48, 60), "embedded:sam")
    assert "tier M" in curator.state()
    assert "corrected" in curator.tiles(name, BEST, 1)


def test_click__without_a_sam(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(curate, "_sam_at_hand", lambda _: "")
    curator = Curator(run, allowed=True)
    name = curator.names.names[0]
    html = curator.tiles(name, BEST, 1)
    assert 'data-choice="redraw"' not in html
    with pytest.raises(DataError, match="no SAM on this machine"):
        curator.click(name, Click(images(html)[0]), (3, 3))


def test_tiles__a_run_without_archives(opened: Path):
    assert "no archives" in Curator(opened, allowed=True).tiles("dog", BEST, 1)
