"""Archives of what was gathered from parts are those of one index of the whole."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from namesake.archives import ArchivesConfig, retrieve, rows
from namesake.archives.gather import gather
from namesake.cli import app
from namesake.encoders import Clip
from namesake.errors import ConfigError, DataError
from namesake.images import open_images
from namesake.index import adopt_embeddings, build_index
from namesake.records import Images, Index, Names

NAMES = Names(("cat", "dog", "red"))


@pytest.fixture
def whole(index_of: Callable[..., Index]) -> Images:
    """Thirty images of their own colours and sizes, some nearly alike."""
    made = index_of(np.eye(30, 10), sides=[20 + number % 7 for number in range(30)])
    return open_images(made.images.folder)


@pytest.fixture
def encoder(clip: Clip) -> str:
    return clip.card.source


@pytest.fixture
def parts(whole: Images, encoder: str, tmp_path: Path) -> list[Path]:
    """The images cut in three, each with an index of its own."""
    folders = []
    for number in range(3):
        some = Images(whole.folder, whole.ids[10 * number : 10 * number + 10])
        build_index(tmp_path / f"part-{number}/index", some, encoder=encoder, shard_size=4, device="cpu")
        folders.append(tmp_path / f"part-{number}")
    return folders


@pytest.mark.parametrize(
    "options",
    [
        {"contested": "last"},
        {"contested": "best", "duplicate_threshold": 0.9999},
        {"contested": "last", "min_image_size": 23},
    ],
)
def test_gather__archives_of_one_index(
    whole: Images, encoder: str, parts: list[Path], tmp_path: Path, options: dict[str, object]
):
    config = replace(ArchivesConfig(images_per_name=4), **options)
    names = replace(NAMES, against=((), ("park",), ()))
    one = build_index(tmp_path / "one", whole, encoder=encoder, device="cpu")
    gathered = gather(parts, names=names, out=tmp_path / "gathered", images_per_name=4, device="cpu")
    own = adopt_embeddings(
        tmp_path / "adopted", open_images(gathered.images.folder), embeddings=str(gathered.folder), encoder=encoder
    )
    assert len(own.images) < len(whole)
    expected, found = (
        rows(retrieve(tmp_path / out, index, names, config=config, device="cpu")).to_pydict()
        for out, index in (("archives-one", one), ("archives-own", own))
    )
    original = [f"{10 * int(each[:4]) + int(each[5:15]):03d}.png" for each in found.pop("image_id")]
    assert original == expected.pop("image_id")
    assert found == expected


def test_gather__verb(parts: list[Path], tmp_path: Path):
    line = ["gather", *map(str, parts), "--names", "cat, dog", "--out", str(tmp_path / "out"), "--images-per-name", "1"]
    done = CliRunner().invoke(app, [*line, "--device", "cpu", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["parts"] == 3
    assert 4 <= told["images"] <= 8


def test_gather__nothing_to_gather(tmp_path: Path):
    with pytest.raises(ConfigError, match="one or more indexes"):
        gather([], names=NAMES, out=tmp_path / "out")
    with pytest.raises(DataError, match="namesake index"):
        gather([tmp_path], names=NAMES, out=tmp_path / "out")
