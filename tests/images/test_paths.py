"""Which path of another's file is which of ours."""

import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from namesake.images.paths import match_paths

OURS = ("a.jpg", "train/b.jpg", "train/été 1.jpg", "val/b.jpg", "100%.png", "val/c%20d.JPG")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("./a.jpg", "a.jpg"),
        ("/data/coco/a.jpg", "a.jpg"),
        ("images\\val\\b.jpg", "val/b.jpg"),
        ("C:\\train\\b.JPG", "train/b.jpg"),
        ("train//./b.jpg", "train/b.jpg"),
        (unicodedata.normalize("NFD", "train/été 1.jpg"), "train/été 1.jpg"),
        ("train/%C3%A9t%C3%A9%201.jpg", "train/été 1.jpg"),
        ("https://host:8080/x/train/%C3%A9t%C3%A9%201.jpg?size=2#top", "train/été 1.jpg"),
        ("été 1.jpg", "train/été 1.jpg"),
        ("100%.png", "100%.png"),
        ("x/100%25.png", "100%.png"),
        ("val/c d.jpg", "val/c%20d.JPG"),
        ("VAL/B.jpg", "val/b.jpg"),
    ],
)
def test_found(theirs: str, ours: str):
    assert match_paths([theirs], OURS).found == {theirs: ours}


@pytest.mark.parametrize("theirs", ["b.jpg", "other/b.jpg", "test\\b.JPG"])
def test_unclear__two_of_ours(theirs: str):
    matched = match_paths([theirs], OURS)
    assert (matched.found, matched.unknown) == ({}, (theirs,))
    assert "may be" in matched.unclear[0]
    assert "b.jpg" in matched.examples()


def test_unclear__two_of_theirs():
    matched = match_paths(["p/a.jpg", "q/a.jpg"], OURS)
    assert matched.found == {}
    assert matched.unknown == ("p/a.jpg", "q/a.jpg")


def test_the_better_fit_has_it():
    assert match_paths(["x/a.jpg", "a.jpg"], OURS).found == {"a.jpg": "a.jpg"}
    assert match_paths(["p/train/b.jpg", "q/train/b.JPG"], ["train/b.jpg"]).found == {"p/train/b.jpg": "train/b.jpg"}


def test_case__only_where_nothing_fits_better():
    assert match_paths(["x/B.jpg"], ["b.jpg", "B.jpg"]).found == {"x/B.jpg": "B.jpg"}
    assert match_paths(["x/B.JPG"], ["b.jpg", "B.jpg"]).found == {"x/B.JPG": "B.jpg"}
    assert match_paths(["x/B.jpg"], ["b.jpg"]).found == {"x/B.jpg": "b.jpg"}


def test_left_over__on_both_sides():
    matched = match_paths(["a.jpg", "gone.jpg"], ["a.jpg", "new.jpg"])
    assert (matched.unknown, matched.unused) == (("gone.jpg",), ("new.jpg",))
    assert "'gone.jpg'" in matched.examples()
    assert "'new.jpg'" in matched.examples()


names = st.text(st.characters(codec="utf-8", exclude_characters="/\\\0"), min_size=1, max_size=6).filter(
    lambda name: name not in {".", ".."}
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(paths, min_size=1, max_size=6, unique=True))
def test_any_paths__are_themselves(ours: list[str]):
    assert match_paths(ours, ours).found == {path: path for path in ours}


@settings(max_examples=200, deadline=None)
@given(paths, st.sampled_from(["./", "/data/", "C:\\x\\", "http://host/d/"]), st.booleans())
def test_any_path__with_folders_before_it(path: str, before: str, quoted: bool):
    theirs = before + (quote(path) if quoted or "http" in before else path)
    found = match_paths([theirs], [path]).found
    assert found == {theirs: path} or not any(character.isprintable() for character in path) or "%" in path


@settings(max_examples=200, deadline=None)
@given(st.lists(paths, max_size=6), st.lists(paths, max_size=6))
def test_any_two_lists__no_two_are_one(theirs: list[str], ours: list[str]):
    matched = match_paths(theirs, ours)
    assert len(set(matched.found.values())) == len(matched.found)
    assert set(matched.found) | set(matched.unknown) == set(theirs)
    assert set(matched.found.values()) | set(matched.unused) == set(ours)
