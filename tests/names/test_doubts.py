import numpy as np
import pytest

from namesake.names import read_names
from namesake.names.doubts import find_doubts, say_doubts, say_wording, several_senses, spelled_alike
from namesake.records import Names


def unit(*angles: float) -> np.ndarray:
    return np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], axis=1).astype(np.float32)


def test_alike__pairs_by_cosine_the_most_alike_first():
    found = find_doubts(("sofa", "dog", "couch", "settee"), unit(0, 90, 10, 4))
    assert [(pair.first, pair.second) for pair in found.alike] == [
        ("sofa", "settee"),
        ("couch", "settee"),
        ("sofa", "couch"),
    ]
    assert found.alike[2].cosine == pytest.approx(np.cos(np.radians(10)), abs=1e-4)


def test_alike__words_of_one_label_may_be():
    text = unit(0, 1, 2)
    found = find_doubts(("dog", "hound", "wolf"), text, labels=(1, 1, 2))
    assert {(pair.first, pair.second) for pair in found.alike} == {("dog", "wolf"), ("hound", "wolf")}


def test_alike__across_blocks(monkeypatch: pytest.MonkeyPatch):
    words, text = tuple("abcdefg"), unit(*range(0, 70, 10))
    whole = find_doubts(words, text, least=0.98)
    monkeypatch.setattr("namesake.names.doubts.BLOCK", 2)
    assert find_doubts(words, text, least=0.98) == whole
    assert len(whole.alike) == 6


def test_unknown__read_like_nonsense_and_in_no_pair():
    found = find_doubts(("dog", "girafe", "okapi"), unit(0, 90, 90), nonsense=unit(90)[0])
    assert found == ((), ("girafe", "okapi"))


def test_say__what_to_do(capsys: pytest.CaptureFixture[str]):
    say_doubts(find_doubts(("a", "b"), unit(0, 1)), encoder="clip")
    say_doubts(find_doubts(("x", "y"), unit(0, 50), nonsense=unit(0)[0]), encoder="embedded:clip")
    said = " ".join(capsys.readouterr().err.split())
    assert "a / b (1.00)" in said
    assert "embedded:clip has no word for x;" in said


def test_say__nothing_when_all_is_well(capsys: pytest.CaptureFixture[str]):
    say_doubts(find_doubts(("a", "b"), unit(0, 60), nonsense=unit(180)[0]), encoder="clip")
    say_wording(Names(("dog", "park bench")))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        ("dog, dogs", [("dog", "dogs")]),
        ("boxes, box", [("box", "boxes")]),
        ("tv-monitor, TV monitor", [("tv-monitor", "TV monitor")]),
        ("glass, grass", []),
        ("bus, bush", []),
        ("as, a", [("a", "as")]),
    ],
)
def test_spelled_alike(names: str, pairs: list[tuple[str, str]]):
    assert list(spelled_alike(read_names(names))) == pairs


def test_several_senses__said_unless_a_synonym_settles_it(capsys: pytest.CaptureFixture[str]):
    plain = read_names("Mouse, dog")
    assert several_senses(plain) == {"Mouse": ("mouse animal", "computer mouse")}
    say_wording(plain)
    assert "Mouse (mouse animal or computer mouse)" in " ".join(capsys.readouterr().err.split())
    assert several_senses(read_names("mouse, computer mouse\ndog\n")) == {}
