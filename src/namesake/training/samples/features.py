"""Archives and an encoder in, its patch features of every image on disk out; and numbered samples made of them.

Features are computed once: what is trained on them never sees an image again. They lie in shards of float16, mapped
into memory, so that a collection of any size takes none. A shard holds a stretch of images whole or is not there, so
work that was killed goes on at the first missing one, and images that join later are added behind the others.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import count, islice, takewhile
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Float16, Int
from numpy import ndarray
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import Dataset

from namesake.archives import unique_images
from namesake.config import check, option
from namesake.encoders import Precision
from namesake.encoders.dino import Dino, load_dino
from namesake.encoders.preprocess import Preprocessing
from namesake.errors import DataError, ImagesError
from namesake.images import read_image, work_ahead
from namesake.images.geometry import limit_longer_side, resize_labels
from namesake.images.identity import identify
from namesake.masks.batches import by_size, in_windows
from namesake.progress import track
from namesake.records import Archives, Artifact, Images
from namesake.shapes import ImageArray
from namesake.training.samples.archives import Examples
from namesake.workspace import read_facts, read_record, stage, write_array, write_json

FACTS = "features.json"
SHARD, PLACES, DIGESTS = "features-{:05d}.npy", "features-{:05d}.json", "features-{:05d}.images.json"
IMAGES_A_SHARD = 64
CELLS = 4
"""Rows and columns of labels for each patch."""

Features = Float16[ndarray, "rows columns dim"]
Place = tuple[int, int, int] | None
"""First row in the shard, rows and columns of the grid; None where the image cannot be read."""


@dataclass(frozen=True)
class FeaturesConfig:
    """Whose features are kept."""

    dino: str = option("facebook/dinov2-small", "Source of a DINO or DINOv2; it stays as it is.")
    resize_longer: int = option(448, "Larger images are shrunk to this side, in training and in use.", at_least=16)
    batch_size: int = option(8, "Images at once.", at_least=1)


@dataclass(frozen=True)
class KeptFeatures(Artifact):
    """Patch features on disk.

    Attributes:
        encoder: Source of the encoder.
        longer_side: Side that larger images were shrunk to.
        places: Places of each image: shard, first row in it, rows and columns of its grid.
    """

    encoder: str = ""
    longer_side: int = 0
    places: dict[str, tuple[int, int, int, int]] = field(default_factory=dict, repr=False)


def open_features(folder: Path) -> KeptFeatures:
    """The record of features on disk.

    Raises:
        DataError: There are none, or their description is damaged.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        places = {
            image_id: (shard, *place)
            for shard, listed in enumerate(_listed(folder))
            for image_id, place in listed.items()
            if place is not None
        }
        return KeptFeatures(folder, *read_facts(folder), str(facts["encoder"]), int(facts["longer_side"]), places)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder} holds no features ({error}). Delete it, and run the same command again.") from error


def feature_reader(kept: KeptFeatures) -> Callable[[str], Features]:
    """What gives the features of an image, without copying them."""

    @cache
    def shard(number: int) -> Float16[ndarray, "patches dim"]:
        path = kept.folder / SHARD.format(number)
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} is damaged ({error}). Delete {kept.folder}, and run the same command again."
            ) from error

    def read(image_id: str) -> Features:
        number, first, rows, columns = kept.places[image_id]
        return shard(number)[first : first + rows * columns].reshape(rows, columns, -1)

    return read


