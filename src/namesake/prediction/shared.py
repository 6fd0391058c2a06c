"""Images and the opening of a segmenter in, predictions by the processes of an engine out, in the order of the images.

The images of a part are a stretch of whole batches, so the numbers are those of one process.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from namesake.engines import Part, collect
from namesake.prediction.encode import Encoded, EncodeSettings, encode_behind
from namesake.prediction.stream import BLOCK, Segmented, Skipped, segment_ahead
from namesake.records import Images, Prediction
from namesake.segmenter.opening import Opening

SHARE = 4 * BLOCK
"""Images of a part."""


def parts_of(images: Images, *, done: Collection[str] = ()) -> list[Part]:
    """The parts of a list of images that hold one that is not done."""
    stretches = [images.ids[start : start + SHARE] for start in range(0, len(images), SHARE)]
    return [part for part in enumerate(stretches) if any(image_id not in done for image_id in part[1])]


def segment_shared(engine: str, opening: Opening, images: Images) -> Iterator[tuple[str, Prediction] | Skipped]:
    """As `segment_ahead`, by several processes; the predictions do not hold their images.

    Raises:
        NamesakeError: Errors of `collect` and `Opening.open`.
    """
    arguments = {"opening": opening, "folder": images.folder, "device": opening.device}
    for results in collect(engine, _open_segmenting, arguments, parts_of(images)):
        yield from results


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
    arguments = {"opening": opening, "folder": images.folder, "stems": stems, "settings": settings}
    for results in collect(engine, _open_encoding, arguments | {"device": opening.device}, parts_of(images, done=done)):
        yield from (each for each in results if each.image_id not in done)


def _open_segmenting(
    *,
    opening: Opening,
    folder: Path,
    device: str,  # noqa: ARG001 - the engine wants it by name
) -> Callable[[Part], list[tuple[str, Prediction] | Skipped]]:
    """Load the segmenter, and return what predicts a part."""
    segmenter = opening.open()

    def work(part: Part) -> list[tuple[str, Prediction] | Skipped]:
        return [
            (found.image_id, replace(found.prediction, image=None)) if isinstance(found, Segmented) else found
            for found in segment_ahead(segmenter, Images(folder, part[1]))
        ]

    return work


def _open_encoding(
    *,
    opening: Opening,
    folder: Path,
    stems: Mapping[str, str],
    settings: EncodeSettings,
    device: str,  # noqa: ARG001 - the engine wants it by name
) -> Callable[[Part], list[Encoded | Skipped]]:
    """Load the segmenter, and return what predicts and encodes a part."""
    segmenter = opening.open()

    def work(part: Part) -> list[Encoded | Skipped]:
        predicted = segment_ahead(segmenter, Images(folder, part[1]))
        return list(encode_behind(predicted, stems, settings, workers=1))

    return work
