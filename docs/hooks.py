"""Before the site is built: figures join the pages that ask for them, notebooks become pages, results get a place."""

import base64
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from mkdocs.structure.files import File
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
SPEED = ROOT / "benchmarks" / "results.json"
MEASURED = "<!-- measured: README.md and docs/results -->"
SYSTEMS = "<!-- systems: docs/results and benchmarks/results.json -->"
BENCHMARK = re.compile(r"<!-- benchmark: (\w+) -->")
COST = re.compile(r"<!-- cost: (\S+) -->")
NOTEBOOKS = ROOT / "docs" / "notebooks"


class System(NamedTuple):
    """A system on the page that helps to choose: rows of tables of papers that measure it, and what it is good for."""

    things: tuple[str, str, str] | None
    topics: tuple[str, str, str] | None
    good_for: str


CHOICE = {
    "consensus": System(
        ("consensus", "1", "consensus"), ("consensus", "stuff", "consensus"), "things and stuff, fixed names, no SAM"
    ),
    "namedmask": System(
        ("namedmask", "6", "NamedMask"),
        ("namedmask", "stuff", "saliency masks for all names (paper)"),
        "a fast model for fixed names",
    ),
    "zutis": System(
        ("zutis", "5", "ZUTIS"),
        ("zutis", "stuff", "saliency masks for all names (paper)"),
        "single objects; names decided later",
    ),
    "fmbseg": System(None, ("fmbseg", "1", "Stage 2 (base)"), "stuff as well as things; names decided later"),
    "saliency+clip": System(("namedmask", "6", "SelfMask + CLIP"), None, "a first look, one main thing a picture"),
    "maskclip": System(("namedmask", "6", "MaskCLIP"), ("fmbseg", "1", "MaskCLIP"), "a baseline without any training"),
    "reco": System(("namedmask", "6", "ReCo"), None, "a baseline that uses your images"),
}


def on_config(config: Any) -> Any:  # noqa: ANN401
    """Give every page of results a place in the navigation."""
    pages = [f"results/{page.name}" for page in sorted(RESULTS.glob("*.md"))]
    if pages:
        config.nav.append({"Results": pages})
    return config


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401
    """Make a page of every notebook; the notebook itself stays beside it, to be downloaded."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=notebook(path)))
    return files


def notebook(path: Path) -> str:
    """A notebook as Markdown, with the pictures that its cells showed within it."""
    body, resources = MarkdownExporter().from_filename(str(path))
    for name, content in resources["outputs"].items():
        kind = "png" if name.endswith("png") else "jpeg"
        body = body.replace(f"]({name})", f"](data:image/{kind};base64,{base64.b64encode(content).decode()})")
    body = re.sub(r"!\[(?:png|jpeg)\]", "![What the cell above shows]", body)
    return f"{body}\n\n[This notebook as a file]({path.name})\n"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the measured figures where a page asks for them."""
    for mark, table in ((MEASURED, measured), (SYSTEMS, systems)):
        if mark in markdown:
            markdown = markdown.replace(mark, table())
    markdown = COST.sub(lambda found: cost(found[1]), markdown)
    return BENCHMARK.sub(lambda found: benchmark(found[1]), markdown)


def cost(name: str) -> str:
    """How good and fast one system is, as the table of all says; nothing where it was not measured."""
    lines = systems().splitlines()
    row = next((line for line in lines if line.startswith(f"| {name} |")), "")
    said = "Mean IoU: over data sets of the embedded world, with the small embedded models. "
    return f"{lines[0]}\n{lines[1]}\n{row}\n\n{said}{lines[-1]}" if row else ""


def systems() -> str:
    """How good and how fast each system is: from the tables of the papers and the claims of `inference.py`."""
    claims: dict[str, dict[str, str]] = {}
    for one in _speed()["inference"]["claims"]:
        claims.setdefault(one["what"].partition(", ")[0], one)
    lines = [
        "| system | things, mean IoU | things and stuff, mean IoU | images/s | times the bare backbone "
        "| good for |\n|---|---:|---:|---:|---:|---|"
    ]
    for name, system in CHOICE.items():
        speed = claims.get(name, {"figure": "", "ratio": ""})
        cells = (
            _mean(system.things),
            _mean(system.topics),
            *(speed[key].split(" ")[0] for key in ("figure", "ratio")),
        )
        lines.append(f"| {' | '.join((name, *(cell or '-' for cell in cells), system.good_for))} |")
    return "\n".join(lines) + f"\n\nSpeed: {_speed()['inference']['where']}."


def benchmark(name: str) -> str:
    """What a benchmark measured: a row a claim."""
    rows = [f"| {one['what']} | {one['figure']} |" for one in _speed()[name]["claims"]]
    return "\n".join(["| what | measured |", "|---|---|", *rows])


def _speed() -> dict[str, Any]:
    return json.loads(SPEED.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _mean(row: tuple[str, str, str] | None) -> str:
    """Mean and range of the seeds, in percent; "" where it was not measured."""
    if row is None:
        return ""
    paper, table, setting = row
    file = RESULTS / f"{paper}.json"
    tables = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if setting not in tables.get(table, {}):
        return ""
    values = tables[table][setting]["values"]["mIoU"]
    return f"{sum(values) / len(values):.1f} ± {max(values) - min(values):.1f} %"


def measured() -> str:
    """README's table of figures, `results/systems.md` where it is there, and links to all pages of results."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Measured")[2].partition("\n## ")[0]
    parts = ["\n".join(line for line in section.splitlines() if line.startswith("|"))]
    systems = RESULTS / "systems.md"
    if systems.is_file():
        parts.append(re.sub(r"^#+ .*\n", "", systems.read_text(encoding="utf-8"), count=1))
    links = [f"[{page.stem}](results/{page.name})" for page in sorted(RESULTS.glob("*.md"))]
    return "\n\n".join([*parts, *([f"All tables: {', '.join(links)}."] if links else [])])