@stage("features", opens=open_features, grows=True, models=lambda config: (config.dino,))
def keep_features(
    out: Path,
    archives: Archives,
    *,
    config: FeaturesConfig = FeaturesConfig(),
    device: str = "auto",
    precision: Precision = "no",
) -> KeptFeatures:
    """Compute the patch features of every image of the archives, and keep them.

    Args:
        out: The stage's folder; finished shards of the same encoder and size in it are kept, of images that are what
            they were then.
        archives: Whose images.
        config: Encoder and sizes.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, "bf16", "fp16", or "int8" on the CPU; see `encoders.Precision`.

    Returns:
        The features, with the counts `images`, `unreadable` and `megabytes`.

    Raises:
        ImagesError: Not one image can be read.
        WeightsError: The encoder is missing or damaged.
        ConfigError: A value is out of range.
    """
    check(config)
    facts = {"encoder": config.dino, "longer_side": config.resize_longer}
    facts |= {} if precision == "no" else {"precision": precision}
    if read_record(out / FACTS) != facts:
        for path in out.glob("features*"):
            path.unlink()
    write_json(out / FACTS, facts)
    encoder = load_dino(config.dino, device=device, precision=precision)
    listed, ids = _listed(out), tuple(unique_images(archives))
    known = identify(replace(archives.images, ids=ids))
    done = {image_id: digest for shard in _digests(out, len(listed)) for image_id, digest in shard.items()}
    todo = [image_id for image_id in ids if done.get(image_id) != known[image_id].digest]
    found = _encoded(archives.images, todo, encoder, config)
    tracked = track(found, what="keeping features", total=len(ids), done=len(ids) - len(todo))
    digests = {image_id: each.digest for image_id, each in known.items()}
    shards = _write(tracked, out, len(listed), digests=digests)
    places = {image_id: place for shard in (*listed, *shards) for image_id, place in shard.items()}
    kept = replace(open_features(out), models=(encoder.card,))
    if not kept.places:
        raise ImagesError(f"none of the {len(ids)} archive images in {archives.images.folder} can be read.")
    size = sum(path.stat().st_size for path in out.glob("features-*.npy"))
    unreadable = sum(place is None for place in places.values())
    return replace(kept, counts={"images": len(kept.places), "unreadable": unreadable, "megabytes": round(size / 1e6)})


def _write(
    found: Iterator[tuple[str, Float[Tensor, "rows columns dim"] | None]],
    out: Path,
    first: int,
    *,
    digests: Mapping[str, str],
) -> list[dict[str, Place]]:
    """Write shards from the number `first` on; what each holds."""
    shards: list[dict[str, Place]] = []
    while some := list(islice(found, IMAGES_A_SHARD)):
        start, listed, parts = 0, dict[str, Place](), list[Float16[ndarray, "patches dim"]]()
        for image_id, features in some:
            listed[image_id] = None if features is None else (start, features.shape[0], features.shape[1])
            if features is not None:
                parts.append(features.flatten(0, 1).half().cpu().numpy())  # [patches, dim]
                start += len(parts[-1])
        number = first + len(shards)
        write_json(out / DIGESTS.format(number), {image_id: digests[image_id] for image_id in listed})
        write_array(out / SHARD.format(number), np.concatenate(parts) if parts else np.zeros((0, 0), np.float16))
        write_json(out / PLACES.format(number), listed)
        shards.append(listed)
    return shards


def _encoded(
    images: Images, ids: Sequence[str], encoder: Dino, config: FeaturesConfig
) -> Iterator[tuple[str, Float[Tensor, "rows columns dim"] | None]]:
    """Features of each image in order, those of one size computed together; None where it cannot be read."""
    rule = Preprocessing(encoder.preprocessing.mean, encoder.preprocessing.std)

    def read(image_id: str) -> ImageArray:
        return limit_longer_side(read_image(images.path(image_id)), side=config.resize_longer)

    def encode(some: list[ImageArray]) -> Float[Tensor, "images rows columns dim"]:
        with torch.inference_mode():
            return encoder.patch_features(rule.fit_patches(some, patch=encoder.patch_size).to(encoder.device))

    look = partial(by_size, look=encode, most=lambda _: config.batch_size)
    for image_id, found in in_windows(work_ahead(read, ids, ahead=IMAGES_A_SHARD), IMAGES_A_SHARD, look):
        yield image_id, None if isinstance(found, ImagesError) else found


def _digests(folder: Path, count: int) -> list[dict[str, str]]:
    """What the images of each shard were; nothing is said of shards of earlier versions."""
    return [read_record(folder / DIGESTS.format(number)) for number in range(count)]


def _listed(folder: Path) -> list[dict[str, Place]]:
    """What each shard holds, from number 0 on, up to the first that is missing."""
    paths = takewhile(Path.is_file, (folder / PLACES.format(number) for number in count()))
    tables = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return [
        {
            str(image_id): None if place is None else (int(place[0]), int(place[1]), int(place[2]))
            for image_id, place in table.items()
        }
        for table in tables
    ]


