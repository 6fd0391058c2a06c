"""What a run learned from, without a word of it that the page would obey."""

from pathlib import Path

from namesake.app.browse import Browser


def test_examples__best_of_each_name(closed: Path, opened: Path):
    assert [image.shape for image in Browser(closed).examples()] == [(48, 60, 3)] * 2
    assert Browser(opened).examples() == []


def test_report__framed_and_inert(closed: Path, opened: Path):
    before = sorted(closed.rglob("*"))
    frame = Browser(closed).report()
    assert frame.startswith('<iframe class="report" sandbox ')
    assert frame.count("<") == 2  # the frame's own tags: all of the page within is escaped
    assert sorted(closed.rglob("*")) == before
    assert "no finished stage" in Browser(opened).report()
