"""Measured and published values of a table in, rows for machines and Markdown for people out."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from namesake.reproduce.table import Outcome, Setting, Table

WIDEST = 18
"""Columns; a table of more is turned round."""


def rows_of(table: Table, measured: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    """A row a setting: `setting`, `ours` (mean, spread, seeds by column), `published`, and the `change` of both.

    The change is the difference from the first setting that was run: what an ablation is about, and all that can be
    compared between the embedded world and the benchmark of the paper. `difference` is ours less the published, where
    a column is both. `data_sets` are what the run's models were made from, `published_data_sets` what the paper names.
    """
    first = next(setting for setting in table.settings if setting.label in measured)
    return [
        _row(setting, measured.get(setting.label, Outcome({})), first, measured[first.label])
        for setting in table.settings
        if setting.label in measured or setting.published or setting.trained_on
    ]


def _row(setting: Setting, outcome: Outcome, first: Setting, base: Outcome) -> dict[str, Any]:
    means = {column: _mean(values) for column, values in outcome.values.items()}
    published = dict(setting.published)
    return {
        "setting": setting.label,
        "regime": outcome.regime,
        "tier": outcome.tier,
        "ours": {
            column: {"mean": means[column], "spread": max(values) - min(values), "seeds": len(values)}
            for column, values in outcome.values.items()
        },
        "published": published,
        "change": {
            column: mean - _mean(base.values[column]) for column, mean in means.items() if column in base.values
        },
        "published_change": {
            column: value - first.published[column] for column, value in published.items() if column in first.published
        },
        "difference": {column: means[column] - value for column, value in published.items() if column in means},
        "data_sets": list(outcome.data_sets),
        "published_data_sets": setting.trained_on,
    }


def markdown(title: str, table: Table, measured: Mapping[str, Outcome], *, command: str, real: bool = False) -> str:
    """A section: what was measured, a table of ours beside the published, how it differs, and the command that made it.

    Args:
        title: Heading of the section.
        table: The table.
        measured: Outcomes by the label of their setting.
        command: Command that measured them.
        real: Whether that was on real data.
    """
    rows = rows_of(table, measured)
    measured_ones = list(dict.fromkeys(column for row in rows for column in row["ours"]))
    # a table of several real data sets has a column for each
    ours = measured_ones if real and len(table.benchmarks) > 1 else list(table.columns) or measured_ones
    theirs = list(dict.fromkeys(column for row in rows for column in row["published"]))
    seeds = max(value["seeds"] for row in rows for value in row["ours"].values())
    about_data = any(row["published_data_sets"] for row in rows)
    head = ["setting", "regime, tier", *(f"{one}, ours" for one in ours), *(f"{one}, published" for one in theirs)]
    head += ["data, ours", "data, published"] if about_data else []
    cells = [
        [
            row["setting"],
            f"{row['regime']}, {row['tier']}" if row["tier"] else "",
            *(_count(row, column) if table.counts else _own(row, column) for column in ours),
            *(_published(row, column) for column in theirs),
            *(["; ".join(row["data_sets"]), row["published_data_sets"]] if about_data else []),
        ]
        for row in rows
    ]
    grid = [head, *cells] if len(head) <= WIDEST else [list(line) for line in zip(head, *cells, strict=True)]
    lines = ["| " + " | ".join(line) + " |" for line in grid]
    lines.insert(1, "|---|" + "---:|" * (len(grid[0]) - 1))
    spread = f"mean ± range (highest less lowest) of {seeds} seeds" if seeds > 1 else "one seed"
    change = "counts" if table.counts else "in brackets the change from the first row"
    differs = table.real_differs if real else table.differs
    days = sorted({outcome.measured for outcome in measured.values()} - {""})
    when = f", measured {days[0]}" if days else ""  # the earliest, where rows are of several days
    return "\n".join(
        [f"## {title}", "", f"`{command}`", "", *lines, "", f"Ours: {spread}{when}; {change}. {differs}".strip(), ""]
    )


def _count(row: Mapping[str, Any], column: str) -> str:
    value = row["ours"].get(column)
    if value is None:
        return ""
    return f"{value['mean']:,.0f}" + (f" ± {value['spread']:,.0f}" if value["spread"] else "")


def _own(row: Mapping[str, Any], column: str) -> str:
    value = row["ours"].get(column)
    if value is None or math.isnan(value["mean"]):
        return ""
    spread = f" ± {value['spread']:.1f}" if value["seeds"] > 1 else ""
    return f"{value['mean']:.1f}{spread}" + _signed(row["change"].get(column, 0.0))


def _published(row: Mapping[str, Any], column: str) -> str:
    if column not in row["published"]:
        return ""
    return f"{row['published'][column]:.1f}" + _signed(row["published_change"].get(column, 0.0))


def _signed(change: float) -> str:
    return f" ({change:+.1f})" if abs(change) >= 0.05 else ""


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
