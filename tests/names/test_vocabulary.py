import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from namesake.errors import NamesError
from namesake.names import entries, read_names, write_names
from namesake.records import Names


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_comma_list():
    assert read_names("dog, cat,park  bench ,, tv/monitor,") == Names(("dog", "cat", "park bench", "tv/monitor"))


def test_comma_list__british_spelling_and_case_kept():
    assert read_names("Aeroplane, grey fox").names == ("Aeroplane", "grey fox")


def test_comma_list__background_is_label_0():
    assert read_names("background, dog") == Names(("dog",))


def test_text_with_line_breaks__read_as_a_file():
    assert read_names("dog\ncat, kitten\n") == Names(("dog", "cat"), synonyms=((), ("kitten",)))


def test_file__one_name_a_line(tmp_path: Path):
    file = write(tmp_path / "names.txt", "\ufeff# pets\r\ndog\r\n\r\n  cat \r\n")
    assert read_names(file) == read_names(str(file)) == Names(("dog", "cat"))


def test_file__old_mac_line_ends(tmp_path: Path):
    assert read_names(write(tmp_path / "names.txt", "dog\rcat\r")).names == ("dog", "cat")


def test_file__synonyms_and_background(tmp_path: Path):
    file = write(tmp_path / "cls.txt", "background, sky, wall\nperson, man, woman, Person\ntv/monitor\n")
    assert read_names(file) == Names(("person", "tv/monitor"), (("man", "woman"), ()), ("background", "sky", "wall"))


def test_file__one_line_with_commas_is_one_name_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert read_names(write(tmp_path / "names.txt", "dog, cat")) == Names(("dog",), (("cat",),))
    assert "put each on a line" in " ".join(capsys.readouterr().err.split())


def test_file__any_name_when_it_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "classes", "dog\ncat")
    assert read_names("classes").names == ("dog", "cat")


@pytest.mark.parametrize(
    "content",
    [
        '["dog", "cat, kitten"]',
        '{"1": "dog", "2": "cat, kitten"}',
        '{"0": "background", "1": "dog", "2": "cat, kitten", "255": "not sure"}',
        '{"2": "cat, kitten", "1": "dog"}',
        '{"dog": "dog", "kitten": "cat"}',
        '{"names": {"1": "dog", "2": "cat"}, "synonyms": {"cat": ["kitten"]}}',
        '{"names": ["dog", "cat, kitten"], "nc": 2}',
    ],
)
def test_json(tmp_path: Path, content: str):
    assert read_names(write(tmp_path / "names.json", content)) == Names(("dog", "cat"), ((), ("kitten",)))


def test_json__ids_from_0_without_background_are_said_to_move(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert read_names(write(tmp_path / "id2label.json", '{"0": "dog", "1": "cat"}')).names == ("dog", "cat")
    assert "id plus 1" in " ".join(capsys.readouterr().err.split())


def test_json__prompts_of_one_name_are_synonyms(tmp_path: Path):
    file = write(tmp_path / "ontology.json", '{"a red car": "car", "truck": "car", "dog": "dog"}')
    assert read_names(file) == Names(("car", "dog"), (("a red car", "truck"), ()))


def test_yaml__ultralytics(tmp_path: Path):
    file = write(tmp_path / "data.yaml", "path: data\nnames:\n  0: background\n  1: dog\n  2: cat\n")
    assert read_names(file) == Names(("dog", "cat"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"1": "dog", "3": "cat"}', "without gaps"),
        ('{"2": "dog", "3": "cat"}', "missing [1]"),
        ('{"1": "dog", "01": "cat"}', "an id is there twice"),
        ('{"-1": "dog"}', "without gaps"),
        ('{"1": "dog", "1": "cat"}', "the key '1' is there twice"),
        ('{"1": 5}', "id 1: expected a text, found 5"),
        ('["dog", null]', "item 2: expected a text"),
        ('"dog"', "expected a list of names"),
        ('{"dog": ""}', "empty name"),
        ('{"names": ["dog"], "synonyms": {"cat": ["kitten"]}}', "which is not one of the names"),
        ('{"names": ["dog"], "synonyms": ["kitten"]}', "expected a list of words"),
        ("{", "is not JSON"),
        ("{}", "expected at least one name"),
        ("[]", "expected at least one name"),
    ],
)
def test_json__malformed(tmp_path: Path, content: str, said: str):
    with pytest.raises(NamesError) as error:
        read_names(write(tmp_path / "names.json", content))
    assert said in str(error.value)


