from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from namesake.encoders import Clip, load_clip
from namesake.images import open_images
from namesake.records import Images, Index
from tiny_models import write_clip

BROKEN = {"05.png": b"", "11.png": b"no image", "17.png": b"\x89PNG\r\n\x1a\n"}


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """A tiny random CLIP."""
    return load_clip(str(write_clip(tmp_path_factory.mktemp("models") / "clip")), device="cpu")


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """23 images of different sizes, three of which cannot be read."""
    folder = tmp_path_factory.mktemp("collection")
    rng = np.random.default_rng(3)
    for number in range(23):
        height, width = rng.integers(20, 60, 2)
        coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((int(width), int(height))).save(folder / f"{number:02d}.png")
    for name, content in BROKEN.items():
        (folder / name).write_bytes(content)
    return open_images(folder)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Index]:
    """Write embeddings as clip-retrieval does, cut into shards of the given lengths."""

    def write(embeddings: np.ndarray, lengths: Sequence[int] | None = None) -> Index:
        folder, first = tmp_path / "written", 0
        (folder / "img_emb").mkdir(parents=True, exist_ok=True)
        (folder / "metadata").mkdir(exist_ok=True)
        for number, length in enumerate(lengths or [len(embeddings)]):
            np.save(folder / "img_emb" / f"img_emb_{number}.npy", embeddings[first : first + length])
            ids = [f"{row}.jpg" for row in range(first, first + length)]
            pq.write_table(pa.table({"image_path": ids}), folder / "metadata" / f"metadata_{number}.parquet")
            first += length
        ids = tuple(f"{row}.jpg" for row in range(len(embeddings)))
        return Index(folder=folder, images=Images(folder, ids), encoder="made up", dim=embeddings.shape[1])

    return write
