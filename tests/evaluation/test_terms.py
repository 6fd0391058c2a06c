import pytest

from namesake.errors import DataError
from namesake.evaluation.terms import terms_of
from namesake.names.spelling import match_names
from namesake.records import Names

IDS = {0: "background", 1: "dog", 2: "park_bench", 3: "grass"}


def test_labels__spelling_and_synonyms():
    names = Names(("Park Bench", "hound"), synonyms=((), ("DOG",)))
    assert match_names(IDS, names).labels == {0: 0, 1: 2, 2: 1, 3: 0}


def test_labels__a_name_goes_before_a_synonym():
    assert match_names(IDS, Names(("wolf", "dog"), synonyms=(("dog",), ()))).labels[1] == 2


def test_terms__unknown_ids_are_background():
    terms = terms_of(IDS, {0: "background", 1: "cat", 2: "dog"}, Names(("cat", "dog")))
    assert terms.names.names == ("dog",)
    assert terms.truths.tolist() == [0, 1, 0, 0]
    assert terms.predictions.tolist() == [0, 0, 1]


def test_terms__gaps_between_ids():
    terms = terms_of({0: "background", 7: "dog"}, {0: "background", 1: "dog"}, Names(("dog",)))
    assert terms.truths.tolist() == [0] * 7 + [1]


def test_terms__benchmark_without_background():
    predicted = {0: "background", 1: "dog", 2: "sky", 3: "cat"}
    terms = terms_of({0: "sky", 1: "dog"}, predicted, Names(("dog", "sky", "cat")))
    assert terms.names.names == ("dog", "sky")
    assert terms.truths.tolist() == [2, 1]
    assert terms.predictions.tolist() == [3, 1, 2, 3]


def test_terms__synonyms_stay_with_their_names():
    names = Names(("cat", "hound"), synonyms=(("tom",), ("dog",)))
    assert terms_of(IDS, IDS, names).names == Names(("hound",), synonyms=(("dog",),))


def test_terms__nothing_in_common():
    with pytest.raises(DataError, match=r"none of the names .* dog, park_bench, grass; asked are cat, cow"):
        terms_of(IDS, IDS, Names(("cat", "cow")))


def test_aliases__other_words_and_groups():
    truths = {0: "background", 3: "dining table", 7: "furniture"}
    aliases = {"diningtable": "dining table", "chair": "furniture", "couch": "furniture"}
    predicted = {0: "background", 1: "diningtable", 2: "Chair", 3: "couch", 4: "dog"}
    terms = terms_of(truths, predicted, Names(("diningtable", "Chair", "couch", "dog")), aliases=aliases)
    assert terms.names.names == ("dining table", "furniture")
    assert terms.predictions.tolist() == [0, 1, 2, 2, 0]
    assert (terms.truths[3], terms.truths[7]) == (1, 2)


def test_aliases__a_name_of_the_benchmark_stays():
    truths = {1: "table", 2: "dining table"}
    terms = terms_of(truths, {1: "table"}, Names(("table",)), aliases={"table": "dining table"})
    assert terms.names.names == ("table",)
