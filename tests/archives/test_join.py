"""Archives and masks of names that join later: earlier ones keep their labels, their images and their bytes."""

from pathlib import Path

import numpy as np
import pytest

from namesake.archives import join_archives, rows
from namesake.archives.join import join_names
from namesake.archives.store import Entries, open_archives, write_description, write_table
from namesake.errors import ConfigError, ImagesError
from namesake.records import Archives, Images, Names

IDS = tuple(f"{number}.png" for number in range(8))


def archives(out: Path, names: Names, images: list[list[int]], labels: list[int] | None = None) -> Archives:
    owner = np.repeat(np.arange(1, len(images) + 1), [len(some) for some in images])
    row = np.array([image for some in images for image in some])
    score = np.linspace(0.9, 0.2, len(row), dtype=np.float32)
    entries = Entries(owner, row, score, owner if labels is None else np.array(labels))
    write_table(out, entries, names, IDS)
    write_description(out, images=Images(out.parent, IDS), names=names, counts={}, models=())
    return open_archives(out)


def test_join__earlier_archives_as_they_were(tmp_path: Path) -> None:
    first = archives(tmp_path / "a", Names(("dog", "cat")), [[5, 1], [1, 2]], labels=[1, 2, 2, 2])
    more = archives(tmp_path / "b", Names(("mug",)), [[2, 7, 3]])
    third = archives(tmp_path / "c", Names(("tree", "car")), [[3, 0], [4]])
    joined = join_archives(tmp_path / "out", first, more, third)
    found = [tuple(row.values()) for row in rows(joined).to_pylist()]
    before = [tuple(row.values()) for row in rows(first).to_pylist()]
    assert found[:4] == before
    assert [(name, rank, image, label) for name, rank, image, _, label in found[4:]] == [
        ("mug", 1, "7.png", 3),
        ("mug", 2, "3.png", 3),
        ("tree", 1, "0.png", 4),
        ("car", 1, "4.png", 5),
    ]
    assert joined.names.names == ("dog", "cat", "mug", "tree", "car")
    assert joined.counts == {"names": 5, "images": 7, "contested": 2}
    assert joined.images.ids == ("0.png", "1.png", "2.png", "3.png", "4.png", "5.png", "7.png")


def test_join__a_name_without_an_image_of_its_own(tmp_path: Path) -> None:
    first = archives(tmp_path / "a", Names(("dog",)), [[5, 1]])
    more = archives(tmp_path / "b", Names(("mug", "puppy")), [[2], [1, 5]])
    with pytest.raises(ImagesError, match="puppy"):
        join_archives(tmp_path / "out", first, more)


def test_join_names__words_of_each_stay_with_it() -> None:
    first = Names(("dog",), background=("background", "sky"))
    more = Names(("crane", "mug"), (("crane bird",), ()), against=(("tower crane",), ()))
    assert join_names([first, more]) == Names(
        ("dog", "crane", "mug"),
        ((), ("crane bird",), ()),
        ("background", "sky"),
        ((), ("tower crane",), ()),
    )
    with pytest.raises(ConfigError, match="dog"):
        join_names([first, first])
