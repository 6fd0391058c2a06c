"""A paper and a table in; its rows, and a page of all tables of the paper that were measured so far, out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from namesake.reproduce.papers import PAPERS, TITLES
from namesake.reproduce.run import measure_table
from namesake.reproduce.show import markdown, rows_of
from namesake.workspace import write_atomically, write_json

RESULTS = "results"


def reproduce(
    paper: str,
    table: str,
    *,
    out: Path,
    results: Path | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    jobs: int = 1,
    device: str = "auto",
) -> tuple[list[dict[str, Any]], Path]:
    """Run and measure a table on the embedded world, and write it beside the published values.

    Args:
        paper: "namedmask", "zutis" or "fmbseg".
        table: "1", "2", ..., "figure-3", ...; see `PAPERS`.
        out: Folder of worlds and runs; what is there is not redone.
        results: Folder of the page `<paper>.md` and of `<paper>.json`, which holds all values; `out/results` if None.
        seeds: Each has a world and runs of its own.
        jobs: Seeds measured at a time.
        device: "auto", "cpu" or "cuda".

    Returns:
        The rows (setting, ours, published, change), and the page.

    Raises:
        ConfigError: There is no such paper or table.
    """
    measured = measure_table(paper, table, out=out, seeds=seeds, jobs=jobs, device=device)
    folder = out / RESULTS if results is None else results
    held = folder / f"{paper}.json"
    all_measured = json.loads(held.read_text(encoding="utf-8")) if held.is_file() else {}
    all_measured[table] = measured
    write_json(held, {key: all_measured[key] for key in PAPERS[paper] if key in all_measured})
    page = folder / f"{paper}.md"
    with write_atomically(page) as unfinished:
        unfinished.write_text(page_of(paper, all_measured), encoding="utf-8")
    return rows_of(PAPERS[paper][table], measured), page


def page_of(paper: str, measured: dict[str, dict[str, dict[str, list[float]]]]) -> str:
    """All tables that were measured, in the paper's order."""
    sections = [
        markdown(
            f"{_number(key)}: {table.title}",
            table,
            measured[key],
            command=f"namesake reproduce {paper} --table {key}",
        )
        for key, table in PAPERS[paper].items()
        if key in measured
    ]
    return "\n".join([f"# {TITLES[paper]}, reproduced on the embedded world", "", INTRODUCTION, "", *sections])


INTRODUCTION = """Values are percent. Published ones are on the benchmarks that the paper names, with its models; ours
are on rendered scenes with embedded models a thousandth of the size, so rows of a table may be compared with each
other, and trends with trends, but never ours with theirs."""


def _number(key: str) -> str:
    """Of the key 3: Table 3; of supplementary-figure-2: Supplementary figure 2."""
    words = key.split("-")
    return " ".join(
        words if words[-2:-1] and words[-2] in {"figure", "table"} else [*words[:-1], "table", words[-1]]
    ).capitalize()
