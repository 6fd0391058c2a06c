"""The part of a mask that a name explains: by hand, at the ends of its shares, and on disk."""

from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.encoders import load_clip
from namesake.errors import ConfigError
from namesake.masks import MaskLookup, MaskWriter, rle
from namesake.masks.guided import GuideConfig, explained, keep_named
from namesake.names.prompts import TEMPLATES
from namesake.records import Archives, PseudoMask, PseudoMasks


def halves(left: float, right: float, other_left: float, other_right: float) -> torch.Tensor:
    """Cosines of a name (first) and of another word on the two halves of an image of 4 x 8."""
    own = torch.tensor([left, right]).repeat_interleave(4).expand(4, 8)
    other = torch.tensor([other_left, other_right]).repeat_interleave(4).expand(4, 8)
    return torch.stack([own, other])


OWN = torch.tensor([True, False])
MASK = torch.zeros(4, 8, dtype=torch.bool)
MASK[1:3] = True


def test_explained__what_another_word_explains_goes() -> None:
    found = explained(MASK, halves(0.3, 0.1, 0.1, 0.2), OWN, min_fraction=0.4, keep=0.25)
    expected = MASK.clone()
    expected[:, 4:] = False
    assert torch.equal(found, expected)


def test_explained__another_word_on_too_small_a_share_is_not_there() -> None:
    assert torch.equal(explained(MASK, halves(0.3, 0.1, 0.1, 0.2), OWN, min_fraction=0.6, keep=0.25), MASK)


def test_explained__too_little_would_remain() -> None:
    assert torch.equal(explained(MASK, halves(0.3, 0.1, 0.1, 0.2), OWN, min_fraction=0.4, keep=0.6), MASK)
    assert torch.equal(explained(MASK, halves(0.1, 0.1, 0.2, 0.2), OWN, min_fraction=0.4, keep=0.1), MASK)


def test_explained__best_of_the_names_own_words_counts() -> None:
    cosines = torch.cat([halves(0.3, 0.1, 0.1, 0.2), torch.full((1, 4, 8), 0.25)])
    assert torch.equal(explained(MASK, cosines, torch.tensor([True, False, True]), min_fraction=0.1, keep=0.1), MASK)


def test_explained__empty_mask_and_no_other_word() -> None:
    empty = torch.zeros(4, 8, dtype=torch.bool)
    assert torch.equal(explained(empty, halves(0.3, 0.1, 0.1, 0.2), OWN, min_fraction=0.1, keep=0.1), empty)
    assert torch.equal(explained(MASK, halves(0.3, 0.1, 0, 0)[:1], OWN[:1], min_fraction=0.1, keep=0.1), MASK)


def whole_masks(archives: Archives, out: Path) -> PseudoMasks:
    """The whole of every image but the broken one."""
    from namesake.archives import unique_images
    from namesake.images import read_image

    with MaskWriter(out) as writer:
        for image_id, label in unique_images(archives).items():
            if image_id == "broken.png":
                writer.skip(image_id, "cut off")
                continue
            height, width = read_image(archives.images.path(image_id)).shape[:2]
            code = rle.encode(np.ones((height, width), dtype=bool))
            writer.write(PseudoMask(image_id, label, 0.5, height, width, code))
    return PseudoMasks(out)


def test_keep_named__each_image_against_all_words(archives: Archives, tiny_clip: Path, tmp_path: Path) -> None:
    from namesake.images import read_image

    masks = whole_masks(archives, tmp_path / "before")
    config = GuideConfig(clip=str(tiny_clip), min_fraction=0.1)
    made = keep_named(tmp_path / "after", masks, archives, config=config, device="cpu")
    assert (made.counts["masks"], made.counts["skipped"]) == (9, 1)
    clip, found = load_clip(str(tiny_clip), device="cpu"), MaskLookup(made)
    texts = torch.from_numpy(clip.embed_names(("background", "disc", "other"), TEMPLATES))
    for image_id in found:
        row, image = found[image_id], read_image(archives.images.path(image_id))
        cosines = torch.einsum("rcd,wd->wrc", clip.dense([image])[0], texts)
        own = torch.tensor([False, row.label == 1, row.label == 2])
        whole = torch.ones(image.shape[:2], dtype=torch.bool)
        expected = explained(whole, cosines, own, min_fraction=0.1, keep=0.05).numpy()
        assert np.array_equal(rle.decode(row.rle, row.height, row.width), expected)


def test_keep_named__share_out_of_range(archives: Archives, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="min_fraction"):
        keep_named(tmp_path / "out", PseudoMasks(tmp_path), archives, config=GuideConfig(min_fraction=2.0))
