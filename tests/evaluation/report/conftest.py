"""A run folder made with the real writers of each stage, from pictures whose content is known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.archives.notes import take_notes, write_notes
from namesake.archives.sheets import draw_sheets
from namesake.archives.store import Entries, open_archives, write_description, write_table
from namesake.images import open_images
from namesake.masks import rle
from namesake.masks.store import MaskWriter, count_masks, open_masks
from namesake.names import write_names
from namesake.records import Archives, Artifact, Images, ModelCard, Names, PseudoMask, PseudoMasks
from namesake.workspace import Workspace, stage, write_json

CLIP = ModelCard("a CLIP", "embedded:clip", "Apache-2.0")


@stage("index", opens=Artifact)
def index(images: Images, *, out: Path) -> Artifact:
    return Artifact(out, counts={"images": len(images)}, models=(CLIP,))


@stage("archives", opens=open_archives)
def archives(images: Images, names: Names, *, out: Path) -> Archives:
    """Every image in one archive, in turn."""
    archive = np.sort(np.arange(len(images)) % len(names)) + 1
    scores = np.linspace(0.4, 0.2, len(images)).astype(np.float32)
    entries = Entries(archive, np.arange(len(images)), scores, archive)
    write_table(out, entries, names, images.ids)
    notes = take_notes(entries, entries, names=len(names), asked=len(images) // len(names) + 1, weak_margin=0.05)
    write_notes(out, notes, names, options={})
    draw_sheets(out, entries, names, images, count=6)
    counts = {"names": len(names), "images": len(images), "contested": 0, "short": len(notes.short)}
    write_description(out, images=images, names=names, counts=counts, models=(CLIP,))
    return open_archives(out)


@stage("masks/saliency", opens=open_masks)
def masks(images: Images, names: Names, *, out: Path) -> PseudoMasks:
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
        facts = {"system": "namedmask", "preset": "mini", "images": str(images.folder), "command": "namesake run <here>"}
        write_json(run / "run.json", facts)
        workspace.step(index, images)
        workspace.step(archives, images, names)
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
