import json
from pathlib import Path

import numpy as np
import pytest

from namesake.archives.notes import say, take_notes, write_notes
from namesake.archives.store import Entries
from namesake.records import Names


def entries_of(lists: list[list[tuple[int, float]]]) -> Entries:
    archive = np.array([label for label, some in enumerate(lists, start=1) for _ in some], dtype=np.int64)
    row = np.array([row for some in lists for row, _ in some], dtype=np.int64)
    score = np.array([score for some in lists for _, score in some], dtype=np.float32)
    return Entries(archive, row, score, archive)


LISTS = [[(1, 0.30), (2, 0.29)], [(2, 0.28), (1, 0.27), (3, 0.2)], [(3, 0.31)], [(9, 0.22)]]


def test_weak__below_the_median_by_more_than_the_margin():
    found = entries_of(LISTS)
    assert take_notes(found, found, names=4, asked=2).weak == (4,)
    close = entries_of([*LISTS[:3], [(9, 0.25)]])
    assert take_notes(close, close, names=4, asked=2).weak == ()


def test_weak__one_name_alone_never_is():
    found = entries_of([[(1, 0.01)]])
    assert take_notes(found, found, names=1, asked=1).weak == ()


def test_short__by_what_was_kept():
    kept = entries_of([[(1, 0.3)], [], [(3, 0.3), (4, 0.2)], []])
    notes = take_notes(entries_of(LISTS), kept, names=4, asked=2)
    assert notes.sizes.tolist() == [1, 0, 2, 0]
    assert notes.short == (1, 2, 4)


def test_pairs__most_shared_first():
    found = entries_of(LISTS)
    assert take_notes(found, found, names=4, asked=2).pairs == ((1, 2, 2), (2, 3, 1))


def test_name_without_a_found_image__no_score(tmp_path: Path):
    found = entries_of([[(1, 0.3)], []])
    notes = take_notes(found, found, names=2, asked=1)
    assert np.isnan(notes.best[1])
    assert notes.weak == ()
    write_notes(tmp_path, notes, Names(("dog", "cat")))
    written = json.loads((tmp_path / "notes.json").read_text(encoding="utf-8"))
    assert written["names"][1] == {"label": 2, "name": "cat", "images": 0, "best_score": None}
    assert written["short"] == {"cat": 0}
    assert written["weak_margin"] == 0.05


def test_say__nothing_when_all_is_well(capsys: pytest.CaptureFixture[str]):
    found = entries_of([[(1, 0.3)], [(2, 0.3)]])
    notes = take_notes(found, found, names=2, asked=1)
    say(notes, Names(("dog", "cat")), asked=1, images=2, contested=0, rule="last")
    assert capsys.readouterr().err == ""


def test_say__archives_nearly_the_same(capsys: pytest.CaptureFixture[str]):
    found = entries_of([[(1, 0.3), (2, 0.29)], [(2, 0.28), (1, 0.27)], [(3, 0.31), (4, 0.3)], [(4, 0.3), (9, 0.2)]])
    notes = take_notes(found, found, names=4, asked=2)
    say(notes, Names(("sofa", "couch", "dog", "cat")), asked=2, images=5, contested=2, rule="best")
    said = " ".join(capsys.readouterr().err.split())
    assert "sofa / couch (2), dog / cat (1)" in said


def test_say__archives_of_the_whole_collection_are_no_news(capsys: pytest.CaptureFixture[str]):
    found = entries_of([[(1, 0.3), (2, 0.29)], [(2, 0.28), (1, 0.27)]])
    notes = take_notes(found, found, names=2, asked=2)
    say(notes, Names(("sofa", "dog")), asked=2, images=2, contested=0, rule="best")
    assert capsys.readouterr().err == ""
