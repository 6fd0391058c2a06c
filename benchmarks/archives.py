"""The stage of archives beside the same written plainly with transformers, numpy and Pillow, on the embedded world.

    python benchmarks/archives.py [--images 480]

Both load CLIP, embed 16 names in 85 sentences, take the ten images that are closest to each, leave out those that two
names share, write the list, and draw a sheet for each name. The plain form checks nothing, can resume nothing and says
nothing of what it found. Both run in turn in one process and on one thread; the least of several runs counts.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageDraw, ImageFont
from transformers import AutoTokenizer, CLIPModel
from transformers.utils.logging import disable_progress_bar

from claims import claim
from namesake.archives import ArchivesConfig, retrieve
from namesake.encoders import load_clip
from namesake.encoders.sources import fetch
from namesake.images import open_images
from namesake.index import open_index
from namesake.index.build import write_index
from namesake.memory import keep_freed_memory
from namesake.names.prompts import TEMPLATES
from namesake.records import Images, Names
from namesake.world import SEEN_NAMES, write_world

CLIP, EACH, TILE, COLUMNS = "embedded:clip", 10, 128, 8
RUNS = 7


@torch.inference_mode()
def written_plainly(out: Path, home: Path, images: Images) -> set[tuple[int, str]]:
    """The archives as (label from 1, image), after writing list and sheets."""
    folder = fetch(CLIP, kind="clip")
    model, tokenizer = CLIPModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    vectors = []
    for name in SEEN_NAMES:
        tokens = tokenizer([template.format(name) for template in TEMPLATES], padding=True, return_tensors="pt")
        text = model.get_text_features(**tokens).pooler_output
        vectors.append(torch.nn.functional.normalize(text, dim=-1).mean(0))
    texts = torch.nn.functional.normalize(torch.stack(vectors), dim=-1).numpy()
    scores = texts @ np.load(home / "index" / "img_emb" / "img_emb_0.npy").astype(np.float32).T
    best = np.argsort(-scores, axis=1)[:, :EACH]
    shared = np.bincount(best.ravel(), minlength=scores.shape[1]) > 1
    entries = [(label, row) for label, rows in enumerate(best, start=1) for row in rows if not shared[row]]
    table = {
        "label": [label for label, _ in entries],
        "image": [images.ids[row] for _, row in entries],
        "score": [float(scores[label - 1, row]) for label, row in entries],
    }
    out.mkdir(parents=True)
    pq.write_table(pa.table(table), out / "archives.parquet")
    font = ImageFont.load_default(11)
    for label, name in enumerate(SEEN_NAMES, start=1):
        rows = [row for other, row in entries if other == label]
        sheet = Image.new("RGB", (4 + COLUMNS * (TILE + 4), 24 + -(-len(rows) // COLUMNS) * (TILE + 20)), "white")
        pen = ImageDraw.Draw(sheet)
        pen.text((4, 4), f"{label}  {name}  ({len(rows)} images)", fill="black", font=font)
        for place, row in enumerate(rows):
            left, top = 4 + place % COLUMNS * (TILE + 4), 24 + place // COLUMNS * (TILE + 20)
            with Image.open(images.path(images.ids[row])) as image:
                scale = TILE / max(image.size)
                sheet.paste(image.convert("RGB").resize([round(side * scale) for side in image.size]), (left, top))
            pen.text((left, top + TILE), f"{place + 1}  {scores[label - 1, row]:.3f}", fill="black", font=font)
        sheet.save(out / f"{label:02d}-{name}.jpg", quality=85)
    return {(label, images.ids[row]) for label, row in entries}


def by_stage(out: Path, home: Path, _: Images) -> set[tuple[int, str]]:
    """The same by the package's stage."""
    config = ArchivesConfig(images_per_name=EACH)
    made = retrieve(out, open_index(home / "index"), Names(SEEN_NAMES), config=config, device="cpu")
    table = pq.read_table(made.folder / "archives.parquet").to_pydict()
    return set(zip(table["label"], table["image_id"], strict=True))


def main() -> None:
    """Render, index, then both in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=480)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    disable_progress_bar()
    forms: tuple[Callable[[Path, Path, Images], set[tuple[int, str]]], ...] = (by_stage, written_plainly)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_world("unlabelled", home / "unlabelled", count=options.images, seed=3)
        images = open_images(home / "unlabelled" / "images")
        write_index(images, load_clip(CLIP, device="cpu"), encoder=CLIP, out=home / "index")
        seconds: dict[str, list[float]] = {form.__name__: [] for form in forms}
        for _ in range(RUNS):
            found = []
            for form in forms:
                shutil.rmtree(home / "out", ignore_errors=True)
                start = time.process_time()
                found.append(form(home / "out", home, images))
                seconds[form.__name__].append(time.process_time() - start)
            assert found[0] == found[1]
    ours, plain = (min(each) for each in seconds.values())
    claim(
        f"archives, {options.images} images, 16 names",
        f"{ours:.2f} CPU s; {plain:.2f} written plainly with transformers, numpy and Pillow, for the same archives",
        ratio=ours / plain,
        to="times the plain form",
        target=("at most", 1.05),
    )


if __name__ == "__main__":
    main()