def test_yaml__malformed(tmp_path: Path):
    with pytest.raises(NamesError, match="is not YAML"):
        read_names(write(tmp_path / "names.yaml", "a: [1"))


@pytest.mark.parametrize("text", ["", "  ", " , ,", "background", "\n \n"])
def test_no_names(text: str):
    with pytest.raises(NamesError, match="expected at least one name"):
        read_names(text)


def test_no_names__file_of_comments(tmp_path: Path):
    with pytest.raises(NamesError, match=r"names.txt: expected at least one name"):
        read_names(write(tmp_path / "names.txt", "# nothing\n\n"))


def test_twice__says_which_and_where(tmp_path: Path):
    with pytest.raises(NamesError, match=r"'DOG' in line 3 is the same as 'dog' in line 1"):
        read_names(write(tmp_path / "names.txt", "dog\ncat\nDOG\n"))
    with pytest.raises(NamesError, match=r"'Straße' in item 2 is the same as 'STRASSE' in item 1"):
        read_names("STRASSE, Straße")


def test_twice__composed_and_decomposed_letters():
    with pytest.raises(NamesError, match="is the same as"):
        read_names("caf\u00e9, cafe\u0301")


def test_synonym_of_two_names__allowed_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = read_names(write(tmp_path / "names.txt", "screen door, screen\nScreen\nbackground, door\ndoor\n"))
    assert names.synonyms == (("screen",), (), ())
    said = " ".join(capsys.readouterr().err.split())
    assert "'screen' stands for 'screen door' and 'Screen'" in said
    assert "'door' stands for 'background' and 'door'" in said


def test_not_utf8__says_byte_and_line(tmp_path: Path):
    with pytest.raises(NamesError, match=r"names.txt is not UTF-8: byte 0xe9 in line 2"):
        read_names(write(tmp_path / "names.txt", b"dog\ncaf\xe9\n"))


@pytest.mark.parametrize("text", ["names.txt", "missing/names.json", "/no/such/names", "./names", "~/names"])
def test_missing_file(text: str):
    with pytest.raises(NamesError, match="expected a file with names"):
        read_names(text)
    with pytest.raises(NamesError, match="expected a file with names"):
        read_names(Path(text))


def test_missing_file__a_name_with_a_slash_is_a_name():
    assert read_names("tv/monitor").names == ("tv/monitor",)


@pytest.mark.parametrize("text", ["do\x00g", "do\x1bg", "dog, \u202etac", "do\u2028g", "\ud800"])
def test_control_characters(text: str):
    with pytest.raises(NamesError, match="control character U\\+"):
        read_names(text)


def test_invisible_characters_and_tabs_go():
    assert read_names("\u200bdog\ufeff, park\tbench, hot\u00a0dog").names == ("dog", "park bench", "hot dog")


def test_too_long():
    with pytest.raises(NamesError, match="item 2 is 5000 characters long"):
        read_names("dog, " + "x" * 5000)


def test_too_many(monkeypatch: pytest.MonkeyPatch):
    assert entries.MOST_NAMES == 2**16 - 2  # 16 bits hold them, background and "not sure"
    monkeypatch.setattr(entries, "MOST_NAMES", 3)
    assert len(read_names("a, b, c")) == 3
    with pytest.raises(NamesError, match="4 names; at most 3"):
        read_names("a, b, c, d")


