from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from namesake.encoders import Clip, load_clip
from namesake.index import open_index
from namesake.index.layout import write_description
from namesake.records import Index, ModelCard
from tiny_models import write_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """A tiny random CLIP."""
    return load_clip(str(write_clip(tmp_path_factory.mktemp("models") / "clip")), device="cpu")


@pytest.fixture
def index_of(tmp_path: Path) -> Callable[..., Index]:
    """An index of given embeddings, with an image of its own colour behind each row (smaller from row to row)."""

    def make(embeddings: np.ndarray, *, sides: list[int] | None = None) -> Index:
        folder, photos = tmp_path / "index", tmp_path / "photos"
        for path in (folder / "img_emb", folder / "metadata", photos):
            path.mkdir(parents=True)
        sides = sides or [20] * len(embeddings)
        ids = [f"{row:03d}.png" for row in range(len(embeddings))]
        for row, (name, side) in enumerate(zip(ids, sides, strict=True)):
            Image.new("RGB", (2 * side, side), (row % 256, 90, 200)).save(photos / name)
        np.save(folder / "img_emb" / "img_emb_0.npy", np.asarray(embeddings, dtype=np.float32))
        columns = {"image_path": ids, "width": [2 * side for side in sides], "height": sides}
        pq.write_table(pa.table(columns), folder / "metadata" / "metadata_0.parquet")
        write_description(
            folder,
            images=photos,
            encoder="made up",
            card=ModelCard("Made up", "made up", "MIT"),
            dim=embeddings.shape[1],
            skipped=0,
            shards=1,
        )
        return open_index(folder)

    return make


def at_angles(degrees: list[float]) -> np.ndarray:
    """Unit vectors in the plane."""
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


@pytest.fixture
def angles() -> Callable[[list[float]], np.ndarray]:
    """Unit vectors in the plane by their angle, so that scores are cosines of differences."""
    return at_angles
