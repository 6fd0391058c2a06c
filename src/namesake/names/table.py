"""Names in, the table that they were resolved to out, as lines for a log."""

from namesake.records import Names

SHOWN = 40


def table_of(names: Names) -> list[str]:
    """One line a label: the label, its name, and the words that mean the same; label 0 has the background words.

    Names beyond the first 40 are counted in a last line.
    """
    synonyms = names.synonyms or ((),) * len(names)
    rows = [
        (label, name, others) for label, (name, others) in enumerate(zip(names.names, synonyms, strict=True), start=1)
    ]
    rows = [(0, "background", tuple(word for word in names.background if word != "background")), *rows]
    lines = [f"{label:>5}  {name}{' = ' + ', '.join(others) if others else ''}" for label, name, others in rows]
    rest = len(lines) - 1 - SHOWN
    return [*lines[: SHOWN + 1], f"       and {rest} more"] if rest > 0 else lines
