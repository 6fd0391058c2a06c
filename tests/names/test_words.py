import pytest

from namesake.errors import NamesError
from namesake.names.words import SENTENCES, with_background, words_of
from namesake.records import Names


def test_words__background_first_then_each_name_with_its_synonyms() -> None:
    names = Names(("dog", "bench"), synonyms=(("puppy", "hound"), ()), background=("sky", "grass"))
    assert words_of(names) == (("sky", "grass", "dog", "puppy", "hound", "bench"), (0, 0, 1, 1, 1, 2))


def test_words__no_synonyms_and_no_background_words() -> None:
    assert words_of(Names(("dog",), background=())) == (("dog",), (1,))


def test_with_background__where_there_is_no_word_for_it() -> None:
    assert words_of(with_background(Names(("dog",), background=()))) == (("background", "dog"), (0, 1))
    assert with_background(Names(("dog",), background=("sky",))).background == ("sky",)


def test_words__no_name() -> None:
    with pytest.raises(NamesError, match="at least one name"):
        words_of(Names(()))


def test_sentences__the_published_one_and_the_85() -> None:
    assert SENTENCES["photo"] == ('a photo of a "{}"',)
    assert len(SENTENCES["templates"]) == 85
    assert SENTENCES["bare"] == ("{}",)
