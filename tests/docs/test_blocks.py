"""Blocks of the pages that are marked with `<!-- run -->` do what they say, in the order of a page, on a tiny world."""

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from namesake.cli import app
from namesake.systems import SYSTEMS
from namesake.world import write_world

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^<!-- run -->\n```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(page for page in DOCS.glob("*.md") if BLOCK.search(page.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the world of the quickstart."""
    folder = tmp_path_factory.mktemp("docs")
    names = ("mug", "car", "tree", "dog")
    write_world("unlabelled", folder / "world" / "unlabelled", count=40, seed=0, names=names, workers=1)
    write_world("scenes", folder / "world" / "scenes", count=12, seed=1, names=names, workers=1)
    return folder


@pytest.fixture(autouse=True)
def systems() -> Iterator[None]:
    """Systems that a page adds are gone afterwards."""
    before = dict(SYSTEMS)
    yield
    SYSTEMS.clear()
    SYSTEMS.update(before)


def run_bash(block: str) -> None:
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        settings = [*takewhile(lambda word: re.match(r"[A-Z_]+=", word), words)]
        command, *arguments = words[len(settings) :]
        assert command == "namesake", line
        environment = dict(setting.split("=", maxsplit=1) for setting in settings)
        result = CliRunner(env=environment).invoke(app, arguments)
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks__run_as_printed(page: Path, place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(place)
    for kind, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "bash":
            run_bash(block)
        else:
            exec(compile(block, str(page), "exec"), {"__name__": page.stem})


def test_blocks__are_found():
    assert {"quickstart", "adding-a-system", "offline"} <= {page.stem for page in PAGES}