class FeatureSample(NamedTuple):
    """What a decoder is trained on.

    Attributes:
        features: Features of patches.
        labels: Four rows and columns a patch.
    """

    features: Float16[Tensor, "rows columns dim"]
    labels: Int[Tensor, "fine_rows fine_columns"]


@final
class FeatureSamples(Dataset[FeatureSample]):
    """Training samples on kept features: random windows of archive images, and patches of others pasted into them.

    Every image of a sample is drawn uniformly from the concatenated archives, with replacement. A patch takes its
    feature and its labels along: those that a mask touches are pasted whole, with the background at its edge.

    Args:
        examples: The concatenated archives and their masks.
        kept: Features of their images.
        window: Side of a sample in patches; smaller images are padded.
        copy_paste_max: Images of a sample: uniform from 1 to this.
        flip: Chance that an image is mirrored.
        ignore: Label that does not count; that of padding.
        seed: Sample i is a function of (seed, i).
    """

    def __init__(
        self,
        examples: Examples,
        kept: KeptFeatures,
        *,
        window: int,
        copy_paste_max: int,
        flip: float,
        ignore: int,
        seed: int,
    ) -> None:
        missing = [image_id for image_id in examples.images.ids if image_id not in kept.places]
        if missing:
            raise DataError(
                f"{kept.folder} lacks the features of {len(missing)} images, {missing[0]} among them. "
                "Delete it, and run the same command again."
            )
        self.examples, self.window, self.copy_paste_max, self.flip = examples, window, copy_paste_max, flip
        self.ignore, self.seed, self._read = ignore, seed, feature_reader(kept)

    def __getitem__(self, index: int) -> FeatureSample:
        """The sample of that number, 0 or more; there is no last one."""
        rng = np.random.default_rng((self.seed, index))
        lines = rng.integers(len(self.examples), size=int(rng.integers(1, self.copy_paste_max, endpoint=True)))
        features, labels = self._window(int(lines[0]), rng)
        for line in lines[1:]:
            others, their = self._window(int(line), rng)
            present = ((their > 0) & (their != self.ignore)).any(axis=(2, 3))  # [rows, columns]
            features[present], labels[present] = others[present], their[present]
        # [rows, columns, cells, cells] -> [fine_rows, fine_columns]
        fine = labels.transpose(0, 2, 1, 3).reshape(CELLS * self.window, CELLS * self.window)
        return FeatureSample(torch.from_numpy(features), torch.from_numpy(np.ascontiguousarray(fine)))

    def _window(self, line: int, rng: Generator) -> tuple[Features, Int[ndarray, "rows columns cells cells"]]:
        """A random window of an image: features, and labels of the cells of each patch."""
        examples = self.examples
        image_id = examples.images.ids[examples.image[line]]
        features = self._read(image_id)
        rows, columns, dim = features.shape
        # the mask on the grid of cells, then cells by patch: [rows, columns, cells, cells]
        mask = resize_labels(examples.codes[int(examples.mask[line])], height=CELLS * rows, width=CELLS * columns)
        labels = mask.astype(np.int64).reshape(rows, CELLS, columns, CELLS).transpose(0, 2, 1, 3)
        labels *= int(examples.label[line])
        if rng.random() < self.flip:
            features, labels = features[:, ::-1], labels[:, ::-1, :, ::-1]
        # the window, padded where the image is smaller
        found = np.zeros((self.window, self.window, dim), np.float16)
        cells = np.full((self.window, self.window, CELLS, CELLS), self.ignore, np.int64)
        (top, into_top, tall), (left, into_left, wide) = (self._place(side, rng) for side in (rows, columns))
        inside = (slice(into_top, into_top + tall), slice(into_left, into_left + wide))
        found[inside] = features[top : top + tall, left : left + wide]
        cells[inside] = labels[top : top + tall, left : left + wide]
        return found, cells

    def _place(self, side: int, rng: Generator) -> tuple[int, int, int]:
        """Along one side: where the window begins in the image, where the image begins in the window, how much."""
        start = int(rng.integers(abs(side - self.window) + 1))
        return (start, 0, self.window) if side >= self.window else (0, start, side)
