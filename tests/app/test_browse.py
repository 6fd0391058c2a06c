"""What a run learned from, without a word of it that the page would obey."""

from pathlib import Path

from namesake.app.browse import Browser


def test_sheet__of_a_name(closed: Path):
    browser = Browser(closed)
    assert browser.sheet(browser.names[0]).shape[2] == 3
    assert browser.sheet("../../../etc/passwd") is None


def test_masks__best_first_and_pages(closed: Path):
    browser = Browser(closed)
    html = browser.masks(browser.names[0], 1)
    scores = [float(part.split("<")[0]) for part in html.split("score ")[1:]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert "onerror=alert(1)>" not in html
    assert browser.masks(browser.names[0], 99) == browser.masks(browser.names[0], -5) == html
    assert "none" in browser.masks("unknown", 1)


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
