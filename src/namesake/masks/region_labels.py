"""Label regions of images with words: prompted masks (stage 1.1) and automatic masks (stage 1.2) of FMbSeg.

FMbSeg, https://arxiv.org/abs/2403.09307, section 3.2, both stages from one embedding of each image. Masks lie in
`prompted/` and `automatic/` as shards of run-length codes, several an image, at the size of the shrunk image; the label
of a mask is the row of its word in `words.json`, counted from 1.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray

from namesake.encoders import Precision
from namesake.encoders.cards import card_of
from namesake.errors import DataError, ImagesError
from namesake.images import read_ahead
from namesake.masks import rle
from namesake.masks.regions import RegionNamer, Regions, RegionsConfig, load_region_namer
from namesake.masks.store import Draw, Outcome, draw_masks, read_skipped
from namesake.names.words import words_of
from namesake.records import Artifact, Images, Names, PseudoMask, PseudoMasks
from namesake.shapes import ImageArray
from namesake.workspace import read_facts, stage, write_json

Kind = Literal["prompted", "automatic"]
KINDS: tuple[Kind, Kind] = ("prompted", "automatic")
WORDS = "words.json"
ABSENT, MASKLESS = "no word is there", "no mask"
SHARD_SIZE = 500
"""Images a shard of named masks."""
PUBLISHED = RegionsConfig()


@dataclass(frozen=True)
class RegionLabels(Artifact):
    """Masks with words.

    Attributes:
        words: Words as they were encoded: background words first, then names and synonyms.
        labels: Label of each word; 0 for background words.
        clip: Source of the encoder that named the masks.
    """

    words: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    clip: str = field(default="")

    def masks(self, kind: Kind) -> PseudoMasks:
        """The masks of one kind."""
        return PseudoMasks(self.folder / kind, models=self.models)


def open_region_labels(folder: Path) -> RegionLabels:
    """The record of masks with words on disk.

    Raises:
        DataError: There are none, or `words.json` is damaged.
    """
    counts, models = read_facts(folder)
    try:
        content = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        words, labels = tuple(content["words"]), tuple(content["labels"])
        return RegionLabels(folder, counts, models, words, labels, str(content["clip"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} holds no named masks ({error}). Run the mask stage first.") from error


@stage("masks/regions", opens=open_region_labels, models=lambda config: (config.clip, config.mask_model), shared=True)
def label_regions(
    out: Path,
    images: Images,
    names: Names,
    *,
    config: RegionsConfig = PUBLISHED,
    shown: Mapping[str, tuple[str, ...]] | None = None,
    device: str = "auto",
    precision: Precision = "no",
    engine: str = "local",
    workers: int = 2,
) -> RegionLabels:
    """Name regions of every image.

    Args:
        out: The stage's folder; finished shards in it are kept.
        images: Unlabelled.
        names: Names that may be there; background words may be there too.
        config: Settings of the stage.
        shown: For each image id the names that it is known to show: nothing has to be detected then
            (semi-supervised). Images that are not in it show nothing.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, "bf16", "fp16", or "int8" on the CPU; see `encoders.Precision`.
        engine: "local", "ray" or "ray:N"; see `engines.spread`.
        workers: Threads that read images.

    Returns:
        Masks with words, with the counts `images`, `prompted`, `automatic` (masks), `without_a_name` (images in which
        no word is there), `without_a_mask` and `unreadable`.

    Raises:
        ImagesError: Not one image can be read.
        WeightsError: An encoder is missing.
        DataError: `shown` has a name that is none of the names.
    """
    words, labels = words_of(names)
    known = None if shown is None else _rows_of(shown, words)
    arguments = {"images": images, "names": names, "shown": known, "config": config, "workers": workers}
    folders = [out / kind for kind in KINDS]
    arguments |= {"device": device, "precision": precision}
    draw_masks(
        folders, images.ids, _open_drawer, arguments, what="naming regions", shard_size=SHARD_SIZE, engine=engine
    )
    write_json(out / WORDS, {"words": words, "labels": labels, "clip": config.clip})
    counts = _count(out, len(images))
    if counts["unreadable"] == len(images):
        raise ImagesError(f"none of the {len(images)} images in {images.folder} can be read.")
    return RegionLabels(out, counts, tuple(map(card_of, (config.clip, config.mask_model))), words, labels, config.clip)


def read_shown(path: Path) -> dict[str, tuple[str, ...]]:
    """Read which names images are known to show: a JSON table of image ids with a list of names each.

    Raises:
        DataError: The file is missing, or is no such table.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(names, list) for names in content.values()):
            raise TypeError("a value is not a list of names")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f'expected at {path} a JSON table such as {{"photo.jpg": ["cat", "sofa"]}}, found none ({error}).'
        ) from error
    return {str(image): tuple(map(str, names)) for image, names in content.items()}


