from importlib.resources import files

import numpy as np
import pytest
from PIL import ImageFont

from namesake.prediction import draw, fonts
from namesake.prediction.colours import colours_of, shades
from namesake.prediction.draw import (
    OUTLINE,
    PANEL,
    UNSURE_COLOUR,
    blend,
    contact_sheet,
    entries,
    fitted,
    legend,
    overlay,
)
from namesake.records import Instances, Names

NAMES = Names(("dog", "cat"))


def luminance(colour):
    linear = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def disc(height, width, label=1):
    rows, columns = np.ogrid[:height, :width]
    return np.where((rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (min(height, width) / 3) ** 2, label, 0)


def written(image, labels):
    """Pixels of a large picture on which names stand."""
    without = blend(image, labels, colours=colours_of(NAMES.names))
    return (overlay(image, labels, NAMES)[: len(image)] != without).any(axis=2)


@pytest.mark.parametrize("grey", [0, 255])
def test_blend__readable_on_dark_and_light(grey):
    labels = disc(60, 80)
    image = np.full((60, 80, 3), grey, np.uint8)
    mixed = blend(image, labels, colours=colours_of(("dog",)))
    assert np.array_equal(mixed[labels == 0], image[labels == 0])
    centre = mixed[30, 40].astype(int)
    assert np.abs(centre - (0.55 * grey + 0.45 * colours_of(("dog",))[1])).max() <= 1
    outlined = (mixed == OUTLINE).all(axis=2)
    assert outlined.any()
    assert not outlined[labels == 0].any()
    ring = mixed[(labels == 1) & ~outlined & (np.abs(mixed.astype(int) - centre).max(axis=2) > 1)]
    assert np.array_equal(np.unique(ring, axis=0), colours_of(("dog",))[1:])  # the full colour, whatever the picture


def test_blend__not_sure_is_hatched():
    labels = disc(60, 80, label=255)
    image = np.zeros((60, 80, 3), np.uint8)
    mixed = blend(image, labels)
    inside = mixed[25:35, 30:50].reshape(-1, 3)
    hatched = np.abs(inside - 0.45 * np.array(UNSURE_COLOUR)).max(axis=1) <= 1
    assert 0.25 < hatched.mean() < 0.5
    assert not inside[~hatched].any()


def test_blend__nothing_found():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(blend(image, np.zeros((20, 30), np.uint8)), image)


def test_blend__single_pixel():
    assert blend(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.int64)).shape == (1, 1, 3)


def test_blend__inputs_unchanged():
    image, labels = np.zeros((20, 30, 3), np.uint8), disc(20, 30)
    kept = labels.copy()
    blend(image, labels)
    assert not image.any()
    assert np.array_equal(labels, kept)


def test_overlay__same_bytes_again():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert np.array_equal(overlay(image, disc(40, 50), NAMES), overlay(image, disc(40, 50), NAMES))


def test_overlay__small_pictures_enlarged_with_legend_below():
    image = np.zeros((96, 96, 3), np.uint8)
    picture = overlay(image, disc(96, 96, label=2), NAMES)
    assert picture.shape[1] == 4 * 96
    assert picture.shape[0] > 4 * 96
    swatch = (picture[4 * 96 :] == colours_of(NAMES.names)[2]).all(axis=2)
    assert swatch.sum() > 100


def test_overlay__drawn_as_if_it_were_large():
    """Lines and hatching of an enlarged picture are those of a large one."""
    image = np.random.default_rng(0).integers(0, 256, (90, 100, 3), dtype=np.uint8)
    labels = disc(90, 100, label=255)
    labels[4:9, 4:11], labels[4:9, 11:15] = 1, 2  # too small for a name
    masks = np.zeros((1, 90, 100), bool)
    masks[0, 20:60, 30:50] = True
    objects = Instances(masks, (1,), ("dog",), (0.9,))
    large = [each.repeat(4, axis=0).repeat(4, axis=1) for each in (image, labels, masks[0])]
    expected = blend(*large[:2], colours=colours_of(NAMES.names), objects=large[2].astype(np.int32))
    assert np.array_equal(overlay(image, labels, NAMES, instances=objects)[:360], expected)


def test_overlay__large_pictures_keep_their_size():
    picture = overlay(np.zeros((300, 700, 3), np.uint8), disc(300, 700), NAMES)
    assert picture.shape[1] == 700


def test_entries__names_that_occur():
    labels = np.array([[0, 2, 255]])
    assert entries(labels, NAMES) == [("cat", tuple(colours_of(NAMES.names)[2])), ("not sure", UNSURE_COLOUR)]
    assert entries(np.zeros((2, 2), np.int64), NAMES) == []


def test_entries__specks_are_left_out():
    labels = np.ones((100, 100), np.int64)
    labels[0, :9] = 2
    assert [name for name, _ in entries(labels, NAMES)] == ["dog"]
    labels[0, :10] = 2
    assert [name for name, _ in entries(labels, NAMES)] == ["dog", "cat"]


@pytest.mark.parametrize("colour", shades().tolist())
def test_ink_on__contrast(colour):
    """At least 4.5 to 1, as WCAG asks of text."""
    light = [luminance(each) + 0.05 for each in (colour, draw.ink_on(colour))]
    assert max(light) / min(light) >= 4.5


