"""Masks of joined archives: each image's own code, the first part's where there are two."""

from pathlib import Path

import numpy as np

from namesake.archives.store import Entries, open_archives, write_description, write_table
from namesake.masks import MaskLookup, MaskWriter, rle
from namesake.masks.join import join_masks
from namesake.records import Images, Names, PseudoMask, PseudoMasks


def masks(out: Path, images: dict[str, int]) -> PseudoMasks:
    with MaskWriter(out, 2) as writer:
        for image_id, label in images.items():
            rng = np.random.default_rng([*f"{out.name} {image_id}".encode()])
            writer.write(PseudoMask(image_id, label, 0.5, 9, 7, rle.encode(rng.random((9, 7)) > 0.5)))
    return PseudoMasks(out)


def test_join__codes_as_they_were_and_labels_of_now(tmp_path: Path) -> None:
    ids = ("a.png", "b.png", "c.png", "d.png")
    row = np.arange(4)
    label = np.array([1, 2, 3, 3])
    write_table(tmp_path / "all", Entries(label, row, np.ones(4, np.float32), label), Names(("x", "y", "z")), ids)
    write_description(
        tmp_path / "all", images=Images(tmp_path, ids), names=Names(("x", "y", "z")), counts={}, models=()
    )
    first = masks(tmp_path / "first", {"a.png": 1, "b.png": 2})
    more = masks(tmp_path / "more", {"b.png": 1, "c.png": 1})
    joined = join_masks(tmp_path / "out", open_archives(tmp_path / "all"), first, more)
    assert joined.counts == {"masks": 3, "empty": 0, "skipped": 1}
    found, before, after = MaskLookup(joined), MaskLookup(first), MaskLookup(more)
    assert found["a.png"] == before["a.png"]
    assert found["b.png"] == before["b.png"]
    assert (found["c.png"].rle, found["c.png"].label) == (after["c.png"].rle, 3)
    assert "d.png" not in found
