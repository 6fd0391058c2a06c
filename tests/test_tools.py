"""What contributors and servers use: hooks, templates, the image, and types that other people's checkers read."""

import ast
from pathlib import Path

import pytest
import yaml

import namesake

TREE = Path(__file__).resolve().parents[1]


def test_hooks__are_the_commands_of_make_lint():
    recipe = (TREE / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    lines = [line.strip() for line in recipe.splitlines()[1:]]
    lint = [line.replace("$(VENV)", ".venv").replace("$(PYTHON)", ".venv/bin/python") for line in lines]
    hooks = yaml.safe_load((TREE / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == lint


@pytest.mark.parametrize("file", sorted((TREE / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda f: f.stem)
def test_templates__are_forms(file: Path):
    form = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    assert all(part["attributes"]["label"] for part in form["body"])


def test_image__copies_what_the_package_is_built_from():
    allowed = (TREE / ".dockerignore").read_text(encoding="utf-8").split()
    lines = (TREE / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]}
    assert copied == {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "src"}
    assert copied == {name.removeprefix("!") for name in allowed if name.startswith("!")}
    assert all((TREE / name).exists() for name in copied)


def test_types__of_what_is_imported_later_are_seen_by_type_checkers():
    """They read what stands under TYPE_CHECKING, people get what `__getattr__` finds; mypy checks the first."""
    tree = ast.parse(Path(namesake.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    typed = {
        each.asname or each.name: (line.module, each.name)
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for each in line.names
    }
    assert typed == namesake._LATER
    assert Path(namesake.__file__).with_name("py.typed").is_file()
