"""Run the notebooks of the pages, and keep what they show: python docs/notebooks.py [NAME ...]."""

import base64
import io
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parent / "notebooks"


def run(path: Path, place: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of its cells, run in the folder `place`; progress is left out.

    Raises:
        CellExecutionError: A cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(place)}}
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            cell.outputs = [_small(each) for each in cell.outputs if each.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)
    return notebook


def _small(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The output with its picture in 256 colours, so that a notebook stays small."""
    if "image/png" in output.get("data", {}):
        content = io.BytesIO()
        picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).convert("RGB")
        picture.quantize(256).save(content, format="PNG", optimize=True)
        output.data["image/png"] = base64.b64encode(content.getvalue()).decode()
    return output


def is_run(path: Path) -> bool:
    """Whether a notebook can be run anywhere; others say in their text what they need."""
    return bool(nbformat.read(path, as_version=4).metadata.namesake.run)


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.ipynb")):
        if is_run(path) and (path.stem in sys.argv[1:] or len(sys.argv) == 1):
            with tempfile.TemporaryDirectory() as place:
                nbformat.write(run(path, Path(place)), path)
