"""Images and the opening of a segmenter in, predictions by the processes of an engine out, in the order of the images.

The images of a part are a stretch of whole batches, so the numbers are those of one process.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from namesake.engines import Part, collect
from namesake.prediction.encode import Encoded, EncodeSettings, encode_behind
from namesake.prediction.stream import BLOCK, Segmented, Skipped, segment_ahead
from namesake.records import Images, Prediction
from namesake.segmenter.opening import Opening

SHARE = 4 * BLOCK
"""Images of a part."""
Made = TypeVar("Made")
Finish = Callable[[Iterator[Segmented | Skipped]], Iterator[Made]]
"""What becomes of the predictions in the process that made them."""


def parts_of(images: Images, *, done: Collection[str] = ()) -> list[Part]:
    """The parts of a list of images that hold one that is not done."""
    stretches = [images.ids[start : start + SHARE] for start in range(0, len(images), SHARE)]
    return [part for part in enumerate(stretches) if any(image_id not in done for image_id in part[1])]


def segment_shared(engine: str, opening: Opening, images: Images) -> Iterator[tuple[str, Prediction] | Skipped]:
    """As `segment_ahead`, by several processes; the predictions do not hold their images.

    Raises:
        NamesakeError: Errors of `collect` and `Opening.open`.
    """
    return _share(engine, opening, images, _without_images)


def encode_shared(
    engine: str,
    opening: Opening,
    images: Images,
    stems: Mapping[str, str],
    settings: EncodeSettings,
    *,
    done: Collection[str] = (),
) -> Iterator[Encoded | Skipped]:
    """What to write for each image that is not done, in order, made by several processes.

    Raises:
        NamesakeError: Errors of `collect` and `Opening.open`.
    """
    encode = partial(encode_behind, stems=stems, settings=settings, workers=1)
    made = _share(engine, opening, images, encode, done=done)
    return (each for each in made if each.image_id not in done)


def _share(
    engine: str, opening: Opening, images: Images, finish: Finish[Made], *, done: Collection[str] = ()
) -> Iterator[Made]:
    arguments = {"opening": opening, "folder": images.folder, "finish": finish, "device": opening.device}
    for results in collect(engine, _open, arguments, parts_of(images, done=done)):
        yield from results


def _open(
    *,
    opening: Opening,
    folder: Path,
    finish: Finish[Made],
    device: str,  # noqa: ARG001 - the engine wants it by name
) -> Callable[[Part], list[Made]]:
    """Load the segmenter, and return what predicts a part and finishes it."""
    segmenter = opening.open()
    return lambda part: list(finish(segment_ahead(segmenter, Images(folder, part[1]))))


def _without_images(predicted: Iterator[Segmented | Skipped]) -> Iterator[tuple[str, Prediction] | Skipped]:
    for found in predicted:
        yield (found.image_id, replace(found.prediction, image=None)) if isinstance(found, Segmented) else found
