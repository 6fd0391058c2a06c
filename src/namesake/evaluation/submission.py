"""Predictions of ImageNet-S's test images in, the PNGs that its server takes out; the truth stays with the server.

Gao et al., Large-scale Unsupervised Semantic Segmentation (PAMI 2022), https://arxiv.org/abs/2106.03149.
"""

from pathlib import Path, PurePosixPath

from namesake.errors import DataError
from namesake.evaluation.benchmarks import BENCHMARKS
from namesake.evaluation.benchmarks.decode import encode_red_green
from namesake.evaluation.benchmarks.ids import published_names
from namesake.evaluation.terms import table_of, table_with
from namesake.images import open_images
from namesake.images.encode import encode_picture
from namesake.names import read_names
from namesake.names.spelling import BACKGROUND, match_names, some
from namesake.prediction import SegmentsImages, not_sure, segment_ahead
from namesake.prediction.stream import Skipped
from namesake.progress import note, track
from namesake.records import Images, Names
from namesake.segmenter import CarefulConfig, Opening
from namesake.workspace import write_bytes

SIZES = {f"imagenet-s{size}": size for size in (50, 300, 919)}
"""Benchmark -> number of names."""
FOLDER = "test"


def submit(
    run: Path,
    *,
    benchmark: str,
    root: Path,
    out: Path,
    ask: str | None = None,
    read: CarefulConfig | None = None,
    device: str = "auto",
) -> int:
    """Write what the server of a benchmark takes, from a run's predictions of its test images.

    Args:
        run: The run folder.
        benchmark: A key of SIZES.
        root: Folder of the benchmark; its test images are in `test/`.
        out: A folder.
        ask: Names to segment instead of the run's, where it takes any.
        read: Read the images with care; None for one pass.
        device: "auto", "cpu" or "cuda".

    Returns:
        The number of files.

    Raises:
        DataError: The benchmark has no such server, its test images are missing, or as `write_submission` has it.
        WeightsError: The run holds no segmenter.
    """
    if benchmark not in SIZES:
        raise DataError(f"{benchmark} has no server that takes PNGs; --submission is for {', '.join(SIZES)}.")
    places = [root / home / FOLDER for home in BENCHMARKS[benchmark].homes]
    there = [place for place in places if place.is_dir()]
    if not there:
        raise DataError(f"expected the test images in {places[0]}, found no folder. Download them, or give --root.")
    segmenter = Opening(str(run), device=device, read=read, names=read_names(ask) if ask else None).open()
    return write_submission(segmenter, open_images(there[0]), size=SIZES[benchmark], out=out)


def write_submission(segmenter: SegmentsImages, images: Images, *, size: int, out: Path) -> int:
    """Write `<image's path>.png` for every image, with the id as red + 256 green.

    Pixels that nobody is sure of, and those of names that this ImageNet-S does not have, are 0 (other).

    Args:
        segmenter: Segmenter that predicts.
        images: The folder `test`, with a folder for each category.
        size: 50, 300 or 919 names.
        out: A folder.

    Returns:
        The number of files.

    Raises:
        DataError: There is no such ImageNet-S, an image cannot be read, or no name is one of its.
    """
    sizes = list(SIZES.values())
    if size not in sizes:
        raise DataError(f"there is no ImageNet-S of {size} names; expected one of {', '.join(map(str, sizes))}.")
    official = Names(tuple(published_names(f"imagenet-s{size}").names.values()))
    matched = match_names(dict(enumerate((BACKGROUND, *segmenter.names.names))), official)
    known = matched.labels
    if not any(known.values()):
        raise DataError(f"none of {', '.join(segmenter.names.names[:5])} is a name of ImageNet-S {size}.")
    if matched.unknown:
        note(f"ImageNet-S {size} does not have {some(matched.unknown)}; their pixels are written as 0.")
    if matched.unused:
        note(f"names of ImageNet-S {size} that the run does not have: {some(matched.unused)}.")
    table = table_with(table_of(known), not_sure(len(segmenter.names)), names=size, unsure=0)
    for found in track(segment_ahead(segmenter, images), what="submission", total=len(images)):
        if isinstance(found, Skipped):
            raise DataError(f"{found.image_id} belongs to the test images and cannot be read: {found.reason}")
        picture = encode_picture(encode_red_green(table[found.prediction.labels]), "PNG")
        write_bytes(out / PurePosixPath(found.image_id).with_suffix(".png"), picture)
    return len(images)
