"""Before the site is built: measured figures join the page that helps to choose, pages of results the navigation."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
MARK = "<!-- measured: README.md and docs/results -->"


def on_config(config: Any) -> Any:  # noqa: ANN401
    """Give every page of results a place in the navigation."""
    pages = [f"results/{page.name}" for page in sorted(RESULTS.glob("*.md"))]
    if pages:
        config.nav.append({"Results": pages})
    return config


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the measured figures where a page asks for them."""
    return markdown.replace(MARK, measured()) if MARK in markdown else markdown


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