def name_regions(
    namer: RegionNamer, image: ImageArray, *, shown: Int[ndarray, " present"] | None = None
) -> tuple[Regions, Regions, int]:
    """Regions of one image that words asked for, all regions, and how many words are there.

    Args:
        namer: Sees and names.
        image: Image of any size.
        shown: Rows of the words that are there, where that is known.
    """
    view = namer.look(image)
    present = view.present() if shown is None else torch.from_numpy(shown).to(view.texts.device)
    return view.prompted(present), view.automatic(present), len(present)


def _open_drawer(
    *,
    images: Images,
    names: Names,
    shown: Mapping[str, Int[ndarray, " present"]] | None,
    config: RegionsConfig,
    workers: int,
    device: str,
    precision: Precision,
) -> Draw:
    """Load the models, and return what names the regions of images with them."""
    words, labels = words_of(names)
    namer = load_region_namer(words, config, device=device, precision=precision)
    namer.doubt(labels, encoder=config.clip)

    def draw(ids: Sequence[str]) -> Iterator[tuple[str, tuple[Outcome, Outcome]]]:
        for image_id, image in read_ahead(images, ids, workers=workers):
            if isinstance(image, ImagesError):
                yield image_id, (str(image), str(image))
                continue
            known = None if shown is None else shown.get(image_id, np.zeros(0, dtype=np.int64))
            prompted, automatic, present = name_regions(namer, image, shown=known)
            without = MASKLESS if present else ABSENT
            yield image_id, (_coded(image_id, prompted) or without, _coded(image_id, automatic) or without)

    return draw


def _coded(image_id: str, regions: Regions) -> list[PseudoMask]:
    """The regions as masks that are written; none where there is no region."""
    if not len(regions.masks):
        return []
    height, width = regions.masks.shape[1:]
    codes = rle.encode_batch(regions.masks)
    rows = zip(codes, regions.words, regions.scores, strict=True)
    return [PseudoMask(image_id, int(word) + 1, float(score), height, width, code) for code, word, score in rows]


def _rows_of(shown: Mapping[str, tuple[str, ...]], words: tuple[str, ...]) -> dict[str, Int[ndarray, " present"]]:
    """Rows of the words that images are known to show."""
    row = {word: number for number, word in enumerate(words)}
    unknown = sorted({name for names in shown.values() for name in names if name not in row})
    if unknown:
        raise DataError(f"images are said to show {', '.join(unknown[:5])}, expected some of: {', '.join(words[:20])}.")
    return {image: np.array(sorted({row[name] for name in names}), dtype=np.int64) for image, names in shown.items()}


def _count(out: Path, images: int) -> dict[str, int]:
    import pyarrow.parquet as pq

    reasons = [reason for _, reason in read_skipped(out / KINDS[1])]
    nameless, maskless = reasons.count(ABSENT), reasons.count(MASKLESS)
    shards = {kind: (out / kind).glob("masks-*.parquet") for kind in KINDS}
    return {
        "images": images,
        **{kind: sum(pq.read_metadata(path).num_rows for path in paths) for kind, paths in shards.items()},
        "without_a_name": nameless,
        "without_a_mask": maskless,
        "unreadable": len(reasons) - nameless - maskless,
    }
