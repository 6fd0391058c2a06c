"""The pages: generated ones are up to date, commands are spelled as the command line has it, the site builds."""

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from namesake.cli import app
from namesake.systems import SYSTEMS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
BASH = re.compile(r"^```(?:bash)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\w+=\S+ )*(?:accelerate launch .*-m )?namesake (.*)$", re.MULTILINE)


def _load(name: str):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", _load("generate").PAGES)
def test_generated__up_to_date(name: str):
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == _load("generate").PAGES[name](), "run: python docs/generate.py"


def test_generated__a_page_and_a_picture_a_system():
    generate = _load("generate")
    assert generate.TITLES.keys() == SYSTEMS.keys()
    for name in SYSTEMS:
        picture = DOCS / "systems" / f"{name.replace('+', '-')}.jpg"
        assert picture.stat().st_size < 150_000
        assert f"]({picture.name})" in generate.PAGES[f"systems/{picture.stem}.md"]()


def test_generated__what_tables_take_and_how_they_differ():
    written = (DOCS / "reproduce.md").read_text(encoding="utf-8")
    assert written == _load("costs").page(), "run: python docs/costs.py"


def _commands(page: Path) -> list[str]:
    """What follows `namesake` in the blocks of a page."""
    blocks = BASH.findall(page.read_text(encoding="utf-8"))
    return [found for block in blocks for found in COMMAND.findall(block.replace("\\\n", " "))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands__are_spelled_right(page: Path):
    group = typer.main.get_command(app)
    for command in _commands(page):
        verb, *arguments = shlex.split(command, comments=True)
        group.commands[verb].make_context(verb, arguments)


def test_commands__examples_in_help_are_spelled_right():
    for verb, command in typer.main.get_command(app).commands.items():
        example = " ".join(command.help.split()).partition("Example: namesake ")[2]
        named, *arguments = shlex.split(example)
        assert named == verb
        command.make_context(verb, arguments)


def test_commands__are_found():
    assert "doctor" in _commands(DOCS / "quickstart.md")
    assert len(_commands(DOCS / "own-images.md")) >= 6


def test_measured__table_of_the_readme():
    measured = _load("hooks").measured()
    assert measured.startswith("| what | figure | command |")
    assert "make demo" in measured


def test_systems__every_system_with_what_was_measured():
    hooks = _load("hooks")
    rows = {line.split(" | ")[0].strip("| "): line for line in hooks.systems().splitlines()}
    assert rows.keys() >= hooks.CHOICE.keys()
    tables = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in hooks.RESULTS.glob("*.json")}
    rows_of = {name: row.things or row.topics for name, row in hooks.CHOICE.items()}
    measured = [name for name, (paper, table, row) in rows_of.items() if row in tables.get(paper, {}).get(table, {})]
    assert all("±" in rows[name] for name in measured)
    assert {"namedmask", "zutis", "fmbseg"} <= {*measured}
    assert hooks.CHOICE.keys() == SYSTEMS.keys() - {"selfmask"}


def test_benchmark__every_claim_is_a_row():
    assert len(_load("hooks").benchmark("inference").splitlines()) >= 7


def test_site__builds_strictly(tmp_path: Path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "systems" / "namedmask" / "index.html").read_text(encoding="utf-8")
    assert "relabel_with_experts" in page
    assert "fonts.googleapis" not in page
