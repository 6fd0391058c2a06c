"""The notebooks of the pages run from the first cell to the last, and show on their pages what they showed."""

import re
from pathlib import Path

import nbformat
import pytest

from .test_pages import DOCS, _load

notebooks = _load("notebooks")
FILES = sorted(notebooks.FOLDER.glob("*.ipynb"))


def cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_notebooks__two_run_anywhere_and_one_says_what_it_needs():
    run = {path.stem: notebooks.is_run(path) for path in FILES}
    assert run == {"folder-to-segmenter": True, "real-models": False, "which-system": True}
    assert "**Not run here**: it needs a GPU" in (notebooks.FOLDER / "real-models.ipynb").read_text(encoding="utf-8")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("path", [path for path in FILES if notebooks.is_run(path)], ids=lambda path: path.stem)
def test_notebooks__run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    (tmp_path / "work").mkdir()
    made = notebooks.run(path, tmp_path / "work")
    kept, found = cells(path), [cell for cell in made.cells if cell.cell_type == "code"]
    assert [cell.source for cell in kept] == [cell.source for cell in found]
    kinds = [[each.output_type for each in cell.outputs] for cell in found]
    assert kinds == [[each.output_type for each in cell.outputs] for cell in kept], "run: python docs/notebooks.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_page__shows_pictures_and_the_file(path: Path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install '.[docs]'")
    page = _load("hooks").notebook(path)
    pictures = sum("image/png" in each.get("data", {}) for cell in cells(path) for each in cell.outputs)
    assert page.count("](data:image/png;base64,") == pictures
    assert bool(pictures) == notebooks.is_run(path)
    assert f"]({path.name})" in page
    assert path.stat().st_size < 1_500_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cells__are_python(path: Path):
    for cell in cells(path):
        if not cell.source.startswith("!"):
            compile(cell.source, str(path), "exec")


def test_links__lead_to_pages():
    for path in FILES:
        for link in re.findall(r"\]\((\.\./[\w-]+\.md)\)", path.read_text(encoding="utf-8")):
            assert (DOCS / link.removeprefix("../")).is_file(), link