def test_overlay__names_on_large_pieces_only():
    image, labels = np.zeros((400, 600, 3), np.uint8), np.zeros((400, 600), np.uint8)
    labels[50:250, 50:250], labels[300:310, 500:510] = 1, 2
    changed = written(image, labels)
    assert changed[100:200, 100:200].any()
    assert not changed[labels == 0].any()
    assert not changed[labels == 2].any()


def test_overlay__plates_do_not_cover_each_other():
    """Of two low stripes, one above the other, only the larger one is named."""
    labels = np.zeros((400, 400), np.uint8)
    labels[100:112], labels[112:122] = 1, 2
    plain = np.zeros((400, 400, 3), np.uint8)
    plates = overlay(plain, labels, NAMES)[:400][written(plain, labels)]
    dog, cat = ((plates == colour).all(axis=1).any() for colour in colours_of(NAMES.names)[1:])
    assert dog
    assert not cat


def test_blend__outlines_of_large_pictures_are_thicker():
    small, large = (
        (blend(np.zeros((side, side, 3), np.uint8), disc(side, side)) == OUTLINE).all(axis=2) for side in (300, 3000)
    )
    assert 20 < large.sum() / small.sum() < 40  # ten times as long, and three times as wide


def test_entries__name_255():
    many = Names(tuple(f"name {number}" for number in range(300)))
    found = entries(np.array([[255, 65_535]]), many)
    assert [name for name, _ in found] == ["name 254", "not sure"]


def test_legend__wraps_and_cuts():
    entry = ("a rather long name of something", (200, 0, 0))
    one, many = legend([entry], width=300), legend([entry] * 6, width=300)
    assert one.shape[1] == many.shape[1] == 300
    assert many.shape[0] > 3 * one.shape[0]
    narrow = legend([("x" * 500, (200, 0, 0))], width=200)
    assert (narrow[:, -8:] == PANEL).all()


def test_legend__flat_below_a_very_wide_picture():
    assert legend([("mug", (200, 0, 0))] * 20, width=60_000).shape[0] < 400


def test_legend__empty_says_so():
    assert (legend([], width=300) != PANEL).any()


def test_contact_sheet__grid():
    tiles = [(np.full((20, 40, 3), 10 * number, np.uint8), f"tile {number}") for number in range(5)]
    assert contact_sheet(tiles, columns=3, side=64).shape[1] == 3 * (64 + 8) + 8
    assert contact_sheet(tiles[:2], columns=3, side=64).shape[1] == 2 * (64 + 8) + 8
    assert contact_sheet(tiles, columns=3, side=64).shape[0] > 2 * 64


def test_fitted__keeps_the_aspect():
    assert fitted(np.zeros((20, 40, 3), np.uint8), side=64).shape == (32, 64, 3)
    assert fitted(np.zeros((1000, 10, 3), np.uint8), side=64).shape == (64, 1, 3)


def test_overlay__line_of_pixels_stays_small():
    image = np.zeros((20_000, 1, 3), dtype=np.uint8)
    picture = overlay(image, np.ones((20_000, 1), dtype=np.uint8), Names(("car",)))
    assert picture.shape[1] == 320
    assert 20_000 < picture.shape[0] < 20_100


@pytest.mark.parametrize(
    "name", ["café", "Straße", "\u0441\u043e\u0431", "\u03c3\u03ba", "\u05db\u05dc", "\u0643\u0644"]
)
def test_legend__scripts_that_come_with_the_installation(name: str):
    """Letters, and not the sign for one that is lacking."""
    assert fonts.can_write(name)
    lacking = legend([("\uffff" * len(name), (200, 0, 0))], width=320)
    assert not np.array_equal(legend([(name, (200, 0, 0))], width=320), lacking)


def test_legend__a_name_that_no_font_can_write_is_its_label(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fonts, "_system_fonts", lambda: ())
    fonts._system_font.cache_clear()
    labels = np.array([[0, 1, 2, 2]], dtype=np.uint8)
    found = draw.entries(labels, Names(("dog", "\u72ac \u0e2a")))
    fonts._system_font.cache_clear()
    assert [text for text, _ in found] == ["dog", "label 2"]


def test_legend__a_font_of_the_system_where_it_has_the_letters(monkeypatch: pytest.MonkeyPatch):
    wide = str(files("matplotlib") / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf")
    monkeypatch.setattr(fonts, "_fonts", lambda size: (ImageFont.load_default(size),))
    monkeypatch.setattr(fonts, "_system_fonts", lambda: ("/no/such/font.ttf", wide))
    fonts._system_font.cache_clear()
    assert fonts.can_write("\u0441\u043e\u0431\u0430\u043a\u0430")
    assert not fonts.can_write("\u72ac")
    fonts._system_font.cache_clear()


def test_contact_sheet__captions_that_no_font_can_write_are_spelled_as_codes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fonts, "_system_fonts", lambda: ())
    fonts._system_font.cache_clear()
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    spelled, plainly = (draw.contact_sheet([(picture, text)]) for text in ("\u72ac.jpg", "\\u72ac.jpg"))
    fonts._system_font.cache_clear()
    assert np.array_equal(spelled, plainly)
