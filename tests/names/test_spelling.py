"""When two spellings are one name, wherever names of two sources meet."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from namesake.errors import NamesError
from namesake.names import read_names
from namesake.names.spelling import match_names, plain, spelling, tidy
from namesake.records import Names

CAFE = "caf\u00e9"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (unicodedata.normalize("NFD", CAFE), CAFE),
        ("CAF\u00c9", CAFE),
        ("\uff44\uff4f\uff47", "dog"),  # full width
        ("do\u00adg\u200b", "dog"),
        ("\ufeffdog", "dog"),
        ("do\u200dg", "dog"),
        ("park\u00a0 bench", "park bench"),
        ("park_bench", "park bench"),
        ("park\u2010bench", "park-bench"),
        ("Park-Bench", "park bench"),
        ("STRASSE", "stra\u00dfe"),
        ("cat, kitten", "cat"),
        ("puss, cat", "cat"),
        ("cat, - lion", "cat"),
        ("cat", "cat, kitten"),
        ("kitten", "cat, kitten"),
    ],
)
def test_one_name(theirs: str, ours: str):
    assert match_names({5: theirs}, Names((ours,))) == ({5: 1}, (), ())


@pytest.mark.parametrize(("theirs", "ours"), [("dogs", "dog"), ("parkbench", "park bench"), ("cat, kitten", "kit")])
def test_two_names(theirs: str, ours: str):
    assert match_names({5: theirs}, Names((ours,))) == ({5: 0}, (theirs,), (ours,))


def test_underscore__as_the_vocabulary_has_it():
    both = Names(("park bench", "park_bench"))
    assert match_names({1: "park_bench", 2: "Park Bench", 3: "park-bench"}, both).labels == {1: 2, 2: 1, 3: 1}


def test_names_before_synonyms_and_background_is_0():
    names = Names(("wolf", "dog", "sky"), (("dog",), (), ("Background",)))
    assert match_names({0: "BACKGROUND", 1: "Dog"}, names) == ({0: 0, 1: 2}, (), ("wolf", "sky"))


@pytest.mark.parametrize("other", ["\uff44\uff4f\uff47", "d\u200cog", "Dog\ufe0f"])
def test_vocabulary__the_same_rule(other: str):
    with pytest.raises(NamesError, match="is the same as 'dog' in item 1"):
        read_names(["dog", other])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=12))
def test_any_name__forms_are_settled(name: str):
    for form in (tidy, spelling, plain):
        assert form(form(name)) == form(name)
    assert spelling(unicodedata.normalize("NFD", name)) == spelling(name)
    assert spelling(f"\u200b {name}\ufeff") == spelling(name)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5))
def test_any_vocabulary__finds_itself(lines: list[str]):
    try:
        names = read_names(lines)
    except NamesError:
        return
    assert match_names(dict(enumerate(names.names, start=1)), names).labels == {
        label: label for label in range(1, len(names) + 1)
    }
