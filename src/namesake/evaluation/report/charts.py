"""Numbers in, pictures of lines and squares out, as SVG that follows the colours of the page. All words are escaped."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

WIDTH, HEIGHT, LEFT, BELOW = 640, 200, 48, 24
POINTS = 300
"""Points of a curve at most; further ones are averaged."""
CELL, CHARACTER, LONGEST = 24, 7, 16


def training_curve(metrics: Path) -> str:
    """The losses of a `metrics.jsonl` over the updates, as SVG; "" where there are fewer than two."""
    try:
        lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = [(float(line["iteration"]), float(line["loss"])) for line in lines if "loss" in line]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    points = np.array([each for each in found if np.isfinite(each).all()]).reshape(-1, 2)  # [points, iteration loss]
    if len(points) < 2:
        return ""
    return _curve(np.array([part.mean(axis=0) for part in np.array_split(points, min(POINTS, len(points)))]))


def confusion_matrix(shares: Float[ndarray, "labels columns"], words: Sequence[str]) -> str:
    """Which share of each true name's pixels (rows, percent) is predicted as which name (columns), as SVG.

    Args:
        shares: 0 to 100; NaN in the rows of names that occur nowhere.
        words: Words of the rows, and then of further columns.
    """
    rows, columns = shares.shape
    # room for the longest word on the left and on top
    short = [word if len(word) <= LONGEST else f"{word[: LONGEST - 1]}…" for word in words]
    margin = CHARACTER * max(map(len, short)) + 12
    width, height = margin + columns * CELL + 8, margin + rows * CELL + 8
    parts = []
    for row in range(rows):
        y = margin + row * CELL
        parts.append(f'<text x="{margin - 6}" y="{y + CELL / 2}" class="end">{escape(short[row])}</text>')
        for column in range(columns):
            share = shares[row, column]
            if not share > 0.05:  # neither a share nor anything to see
                continue
            kind = "right" if row == column else "wrong"
            told = escape(f"{words[row]} taken for {words[column]}: {share:.1f} %")
            parts.append(
                f'<rect x="{margin + column * CELL}" y="{y}" width="{CELL - 1}" height="{CELL - 1}" class="{kind}" '
                f'fill-opacity="{0.08 + 0.92 * share / 100:.2f}"><title>{told}</title></rect>'
            )
            if share >= 9.5:
                parts.append(
                    f'<text x="{margin + column * CELL + CELL / 2}" y="{y + CELL / 2}" '
                    f'class="cell{" on" if share > 55 else ""}">{share:.0f}</text>'
                )
    for column in range(columns):
        x = margin + column * CELL + CELL / 2
        parts.append(f'<text transform="translate({x} {margin - 6}) rotate(-90)">{escape(short[column])}</text>')
    grid = f'<rect x="{margin}" y="{margin}" width="{columns * CELL}" height="{rows * CELL}" class="frame"/>'
    return _svg(width, height, f"{grid}{''.join(parts)}", "matrix", "Confusion matrix: rows are true names")


def _curve(points: Float[ndarray, "points 2"]) -> str:
    (first, low), (last, high) = points.min(axis=0), points.max(axis=0)
    # the axis begins at 0 unless the curve stays in the upper half
    low = min(low, 0.0) if low < 0.5 * high else low
    spread = np.array([max(last - first, 1e-9), max(high - low, 1e-9)])
    scaled = (points - (first, low)) / spread
    x = LEFT + scaled[:, 0] * (WIDTH - LEFT - 12)
    # y of a picture points down
    y = HEIGHT - BELOW - scaled[:, 1] * (HEIGHT - BELOW - 12)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    ticks = "".join(
        f'<text x="{LEFT - 6}" y="{place}" class="end">{value:.3g}</text>'
        f'<line x1="{LEFT}" x2="{WIDTH - 12}" y1="{place}" y2="{place}"/>'
        for value, place in ((high, 12), ((high + low) / 2, (12 + HEIGHT - BELOW) / 2), (low, HEIGHT - BELOW))
    )
    ends = (
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{first:,.0f}</text>'
        f'<text x="{WIDTH - 12}" y="{HEIGHT - 6}" class="end">{last:,.0f} updates</text>'
    )
    told = f"Loss from {points[0, 1]:.3g} at the start to {points[-1, 1]:.3g} at the end"
    return _svg(WIDTH, HEIGHT, f'{ticks}{ends}<polyline points="{line}"/>', "curve", told)


def _svg(width: float, height: float, content: str, kind: str, told: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" '
        f'aria-label="{escape(told, quote=True)}">{content}</svg>'
    )
