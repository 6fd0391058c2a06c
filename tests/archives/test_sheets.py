from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.archives import ArchivesConfig, sheets, write_archives
from namesake.archives.sheets import CAPTION, MARGIN, TILE, draw_sheet, sheet_file
from namesake.errors import ImagesError
from namesake.records import Archives, Index, Names

IndexOf = Callable[..., Index]
Angles = Callable[[list[float]], np.ndarray]


def build(index: Index, names: Names, text: np.ndarray, out: Path, **options: object) -> Archives:
    return write_archives(index, names, text, config=ArchivesConfig(**options), out=out)


def tile_centre(place: int) -> tuple[int, int]:
    left = MARGIN + place % 6 * (TILE + MARGIN)
    return left + TILE // 2, 2 * MARGIN + CAPTION + place // 6 * (TILE + MARGIN + CAPTION) + TILE // 2


def test_sheets__best_images_first(index_of: IndexOf, angles: Angles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sheets, "SHOWN", 8)
    index = index_of(angles([5 * row for row in range(20)]))
    names = Names(("dog", "tv/monitor"))
    build(index, names, angles([95, 0]), tmp_path / "out", images_per_name=9)
    assert sorted(path.name for path in (tmp_path / "out" / "sheets").iterdir()) == ["1-dog.jpg", "2-tv-monitor.jpg"]
    with Image.open(tmp_path / "out" / "sheets" / "1-dog.jpg") as sheet:
        colours = [sheet.getpixel(tile_centre(place)) for place in range(9)]
    np.testing.assert_allclose(colours[:8], [(19 - place, 90, 200) for place in range(8)], atol=6)
    np.testing.assert_allclose(colours[8], (255, 255, 255), atol=6)  # eight were asked for


def test_sheets__name_without_images_has_none(index_of: IndexOf, angles: Angles, tmp_path: Path):
    names = Names(("dog", "hound", "cat"))
    build(index_of(angles([0, 90])), names, angles([0, 5, 90]), tmp_path / "out", images_per_name=1, contested="best")
    assert sorted(path.name for path in (tmp_path / "out" / "sheets").iterdir()) == ["1-dog.jpg", "3-cat.jpg"]


def test_draw_sheet__unreadable_image_is_a_grey_tile():
    green = np.full((TILE // 2, TILE, 3), (0, 200, 0), dtype=np.uint8)
    sheet = draw_sheet("1  犬 \U0001f415", [(ImagesError("broken"), "1  0.300"), (green, "2  0.200")])
    left, top = tile_centre(0)
    assert sheet.getpixel((left, top - 30)) == (211, 211, 211)
    assert sheet.getpixel(tile_centre(1)) == (0, 200, 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tv/monitor", "07-tv-monitor.jpg"),
        ("../../etc/passwd", "07-etc-passwd.jpg"),
        ("犬", "07-犬.jpg"),
        ("???", "07-name.jpg"),
        ("x" * 300, f"07-{'x' * 40}.jpg"),
    ],
)
def test_sheet_file__safe(name: str, expected: str):
    assert sheet_file(name, 7, names=20) == expected
