"""References of names against the operations by hand, contexts and their synonyms, and broken folders."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.archives.store import Entries, open_archives, write_description, write_table
from namesake.encoders import load_clip, load_dino
from namesake.errors import DataError, ImagesError
from namesake.masks.cosegment import eliminate_contexts, language_attention, reference_embedding
from namesake.masks.references import ReferencesConfig, co_segment, open_references, with_contexts
from namesake.names.prompts import embed
from namesake.records import Archives, Images, Names

NAMES = Names(("red cat", "vegetation", "tree"), ((), ("tree",), ()))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """Three names with three images each."""
    home = tmp_path_factory.mktemp("archives")
    rng = np.random.default_rng(0)
    ids = tuple(f"{number}.png" for number in range(9))
    for image_id in ids:
        Image.fromarray(rng.integers(0, 256, (32, 40, 3), dtype=np.uint8)).save(home / image_id)
    owner = np.repeat([1, 2, 3], 3)
    entries = Entries(owner, np.arange(9), np.linspace(0.9, 0.1, 9, dtype=np.float32), owner)
    write_table(home / "out", entries, NAMES, ids)
    write_description(home / "out", images=Images(home, ids), names=NAMES, counts={"names": 3}, models=())
    return open_archives(home / "out")


@pytest.fixture(scope="module")
def config(tiny_clip: Path, tiny_dino: Path) -> ReferencesConfig:
    return ReferencesConfig(dino=str(tiny_dino), clip=str(tiny_clip), contexts=("tree",), crop_size=32)


def features(archives: Archives, config: ReferencesConfig, first: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of three images, cut to the square in their middle, and CLIP's opinion of their name."""
    images = [np.asarray(Image.open(archives.images.path(f"{first + i}.png")))[:, 4:36] for i in range(3)]
    dino, clip = load_dino(config.dino, device="cpu"), load_clip(config.clip, device="cpu")
    patches = dino.patch_features(dino.normalise(images))
    text = torch.from_numpy(embed(NAMES, clip))[first // 3]
    return patches, language_attention(clip.dense(images), text, rows=patches.shape[1], columns=patches.shape[2])


def test_co_segment__language_and_contexts(archives: Archives, config: ReferencesConfig, tmp_path: Path) -> None:
    found = co_segment(tmp_path, archives, NAMES, config=config, device="cpu").vectors
    tree = reference_embedding(*features(archives, config, 6))
    own, attention = features(archives, config, 0)
    cat = reference_embedding(own, attention * eliminate_contexts(own, tree[None]))
    assert np.allclose(found[0], cat, atol=1e-5)
    assert np.allclose(found[1:], tree, atol=1e-5)  # a context, and a name that has one among its synonyms


def test_co_segment__without_language_and_contexts(
    archives: Archives, config: ReferencesConfig, tmp_path: Path
) -> None:
    plain = ReferencesConfig(dino=config.dino, language=False, contexts=(), wide_seed_columns=False, crop_size=32)
    found = co_segment(tmp_path, archives, Names(("red cat",)), config=plain, device="cpu")
    own, _ = features(archives, config, 0)
    assert np.allclose(
        found.vectors[0], reference_embedding(own, torch.ones(own.shape[:3]), wide_seed_columns=False), atol=1e-5
    )
    again = open_references(tmp_path)
    assert (again.names.names, again.encoder) == (("red cat",), config.dino)
    assert np.array_equal(again.vectors, found.vectors)


def test_co_segment__no_image_can_be_read(archives: Archives, config: ReferencesConfig, tmp_path: Path) -> None:
    gone = Archives(archives.folder, images=Images(tmp_path, archives.images.ids), names=archives.names)
    with pytest.raises(ImagesError, match="tree: none of the 3 images"):
        co_segment(tmp_path / "out", gone, NAMES, config=config, device="cpu")


def test_open_references__missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Run the mask stage again"):
        open_references(tmp_path)


def test_with_contexts__each_once() -> None:
    assert with_contexts(NAMES, ("tree", "sky")).names == ("red cat", "vegetation", "tree", "sky")
    assert with_contexts(NAMES, ("tree", "sky")).synonyms == ((), ("tree",), (), ())
    assert with_contexts(Names(("a",)), ("b",)) == Names(("a", "b"))
