"""Progress in a log file: plain lines at intervals, none when quiet; a bar on a terminal."""

import io
import sys
from collections.abc import Callable

import pytest

from namesake import progress
from namesake.progress import Meter, note, set_quiet, track


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What standard error, a file, got; lines for every item."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", -1.0)
    return lambda: capsys.readouterr().err


@pytest.fixture
def quiet():
    set_quiet(True)
    yield
    set_quiet(False)


def test_track__lines_in_a_log(log: Callable[[], str]):
    assert list(track(range(3), what="images", total=5, done=2)) == [0, 1, 2]
    text = log()
    lines = text.splitlines()
    assert [line.split(",")[0] for line in lines] == ["images: 3/5", "images: 4/5", "images: 5/5"]
    assert "s left" in lines[0]
    assert "s left" not in lines[-1]
    assert "\x1b" not in text
    assert "\r" not in text


def test_meter__detail_beside_the_count(log: Callable[[], str]):
    with Meter("training", total=None) as meter:
        meter.advance(4, detail="loss 0.5")
    text = log()
    assert text.startswith("training: 4, ")
    assert text.rstrip().endswith("loss 0.5")


def test_quiet__says_nothing(log: Callable[[], str], quiet: None):
    note("news")
    assert list(track("ab", what="letters")) == ["a", "b"]
    assert log() == ""


def test_note__markup_is_text(log: Callable[[], str]):
    note("[red]name[/red] of a file")
    assert log() == "[red]name[/red] of a file\n"


def test_track__bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track(range(2), what="images")) == [0, 1]
    assert "images" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()
    assert "\x1b" in terminal.getvalue()
