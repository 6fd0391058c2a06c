import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from namesake.archives.contest import settle
from namesake.archives.store import Entries


def entries_of(lists: dict[int, list[tuple[int, float]]]) -> Entries:
    """Archives as {label: [(row, score), ...]}."""
    flat = [(label, row, score) for label, some in lists.items() for row, score in some]
    archive, row, score = (np.array(column) for column in zip(*flat, strict=True))
    return Entries(archive.astype(np.int64), row.astype(np.int64), score.astype(np.float32), archive.astype(np.int64))


def plain(entries: Entries) -> list[tuple[int, int, int]]:
    return list(zip(entries.archive.tolist(), entries.row.tolist(), entries.label.tolist(), strict=True))


THREE = {1: [(5, 0.9), (6, 0.8)], 2: [(6, 0.8), (7, 0.7)], 3: [(5, 0.95), (8, 0.5)]}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("last", [(1, 5, 3), (1, 6, 2), (2, 6, 2), (2, 7, 2), (3, 5, 3), (3, 8, 3)]),
        ("best", [(1, 6, 1), (2, 7, 2), (3, 5, 3), (3, 8, 3)]),  # image 6: equal scores, the first name keeps it
        ("drop", [(2, 7, 2), (3, 8, 3)]),
    ],
)
def test_settle(rule: str, expected: list[tuple[int, int, int]]):
    kept, contested = settle(entries_of(THREE), rule)
    assert plain(kept) == expected
    assert contested == 2


def test_settle__nothing_contested():
    entries = entries_of({1: [(3, 0.9)], 2: [(1, 0.8)]})
    for rule in ("last", "best", "drop"):
        kept, contested = settle(entries, rule)
        assert plain(kept) == [(1, 3, 1), (2, 1, 2)]
        assert contested == 0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sets(st.integers(0, 9), max_size=6), min_size=1, max_size=6), st.integers(0, 1000))
def test_settle__by_definition(lists: list[set[int]], seed: int):
    rng = np.random.default_rng(seed)
    named = {label: [(row, float(rng.integers(0, 4))) for row in some] for label, some in enumerate(lists, start=1)}
    if not any(lists):
        return
    entries = entries_of(named)
    listing = {row: [label for label, some in named.items() if row in dict(some)] for row in range(10)}
    last, _ = settle(entries, "last")
    assert plain(last) == [(label, row, listing[row][-1]) for label, some in named.items() for row, _ in some]
    best, _ = settle(entries, "best")
    winner = {
        row: max(labels, key=lambda label, row=row: (dict(named[label])[row], -label))
        for row, labels in listing.items()
        if labels
    }
    assert plain(best) == [
        (label, row, label) for label, some in named.items() for row, _ in some if winner[row] == label
    ]
    drop, contested = settle(entries, "drop")
    assert plain(drop) == [
        (label, row, label) for label, some in named.items() for row, _ in some if len(listing[row]) == 1
    ]
    assert contested == sum(len(labels) > 1 for labels in listing.values())