def test_folder_is_not_a_file(tmp_path: Path):
    with pytest.raises(NamesError, match="expected a file"):
        read_names(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        Names(("dog", "cat")),
        Names(("dog", "tv/monitor"), (("hound", "Puppy"), ()), ("background", "sky")),
        Names(("10", "9")),
        Names(("dog",), background=("sky",)),
        Names(("dog",), background=()),
    ],
)
def test_write_names__read_back(tmp_path: Path, names: Names):
    write_names(names, tmp_path / "names.json")
    assert read_names(tmp_path / "names.json") == names


def test_write_names__labels_are_plain(tmp_path: Path):
    write_names(Names(("dog", "café")), tmp_path / "names.json")
    assert json.loads((tmp_path / "names.json").read_text(encoding="utf-8"))["names"] == {"1": "dog", "2": "café"}


@pytest.mark.data
def test_published_lists__accepted(tmp_path: Path, shared: Path):
    lists = json.loads((shared / "reference" / "categories.json").read_text(encoding="utf-8"))
    published = [
        lists["voc2012"]["names_used_for_retrieval_and_text"],
        lists["imagenet_s"]["names_919"],
        lists["coca"]["names"],
        lists["reco_coco_stuff"]["fine_171"],
    ]
    for words in published:
        assert read_names(write(tmp_path / "names.txt", "\n".join(words))).names == tuple(words)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text__names_or_a_named_error(text: str):
    try:
        names = read_names(text)
    except NamesError:
        return
    assert names.names
    assert len({name.casefold() for name in names.names}) == len(names)
    assert all(name == name.strip() and "," not in name for name in names.names)
    # with a comma behind it, one name is a list, whatever it looks like: a folder, or words with ";" between them
    again = read_names(", ".join(names.names) + ",").names
    assert again == names.names or names.names[0].startswith(("#", "~", "/", "."))


def test_synonyms_of_a_misspelled_name__nearest_is_suggested(tmp_path: Path):
    file = write(tmp_path / "names.json", '{"names": ["park bench"], "synonyms": {"parkbench": ["seat"]}}')
    with pytest.raises(NamesError, match="Did you mean 'park bench'"):
        read_names(file)


def test_read_names__context_words_say_what_a_name_is_not(tmp_path: Path) -> None:
    lines = "crane, crane bird, - tower crane, -derrick\ndog\n"
    names = read_names(lines)
    assert read_names(lines.replace("- tower", "\u2013 tower").replace("-derrick", "\u2014derrick")) == names
    assert (names.names, names.synonyms) == (("crane", "dog"), (("crane bird",), ()))
    assert names.against == (("tower crane", "derrick"), ())
    write_names(names, tmp_path / "names.json")
    assert read_names(tmp_path / "names.json") == names


def test_read_names__context_word_without_a_name() -> None:
    with pytest.raises(NamesError, match="without a name"):
        read_names("dog, - tower crane")


def test_read_names__context_words_of_a_name_that_is_not_there(tmp_path: Path) -> None:
    file = write(tmp_path / "names.json", '{"names": ["dog"], "against": {"crane": ["tower crane"]}}')
    with pytest.raises(NamesError, match="context words for 'crane'"):
        read_names(file)


@pytest.mark.parametrize("text", ["dog;cat", "dog | cat"])
def test_names__other_separators_are_asked_about(text: str):
    with pytest.raises(NamesError, match="Write 'dog, cat'"):
        read_names(text)


def test_names__a_folder_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "dog").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NamesError, match=r"dog is a folder here.*add a comma behind it"):
        read_names("dog")
    assert read_names("dog,").names == ("dog",)
    assert read_names("dog, cat").names == ("dog", "cat")


def test_read_names__names_that_were_read_already():
    names = Names(("dog", "cat"), background=())
    assert read_names(names) is names
