"""One line a claim, as every benchmark prints it; the lines are gathered where NAMESAKE_CLAIMS names a file."""

import json
import os
from pathlib import Path
from typing import Literal


def claim(
    what: str,
    figure: str,
    *,
    ratio: float | None = None,
    to: str = "",
    target: tuple[Literal["at least", "at most"], float] | None = None,
    floor: str = "",
) -> None:
    """Print what was measured.

    Args:
        what: Of what, at which size.
        figure: Ours, with its unit.
        ratio: How many times as much the form that ours is held against takes; or ours of that, as `to` says.
        to: What the ratio compares.
        target: What the ratio has to be.
        floor: What no form could go below, as measured in the same run.
    """
    holds = None
    if ratio is not None and target is not None:
        holds = ratio >= target[1] if target[0] == "at least" else ratio <= target[1]
    entry = {
        "what": what,
        "figure": figure,
        "ratio": "" if ratio is None else f"{ratio:.2f} {to}".strip(),
        "floor": floor,
        "target": "" if target is None else f"{target[0]} {target[1]:g}",
        "holds": {None: "", True: "yes", False: "NO"}[holds],
    }
    parts = [figure, entry["ratio"], floor and f"floor {floor}", entry["target"] and f"target {entry['target']}"]
    print(f"claim: {what}: {'; '.join(part for part in parts if part)}{holds_in_words(holds)}", flush=True)
    if "NAMESAKE_CLAIMS" in os.environ:
        with Path(os.environ["NAMESAKE_CLAIMS"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def holds_in_words(holds: bool | None) -> str:
    """Whether the target is met, as the end of a line."""
    return {None: "", True: ": holds", False: ": DOES NOT HOLD"}[holds]
