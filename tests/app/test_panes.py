"""The HTML that shows what was found."""

import base64
import io
import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from PIL import Image

from namesake.app.look import Found
from namesake.app.panes import Shown, legend, panes, parts_of, waiting
from namesake.prediction.colours import colours_of
from namesake.records import Names, Prediction

GREY = np.full((10, 20, 3), 128, dtype=np.uint8)


def shown(*found: Found, view: str = "areas", image=GREY) -> str:
    runs = [Shown(f"<i>run {number}", each) for number, each in enumerate(found)]
    return panes(image, runs, view, key="k", picture='a"<b>.jpg')


def told(found: Found, view: str) -> str:
    return legend(parts_of(found, view, ()), found, view)


def decoded(html: str, pattern: str) -> list[np.ndarray]:
    uris = re.findall(pattern, html)
    return [np.array(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))) for uri in uris]


@pytest.mark.parametrize("view", ["areas", "objects", "confidence"])
def test_panes__layers_of_one_size(found: Found, view: str):
    html = shown(found, view=view)
    photo, *layers = decoded(html, r'<img [^>]*src="(data:[^"]+)"')
    assert photo.shape == (320, 640, 3)
    assert all(each.shape[:2] == (320, 640) for each in layers)
    assert len(layers) == (1 if view == "confidence" else 2)
    assert len(np.unique(layers[0].reshape(-1, layers[0].shape[2]), axis=0)) > 2


def test_panes__words_are_escaped(found: Found):
    html = shown(found, view="areas")
    assert "<b>" not in html
    assert "<i>run" not in html
    assert "&lt;b&gt;mug" in html


def test_panes__told_to_those_who_do_not_see_it(found: Found):
    alt = unescape(re.search(r'class="photo"[^>]* alt="([^"]*)"', shown(found)).group(1))
    assert alt == 'a"<b>.jpg, as <i>run 0 sees it: chair 15%, <b>mug 14%'


@pytest.mark.parametrize("view", ["areas", "objects", "confidence"])
def test_panes__what_the_mouse_reads(found: Found, view: str):
    html = shown(found, view=view)
    words = json.loads(unescape(re.search(r'data-words="([^"]*)"', html).group(1)))
    (read,) = decoded(html, r'data-read="([^"]+)"')
    assert read.shape == (10, 20, 3)
    numbers = read[..., 0] + 256 * read[..., 1].astype(int)
    names = np.array(words)[numbers]
    expected = np.array(["background", "<b>mug", "chair"])[found.prediction.labels]
    assert (names == expected).all()
    if view != "objects":
        assert np.abs(read[..., 2] / 255 - found.prediction.confidence).max() < 0.003


def test_panes__a_name_has_one_colour_in_both_runs(found: Found):
    other = replace(found, names=Names(("chair", "<b>mug")))
    first, second = (
        re.findall(r'<tr data-part="\d+">.*?</tr>', part) for part in shown(found, other).split("</figure>")[:2]
    )

    def colours(rows):
        return {
            re.search("</span>([^<]+)</td>", row).group(1): re.search(r"rgb\([^)]+\)", row).group(0)
            for row in rows
            if "rgb" in row
        }

    assert colours(first) == colours(second)
    assert len(set(colours(first).values())) == 2


def test_parts_of__objects_of_a_name_in_shades_of_its_colour(found: Found):
    parts = parts_of(found, "objects", ())
    assert parts.words == ["background", "<b>mug", "<b>mug", "chair"]
    own = colours_of(found.names.names)
    np.testing.assert_array_equal(parts.colours[[1, 3]], own[[1, 2]])
    assert len(np.unique(parts.colours, axis=0)) == 4


def test_panes__large_ones_are_shrunk(found: Found):
    labels = np.zeros((30, 3000), dtype=np.uint8)
    long = Found(found.names, Prediction(labels, np.ones((30, 3000), dtype=np.float32)))
    html = shown(long, image=np.zeros((30, 3000, 3), dtype=np.uint8))
    assert 'width="1280" height="13"' in html
    assert decoded(html, r'data-read="([^"]+)"')[0].shape == (6, 640, 3)


def test_panes__hundreds_of_names_are_read_back(found: Found):
    names = Names(tuple(f"name {number}" for number in range(400)))
    labels = np.full((4, 4), 300)
    html = shown(Found(names, Prediction(labels, np.ones((4, 4), np.float32))), image=np.zeros((4, 4, 3), np.uint8))
    (read,) = decoded(html, r'data-read="([^"]+)"')
    assert (read[..., 0] + 256 * read[..., 1].astype(int) == 300).all()


def test_legend__shares_and_escaped_names(found: Found):
    html = told(found.surer_than(0.15), "areas")
    assert "&lt;b&gt;mug" in html
    assert "<b>" not in html
    assert "15.0%" in html  # the chair
    assert "not sure" in html


def test_legend__what_was_not_found(found: Found):
    absent = replace(found, names=Names(("<b>mug", "chair", "<i>lamp")))
    assert "Not found: &lt;i&gt;lamp" in told(absent, "areas")


def test_legend__specks_are_not_found():
    labels = np.ones((100, 100), np.uint8)
    labels[0, :9] = 2
    html = told(Found(Names(("dog", "cat")), Prediction(labels, np.ones((100, 100), np.float32))), "areas")
    assert "Not found: cat" in html


def test_legend__objects_and_pieces(found: Found, objects: Found):
    assert told(objects, "objects").count("<tr data-part") == 2
    pieces = told(found, "objects")
    assert pieces.count("<tr data-part") == 3
    assert "each connected piece" in pieces
    assert "No object was found" in told(found.only([]), "objects")


def test_legend__confidence(found: Found):
    assert "at least 45% sure" in told(found, "confidence")


def test_waiting__says_what_to_do():
    assert waiting(["<b>one", "two"]).count("Drop a picture") == 2
    assert "<b>" not in waiting(["<b>one"])
