from namesake.names import table_of
from namesake.records import Names


def test_table__labels_synonyms_and_background_words():
    names = Names(("dog", "park bench"), (("puppy", "hound"), ()), ("background", "sky"))
    assert table_of(names) == ["    0  background = sky", "    1  dog = puppy, hound", "    2  park bench"]


def test_table__many_names_are_counted():
    lines = table_of(Names(tuple(f"name {number}" for number in range(1, 101))))
    assert len(lines) == 42
    assert lines[40:] == ["   40  name 40", "       and 60 more"]


def test_table__context_words():
    names = Names(("crane", "dog"), (("crane bird",), ()), against=(("tower crane", "derrick"), ()))
    assert table_of(names)[1:] == ["    1  crane = crane bird, not tower crane, derrick", "    2  dog"]
