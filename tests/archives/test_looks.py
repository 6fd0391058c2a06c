"""Faces and hashes: a photograph with a face that scikit-image ships, textures without one, copies and strangers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dct

from namesake.archives.looks import (
    CASCADE,
    Look,
    cascade_faces,
    first_of_like_hashes,
    load_detector,
    look_at,
    perceptual_hash,
)
from namesake.errors import ConfigError
from namesake.images import open_images


def astronaut() -> np.ndarray:
    from skimage.data import astronaut

    return astronaut()


def texture(seed: int, *, side: int = 96) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def bits(a: int, b: int) -> int:
    return (a ^ b).bit_count()


def test_cascade_faces__an_astronaut_has_one_and_textures_none() -> None:
    (face,) = cascade_faces(astronaut()[:256, 96:352])
    assert 30 < face["r"] + face["height"] / 2 < 200
    assert not any(len(cascade_faces(texture(seed))) for seed in range(5))
    assert len(cascade_faces(texture(0, side=16))) == 0  # smaller than any face looked for


def test_look_at__with_and_without_a_detector(tmp_path: Path) -> None:
    Image.fromarray(astronaut()[:256, 96:352]).save(tmp_path / "face.png")
    Image.fromarray(texture(1)).save(tmp_path / "texture.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    images = open_images(tmp_path)
    seen = look_at(images, [*images.ids, "face.png"], faces=CASCADE)
    assert {image_id: look.face for image_id, look in seen.items()} == {
        "broken.png": False, "face.png": True, "texture.png": False
    }  # fmt: skip
    assert seen["broken.png"] == Look(False, 0)
    assert not look_at(images, ["face.png"])["face.png"].face


@pytest.mark.parametrize("entry", ["nowhere.at.all:function", "namesake.archives.looks:none", "namesake", "", ":x"])
def test_load_detector__no_such_function(entry: str) -> None:
    with pytest.raises(ConfigError, match="module:function"):
        load_detector(entry)


def test_load_detector__not_a_function() -> None:
    with pytest.raises(ConfigError, match="expected a function"):
        load_detector("namesake.archives.looks:LARGEST")


def test_perceptual_hash__by_its_definition() -> None:
    image = texture(3, side=32)
    grey = image.astype(np.float64) @ [0.299, 0.587, 0.114]
    low = dct(dct(grey, axis=0), axis=1)[:8, :8].ravel()
    expected = int("".join("1" if value > np.median(low) else "0" for value in low), 2)
    assert perceptual_hash(image) == expected


def test_perceptual_hash__copies_are_near_and_strangers_far() -> None:
    image = texture(4)
    smaller = np.array(Image.fromarray(image).resize((70, 70), Image.Resampling.BICUBIC))
    brighter = np.clip(image * 0.9 + 12, 0, 255).astype(np.uint8)
    own = perceptual_hash(image)
    assert max(bits(own, perceptual_hash(copy)) for copy in (smaller, brighter)) <= 6
    assert min(bits(own, perceptual_hash(texture(seed))) for seed in range(5, 12)) > 10


def test_first_of_like_hashes__earlier_ones_stay() -> None:
    hashes = np.array([0b0000, 0b0001, 0b0011, 0b1111 << 60], dtype=np.uint64)
    assert first_of_like_hashes(hashes, distance=1).tolist() == [True, False, True, True]
    assert first_of_like_hashes(hashes, distance=0).all()
    assert first_of_like_hashes(hashes[[0, 0]], distance=0).tolist() == [True, False]
    assert first_of_like_hashes(hashes[:0], distance=3).shape == (0,)
    with pytest.raises(ConfigError, match="64"):
        first_of_like_hashes(hashes, distance=65)
