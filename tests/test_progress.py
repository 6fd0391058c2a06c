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


@pytest.fixture
def planned():
    progress.set_plan({"index": 60.0, "masks": 3600.0, "segmenter": 7200.0})
    yield
    progress.set_plan({})


def test_plan__which_stage_and_how_much_of_the_whole_is_left(
    log: Callable[[], str], planned: None, monkeypatch: pytest.MonkeyPatch
):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    progress.enter_stage("masks")
    with Meter("masks", total=100) as meter:
        meter.advance(50)
    assert log().startswith("stage 2 of 3: masks: 50/100, ")
    progress.enter_stage("masks")
    with Meter("masks", total=100) as meter:
        meter.advance(1)
    assert "h of all)" in log()
    progress.enter_stage("elsewhere")
    with Meter("masks", total=100) as meter:
        meter.advance(1)
    assert log().startswith("masks: 1/100")


def test_bytes__readable(log: Callable[[], str]):
    with Meter("model", total=2_000_000_000, unit="B") as meter:
        meter.advance(1_500_000)
    assert log().startswith("model: 1.5 MB/2 GB, ")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2.0 h"), (40_000, "11 h"), (200_000, "2 days")],
)
def test_duration(seconds: float, said: str):
    assert progress.duration(seconds) == said


@pytest.mark.parametrize(("columns", "there"), [("40", False), ("59", False), ("60", True), ("120", True)])
def test_narrow__times_are_not_cut(columns: str, there: bool, planned: None, monkeypatch: pytest.MonkeyPatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", columns)
    progress.enter_stage("masks")
    with Meter("masks", total=10) as meter:
        meter.advance(5)
    assert ("stage 2 of 3: masks" in terminal.getvalue()) == there
    assert ("2/3 masks" in terminal.getvalue()) != there
    assert "5/10" in terminal.getvalue()


def test_timing__the_first_step_counts_as_the_others(log: Callable[[], str], monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.timing() as seconds, Meter("training", total=3) as meter:
        for step in (100, 2, 2):
            now[0] += step
            meter.advance()
        now[0] += 7
    assert seconds == [(6.0, 111.0)]
    assert log() == ""
