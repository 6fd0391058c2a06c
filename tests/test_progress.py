"""Progress in a log file: plain lines at intervals, none when quiet; a bar on a terminal."""

import io
import sys

import pytest

from namesake import progress
from namesake.progress import Meter, note, set_quiet, track


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Standard error that is a file, and lines for every item."""
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", -1.0)
    return file


@pytest.fixture
def quiet():
    set_quiet(True)
    yield
    set_quiet(False)


def test_track__lines_in_a_log(log: io.StringIO):
    assert list(track(range(3), what="images", total=5, done=2)) == [0, 1, 2]
    lines = log.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["images: 3/5", "images: 4/5", "images: 5/5"]
    assert "s left" in lines[0]
    assert "s left" not in lines[-1]
    assert "\x1b" not in log.getvalue()
    assert "\r" not in log.getvalue()


def test_meter__detail_beside_the_count(log: io.StringIO):
    with Meter("training", total=None) as meter:
        meter.advance(4, detail="loss 0.5")
    assert log.getvalue().startswith("training: 4, ")
    assert log.getvalue().rstrip().endswith("loss 0.5")


def test_quiet__says_nothing(log: io.StringIO, quiet: None):
    note("news")
    assert list(track("ab", what="letters")) == ["a", "b"]
    assert log.getvalue() == ""


def test_note__markup_is_text(log: io.StringIO):
    note("[red]name[/red] of a file")
    assert log.getvalue() == "[red]name[/red] of a file\n"


def test_track__bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track(range(2), what="images")) == [0, 1]
    assert "images" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()
    assert "\x1b" in terminal.getvalue()
