"""Faces: a photograph with one that scikit-image ships, and textures without."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.archives.looks import CASCADE, cascade_faces, load_detector, look_for_faces
from namesake.errors import ConfigError
from namesake.images import open_images


def astronaut() -> np.ndarray:
    from skimage.data import astronaut

    return astronaut()


def texture(seed: int, *, side: int = 96) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def test_cascade_faces__an_astronaut_has_one_and_textures_none() -> None:
    (face,) = cascade_faces(astronaut()[:256, 96:352])
    assert 30 < face["r"] + face["height"] / 2 < 200
    assert not any(len(cascade_faces(texture(seed))) for seed in range(5))
    assert len(cascade_faces(texture(0, side=16))) == 0  # smaller than any face looked for


def test_look_for_faces__an_unreadable_image_shows_none(tmp_path: Path) -> None:
    Image.fromarray(astronaut()[:256, 96:352]).save(tmp_path / "face.png")
    Image.fromarray(texture(1)).save(tmp_path / "texture.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    images = open_images(tmp_path)
    assert look_for_faces(images, [*images.ids, "face.png"], detector=CASCADE) == {"face.png"}


@pytest.mark.parametrize("entry", ["nowhere.at.all:function", "namesake.archives.looks:none", "namesake", "", ":x"])
def test_load_detector__no_such_function(entry: str) -> None:
    with pytest.raises(ConfigError, match="module:function"):
        load_detector(entry)


def test_load_detector__not_a_function() -> None:
    with pytest.raises(ConfigError, match="expected a function"):
        load_detector("namesake.archives.looks:LARGEST")
