"""A paper and a table in; its rows, and a page of all tables of the paper that were measured so far, out."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from namesake.reproduce.papers import PAPERS, TITLES
from namesake.reproduce.places import MINI_SCALE, Scale
from namesake.reproduce.run import measure_table
from namesake.reproduce.show import markdown, rows_of
from namesake.reproduce.table import Outcome, with_nan
from namesake.workspace import write_bytes, write_json

RESULTS = "results"
MINI = """Values are percent. Published ones are on the benchmarks that the paper names, with its models; ours are on
rendered scenes with embedded models a thousandth of the size, so rows of a table may be compared with each other, and
trends with trends, but never ours with theirs."""
REAL = "Values are percent, on the benchmarks that the paper names."


def reproduce(
    paper: str,
    table: str,
    *,
    out: Path,
    results: Path | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    scale: Scale = MINI_SCALE,
    jobs: int = 1,
) -> tuple[list[dict[str, Any]], Path]:
    """Run and measure a table, and write it beside the published values.

    Args:
        paper: "namedmask", "zutis" or "fmbseg".
        table: "1", "2", ..., "figure-3", ...; see `PAPERS`.
        out: Folder of worlds and runs; what is there is not redone.
        results: Folder of the page `<paper>.md` and of `<paper>.json`, which holds all values; `out/results` if None.
        seeds: Each has runs, and at mini scale a world, of its own.
        scale: Embedded world or real benchmarks.
        jobs: Seeds measured at a time.

    Returns:
        The rows (see `rows_of`), and the page.

    Raises:
        ConfigError: There is no such paper or table.
        DataError: A benchmark is missing.
    """
    measured = measure_table(paper, table, out=out, seeds=seeds, scale=scale, jobs=jobs)
    folder = out / RESULTS if results is None else results
    held = folder / f"{paper}.json"
    everything = json.loads(held.read_text(encoding="utf-8")) if held.is_file() else {}
    everything[table] = {label: outcome._asdict() for label, outcome in measured.items()}
    write_json(held, {key: everything[key] for key in PAPERS[paper] if key in everything})
    page = folder / f"{paper}.md"
    write_bytes(page, page_of(paper, everything, scale))
    return rows_of(PAPERS[paper][table], measured), page


def page_of(paper: str, measured: Mapping[str, Mapping[str, Mapping[str, Any]]], scale: Scale = MINI_SCALE) -> str:
    """All tables that were measured, in the paper's order."""
    options = "" if scale.root is None else f" --preset {scale.preset} --root DATA"
    sections = [
        markdown(
            f"{number(key)}: {table.title}",
            table,
            {label: Outcome(**with_nan(outcome)) for label, outcome in measured[key].items()},
            command=f"namesake reproduce {paper} --table {key}{options}",
            real=scale.root is not None,
        )
        for key, table in PAPERS[paper].items()
        if key in measured
    ]
    where, told = (" on the embedded world", MINI) if scale.root is None else ("", REAL)
    return "\n".join([f"# {TITLES[paper]}, reproduced{where}", "", told, "", *sections])


def number(key: str) -> str:
    """Of the key 3: Table 3; of supplementary-figure-2: Supplementary figure 2; of remedies: Remedies."""
    *words, last = key.split("-")
    kind = ["table"] if last.isdigit() and words[-1:] != ["figure"] else []
    return " ".join([*words, *kind, last]).capitalize()
