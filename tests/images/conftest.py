import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photo() -> np.ndarray:
    """A colourful 24 x 36 image without symmetry."""
    rows, columns = np.mgrid[0:24, 0:36]
    return np.stack([rows * 10, columns * 7, (rows * columns) % 251], axis=2).astype(np.uint8)


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Bytes of an image in a format."""

    def encoded(image: Image.Image | np.ndarray, format_: str, **options: Any) -> bytes:
        file = io.BytesIO()
        (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, format_, **options)
        return file.getvalue()

    return encoded


@pytest.fixture
def folder(tmp_path: Path, photo: np.ndarray) -> Path:
    """Five images in two folders."""
    for name in ("b.png", "a/2.png", "a/10.png", "a.png", "B.PNG"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(tmp_path / "in" / name)
    return tmp_path / "in"
