"""What must be known of a result is said, kept with what was being made, and read back."""

import json
from pathlib import Path

import pytest

from namesake import notices
from namesake.notices import Notice, as_record, caution, collecting, notices_in, repeat, unknown_names
from namesake.workspace import RECORD, read_notices, write_json


@pytest.fixture(autouse=True)
def unsaid() -> None:
    """Nothing was said in this process yet."""
    notices._said.clear()


def test_html__escaped_with_code() -> None:
    assert Notice("<b> & `a --x '1'`, `b`").html == "&lt;b&gt; &amp; <code>a --x &#x27;1&#x27;</code>, <code>b</code>"


def test_caution__said_and_kept_by_all_that_collect(capsys: pytest.CaptureFixture[str]) -> None:
    with collecting() as run:
        caution("first", unknown=("cat",))
        with collecting() as stage:
            caution("second")
            caution("second")
        caution("")
    caution("outside")
    assert run == [Notice("first", ("cat",)), Notice("second")]
    assert stage == [Notice("second")]
    assert capsys.readouterr().err.splitlines() == ["first", "second", "second", "outside"]


def test_caution__once_a_process_but_kept_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with collecting() as run:
            caution("embedded", once=True)
        assert run == [Notice("embedded")]
    repeat(run)
    assert capsys.readouterr().err == "embedded\n"


def test_record__there_and_back_and_none_of_nothing() -> None:
    kept = [Notice("first", ("cat", "dog")), Notice("second")]
    assert notices_in(json.loads(json.dumps(as_record(kept)))) == kept
    assert as_record([]) == {}
    assert unknown_names(kept) == {"cat", "dog"}


@pytest.mark.parametrize("record", [None, [], {"notices": 3}, {"notices": [3]}, {"notices": [{"text": "x"}]}])
def test_record__damaged_has_none(record: object) -> None:
    assert notices_in(record) == []


def test_read__run_its_stages_and_its_segmenter(tmp_path: Path) -> None:
    run, stage = Notice("of the run"), Notice("of a stage", ("cat",))
    write_json(tmp_path / RECORD, as_record([run, stage]))
    write_json(tmp_path / "archives" / "manifest.json", as_record([stage]))
    write_json(tmp_path / "masks" / "saliency" / "manifest.json", as_record([Notice("of masks")]))
    (tmp_path / "segmenter").mkdir()
    assert read_notices(tmp_path) == read_notices(tmp_path / "segmenter") == [run, stage, Notice("of masks")]
    assert read_notices(tmp_path / "masks" / "saliency") == []
