"""A run folder made with the real writers of each stage, from pictures whose content is known."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from namesake.archives import ArchivesConfig, open_archives, write_archives
from namesake.images import open_images
from namesake.index import open_embeddings
from namesake.masks import rle
from namesake.masks.store import MaskWriter, count_masks, open_masks
from namesake.names import write_names
from namesake.records import Archives, Artifact, Images, Index, ModelCard, Names, PseudoMask, PseudoMasks
from namesake.workspace import Workspace, stage, write_json

CLIP = ModelCard("a CLIP", "embedded:clip", "Apache-2.0")


@stage("index", opens=Artifact)
def index(out: Path, images: Images, *, names: int) -> Index:
    """Embeddings in as many dimensions as there are names, so that image i is like name i, modulo their number."""
    (out / "img_emb").mkdir(parents=True)
    (out / "metadata").mkdir()
    rows = 0.02 + np.eye(names, dtype=np.float32)[np.arange(len(images)) % names]
    np.save(out / "img_emb" / "img_emb_0.npy", rows + np.linspace(0, 0.1, len(images), dtype=np.float32)[:, None])
    pq.write_table(pa.table({"image_path": images.ids}), out / "metadata" / "metadata_0.parquet")
    opened = open_embeddings(out, images, encoder="made up")
    return replace(opened, counts={"images": len(images)}, models=(CLIP,))


@stage("archives", opens=open_archives)
def archives(out: Path, index: Index, names: Names) -> Archives:
    """One image more than there are of each name, so that every archive loses one and is short."""
    each = len(index.images) // len(names) + 1
    text = np.eye(len(names), dtype=np.float32)
    return write_archives(index, names, text, config=ArchivesConfig(images_per_name=each, contested="best"), out=out)


@stage("masks/saliency", opens=open_masks)
def masks(out: Path, images: Images, names: Names) -> PseudoMasks:
    with MaskWriter(out) as writer:
        for number, image_id in enumerate(images.ids):
            with Image.open(images.path(image_id)) as picture:
                width, height = picture.size
            rows, columns = np.ogrid[:height, :width]
            mask = (rows - height / 2) ** 2 + (columns - width / 2) ** 2 < (height / (3 + number % 3)) ** 2
            score = 1 - number / (2 * len(images))
            writer.write(PseudoMask(image_id, number % len(names) + 1, score, height, width, rle.encode(mask)))
    return PseudoMasks(out, counts=count_masks(out), models=(ModelCard("a SAM", "hub/sam", "Apache-2.0", "M"),))


def make(run: Path, images: Images, names: Names) -> Path:
    with Workspace(run) as workspace:
        write_names(names, run / "names.json")
        facts = {"system": "namedmask", "preset": "mini", "images": str(images.folder)}
        write_json(run / "run.json", facts | {"command": "namesake run <here>"})
        embedded = workspace.step(index, images, names=len(names))
        workspace.step(archives, embedded, names)
        workspace.step(masks, images, names)
    return run


@pytest.fixture
def photos(tmp_path: Path) -> Images:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(9):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((60, 48)).save(folder / f"{number}.jpg")
    return open_images(folder)


@pytest.fixture
def make_run() -> Callable[[Path, Images, Names], Path]:
    return make
