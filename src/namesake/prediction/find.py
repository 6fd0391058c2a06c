"""Find the images that show one very object, given a few pictures of it and its name, without training.

FMbSeg, https://arxiv.org/abs/2403.09307, section 4.5.2 (Table 4): the object is segmented by its name in its own
pictures and in every image, and the self-supervised features within the masks are compared.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from namesake.documents import is_text, read_json, read_text, refused
from namesake.encoders.patches import PatchEncoder, load_patch_encoder, squares
from namesake.engines import Part, collect
from namesake.errors import DataError, ImagesError
from namesake.images import read_ahead, read_image
from namesake.images.paths import match_paths
from namesake.masks.regions import RegionNamer, RegionsConfig, load_region_namer, mean_features
from namesake.prediction.shared import parts_of
from namesake.progress import Meter, track
from namesake.records import Images
from namesake.shapes import ImageArray

LONE = 0.8
"""Threshold where a single picture of the object leaves nothing to compare."""


@dataclass(frozen=True)
class FindConfig:
    """How an object is recognised; the defaults are FMbSeg's."""

    regions: RegionsConfig = field(default_factory=RegionsConfig)
    """How the object is segmented by its name."""
    dense_encoder: str = "facebook/dinov2-large"
    """Whose features are compared; paper: DINOv2 ViT-L/14."""
    image_size: int = 518
    """Side in pixels of its input; paper: 518."""


class Match(NamedTuple):
    """What an image has of the object: the highest cosine with one of its pictures; None where it cannot be read."""

    image_id: str
    score: float | None
    reason: str = ""


class Quality(NamedTuple):
    """How good a search was, in percent; None where there is nothing to divide by."""

    precision: float | None
    recall: float | None


@final
class Finder:
    """Recognises one object.

    Args:
        namer: Segments it by its name, its only word.
        encoder: Describes what it looks like.
        side: Side of the encoder's input in pixels.
        pictures: Pictures of the object, one or more.

    Raises:
        ImagesError: There is no picture, or none in which a mask is found.
    """

    def __init__(self, namer: RegionNamer, encoder: PatchEncoder, side: int, pictures: Sequence[ImageArray]) -> None:
        self.namer, self.encoder, self.side = namer, encoder, side
        described = [self.describe(picture) for picture in pictures]
        kept = [each for each in described if each is not None]
        if not kept:
            raise ImagesError(
                f"no {namer.words[0]!r} can be segmented in the {len(pictures)} pictures of the object. "
                "Give pictures that show it large, or another --name."
            )
        self.views = np.stack(kept)  # [pictures, dim]

    def describe(self, image: ImageArray) -> Float[ndarray, " dim"] | None:
        """Mean feature within the object's mask, of length 1; None where there is no mask."""
        regions = self.namer.look(image).prompted(torch.tensor([0], device=self.namer.texts.device))
        if not len(regions.masks):
            return None
        patches = self.encoder.patch_features(squares(self.encoder, [image], side=self.side))[0]
        found: Float[ndarray, " dim"] = mean_features(regions.masks[:1], patches)[0].cpu().numpy()
        return found

    def score(self, image: ImageArray) -> float:
        """Highest cosine with a picture of the object; -1 where there is no mask."""
        described = self.describe(image)
        return -1.0 if described is None else float((self.views @ described).max())

    def threshold(self) -> float:
        """The score of that picture of the object which is least like its other pictures."""
        if len(self.views) < 2:
            return LONE
        alike = self.views @ self.views.T  # cosines, [pictures, pictures]
        np.fill_diagonal(alike, -1.0)  # no picture with itself
        return float(alike.max(axis=1).min())


def load_finder(
    name: str, pictures: Iterable[Path], *, config: FindConfig | None = None, device: str = "auto"
) -> Finder:
    """Make a finder of one object.

    Args:
        name: Word for the object, as people say.
        pictures: Files that show it.
        config: Settings; FMbSeg's way if None.
        device: "auto", "cpu" or "cuda".

    Raises:
        ImagesError: A picture cannot be read, there is none, or none in which a mask is found.
        WeightsError: An encoder is missing.
    """
    config = config or FindConfig()
    namer = load_region_namer((name,), config.regions, device=device)
    namer.doubt([1], encoder=config.regions.clip)
    encoder = load_patch_encoder(config.dense_encoder, device=device)
    return Finder(namer, encoder, config.image_size, [read_image(path) for path in pictures])


def find_object(finder: Finder, images: Images, *, workers: int = 2) -> Iterator[Match]:
    """Score every image; memory does not grow with their number."""
    yield from track(_look(finder, images, workers=workers), what="finding", total=len(images))


def _look(finder: Finder, images: Images, *, workers: int = 2) -> Iterator[Match]:
    for image_id, image in read_ahead(images, images.ids, workers=workers):
        if isinstance(image, ImagesError):
            yield Match(image_id, None, str(image))
        else:
            yield Match(image_id, finder.score(image))


def find_shared(
    engine: str,
    name: str,
    pictures: Sequence[Path],
    images: Images,
    *,
    config: FindConfig | None = None,
    device: str = "auto",
) -> Iterator[Match]:
    """As `find_object` with a finder of its own in each process of an engine.

    Raises:
        NamesakeError: Errors of `load_finder` and `collect`.
    """
    arguments = {"name": name, "pictures": pictures, "config": config, "folder": images.folder, "device": device}
    with Meter("finding", total=len(images)) as meter:
        for matches in collect(engine, _open_finding, arguments, parts_of(images)):
            yield from matches
            meter.advance(len(matches))


def _open_finding(
    *, name: str, pictures: Sequence[Path], config: FindConfig | None, folder: Path, device: str
) -> Callable[[Part], list[Match]]:
    """Make the finder, and return what looks at the images of a part."""
    finder = load_finder(name, pictures, config=config, device=device)
    return lambda part: list(_look(finder, Images(folder, part[1])))


def quality(matches: Iterable[Match], shown: set[str], *, threshold: float) -> Quality:
    """Precision and recall of the images whose score reaches a threshold.

    Args:
        matches: One an image; those that cannot be read count as not found.
        shown: Ids of the images that show the object.
        threshold: A cosine.
    """
    found = {match.image_id for match in matches if match.score is not None and match.score >= threshold}
    right = len(found & shown)
    return Quality(100 * right / len(found) if found else None, 100 * right / len(shown) if shown else None)


def read_shown_ids(path: Path, images: Images) -> set[str]:
    """Ids of the images that show the object: a JSON list of ids, or a text file with one a line.

    Raises:
        DataError: The file is missing or malformed, or has an id that is no image's.
    """
    ids = read_json(path) if path.suffix.lower() == ".json" else read_text(path).splitlines()
    if not isinstance(ids, list) or not all(map(is_text, ids)):
        raise refused(path, "ids of images", "a list of texts, or one a line", ids)
    matched = match_paths([one.strip() for one in ids if one.strip()], images.ids)
    if matched.unknown:
        raise DataError(
            f"{path} names {matched.unknown[0]!r}, which is no image in {images.folder} (one of "
            f"{len(matched.unknown)}): {matched.examples()}."
        )
    return set(matched.found.values())
