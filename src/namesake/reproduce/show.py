"""Measured and published values of a table in, rows for machines and Markdown for people out."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from namesake.reproduce.table import Setting, Table

WIDEST = 18
"""Columns; a table of more is turned round."""

Measured = Mapping[str, Mapping[str, Sequence[float]]]
"""Setting label -> column -> a value a seed."""


def rows_of(table: Table, measured: Measured) -> list[dict[str, Any]]:
    """A row a setting: `setting`, `ours` (mean, spread, seeds by column), `published`, and `change` of both.

    The change is the difference from the first setting that was run: what an ablation is about, and all that can be
    compared between the embedded world and the benchmark of the paper.
    """
    first = next(setting for setting in table.settings if setting.label in measured)
    return [
        {
            "setting": setting.label,
            "ours": {
                column: {"mean": _mean(values), "spread": _spread(values), "seeds": len(values)}
                for column, values in measured.get(setting.label, {}).items()
            },
            "published": dict(setting.published),
            "change": {
                column: _mean(values) - _mean(measured[first.label][column])
                for column, values in measured.get(setting.label, {}).items()
                if column in measured[first.label]
            },
            "published_change": _differences(setting, first),
        }
        for setting in table.settings
    ]


def markdown(title: str, table: Table, measured: Measured, *, command: str) -> str:
    """A section: what was measured, a table of ours beside the published, and the command that made it."""
    rows = rows_of(table, measured)
    ours = list(table.columns) or list(dict.fromkeys(column for row in rows for column in row["ours"]))
    theirs = list(dict.fromkeys(column for row in rows for column in row["published"]))
    seeds = len(next(iter(next(iter(measured.values())).values())))
    head = ["setting", *(f"{column}, ours" for column in ours), *(f"{column}, published" for column in theirs)]
    cells = [
        [row["setting"], *(_own(row, column) for column in ours), *(_published(row, column) for column in theirs)]
        for row in rows
    ]
    grid = [head, *cells] if len(head) <= WIDEST else [list(line) for line in zip(head, *cells, strict=True)]
    lines = ["| " + " | ".join(line) + " |" for line in grid]
    lines.insert(1, "|---|" + "---:|" * (len(grid[0]) - 1))
    spread = f"mean and range (highest less lowest, after ±) of {seeds} seeds" if seeds > 1 else "one seed"
    told = f"Ours on the embedded world: {spread}; in brackets the change from the first row."
    return "\n".join([f"## {title}", "", f"`{command}`", "", *lines, "", " ".join([told, table.differs]).strip(), ""])


def _own(row: Mapping[str, Any], column: str) -> str:
    value = row["ours"].get(column)
    if value is None or math.isnan(value["mean"]):
        return ""
    spread = f" ± {value['spread']:.1f}" if value["seeds"] > 1 else ""
    change = row["change"].get(column, 0.0)
    return f"{value['mean']:.1f}{spread}" + (f" ({change:+.1f})" if change else "")


def _published(row: Mapping[str, Any], column: str) -> str:
    if column not in row["published"]:
        return ""
    change = row["published_change"].get(column, 0.0)
    return f"{row['published'][column]:.1f}" + (f" ({change:+.1f})" if change else "")


def _differences(setting: Setting, first: Setting) -> dict[str, float]:
    return {
        column: value - first.published[column]
        for column, value in setting.published.items()
        if column in first.published
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)
