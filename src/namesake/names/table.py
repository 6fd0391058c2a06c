"""Names in, the table that they were resolved to out, as lines for a log."""

from namesake.records import Names

SHOWN = 40


def table_of(names: Names) -> list[str]:
    """One line a label: the label, its name, the words that mean the same, and after "not" those that do not.

    Label 0 has the background words.

    Names beyond the first 40 are counted in a last line.
    """
    synonyms, against = names.synonyms or ((),) * len(names), names.against or ((),) * len(names)
    rows = list(zip(range(1, len(names) + 1), names.names, synonyms, against, strict=True))
    rows = [(0, "background", tuple(word for word in names.background if word != "background"), ()), *rows]
    lines = [
        f"{label:>5}  {name}{' = ' + ', '.join(others) if others else ''}{', not ' + ', '.join(out) if out else ''}"
        for label, name, others, out in rows
    ]
    rest = len(lines) - 1 - SHOWN
    return [*lines[: SHOWN + 1], f"       and {rest} more"] if rest > 0 else lines
