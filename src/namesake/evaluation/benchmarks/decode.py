"""A file of a label map, as a benchmark's makers store it, in; the ids that it holds out. It knows no names.

What the ids mean is the benchmark's table; how they are coded is a key of `DECODERS`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray
from PIL import Image

from namesake.errors import DataError
from namesake.evaluation.benchmarks.ids import published_names
from namesake.prediction.export import read_index_png
from namesake.shapes import IGNORE, LabelArray

MANY_IGNORED = 1000
"""ImageNet-S's id of pixels that do not count."""
STUFF = 91
"""From this id on, COCO-Stuff's maps hold stuff."""
CAMVID_COLOURS = {
    0: ((128, 128, 128),),
    1: ((128, 0, 0), (0, 128, 64), (64, 192, 0), (64, 0, 64), (192, 0, 128)),
    2: ((192, 192, 128), (0, 0, 64)),
    3: ((128, 64, 128), (128, 0, 192), (192, 0, 64)),
    4: ((0, 0, 192), (64, 192, 128), (128, 128, 192)),
    5: ((128, 128, 0), (192, 192, 0)),
    6: ((192, 128, 128), (128, 128, 64), (0, 64, 64)),
    7: ((64, 64, 128),),
    8: ((64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)),
    9: ((64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)),
    10: ((0, 128, 192), (192, 0, 192)),
    11: ((0, 0, 0),),
}
"""CamVid's 32 colours by the 11 names that SegNet (Badrinarayanan et al., PAMI 2017) joined them to; 11 is void."""


def decode_binary(path: Path) -> LabelArray:
    """A grey picture of one object: 1 where it is brighter than half, else 0; or a map of 0 and 1 as it is."""
    pixels = _pixels(path, mode="L")
    return pixels.copy() if pixels.max(initial=0) <= 1 else (pixels > 127).astype(np.uint8)


def decode_any(path: Path) -> LabelArray:
    """A grey picture of one object: 1 where it is not black, as SelfMask's released evaluation has it."""
    return (_pixels(path, mode="L") > 0).astype(np.uint8)


def decode_category_folder(path: Path) -> LabelArray:
    """CoCA: as `decode_binary`, with the id of the category whose folder holds the file."""
    ids = {name: number for number, name in published_names("coca").names.items()}
    if path.parent.name not in ids:
        raise DataError(
            f"{path} should lie in a folder named as one of CoCA's 80 categories, such as {next(iter(ids))}."
        )
    return decode_binary(path) * np.uint8(ids[path.parent.name])


def decode_red_green(path: Path) -> LabelArray:
    """ImageNet-S: id = red + 256 green. An index PNG of 8 or 16 bits holds the ids themselves."""
    if not _has_colours(path):
        return read_index_png(path)
    pixels = _pixels(path, mode="RGB").astype(np.int32)
    return pixels[..., 0] + 256 * pixels[..., 1]


def encode_red_green(labels: LabelArray) -> UInt8[ndarray, "height width 3"]:
    """The RGB picture of ids as ImageNet-S's server takes it: (id % 256, id // 256, 0)."""
    return np.stack([labels % 256, labels // 256, np.zeros_like(labels)], axis=-1).astype(np.uint8)


def decode_red(path: Path) -> LabelArray:
    """KITTI-STEP: red holds the id; green and blue the object's number. An index PNG holds the ids themselves."""
    return np.ascontiguousarray(_pixels(path, mode="RGB")[..., 0]) if _has_colours(path) else read_index_png(path)


def decode_things(path: Path) -> LabelArray:
    """COCO-Stuff's map with things by their official id (1 to 90), stuff as 0, unlabelled as 255."""
    labels = read_index_png(path)
    return np.where(labels == IGNORE, IGNORE, np.where(labels < STUFF, labels + 1, 0)).astype(np.uint8)


def decode_camvid(path: Path) -> LabelArray:
    """CamVid's ids 0 to 11, or its 32 colours joined to them."""
    if not _has_colours(path):
        return read_index_png(path)
    pixels = _pixels(path, mode="RGB").astype(np.int32)
    codes, ids = _camvid_codes()
    found = pixels @ np.array([65536, 256, 1], dtype=np.int32)  # 0xRRGGBB, [height, width]
    # place in the sorted codes; a colour beyond the last is found to differ below
    place = np.minimum(np.searchsorted(codes, found), len(codes) - 1)
    if (codes[place] != found).any():
        strange = pixels[codes[place] != found][0].tolist()
        raise DataError(
            f"{path} holds the colour {strange}, which is none of CamVid's 32; expected its label pictures."
        )
    return ids[place]


def decode_context(path: Path) -> LabelArray:
    """Pascal Context's 459 ids in a MATLAB file, as the 59 names of its papers; 0 is everything else.

    `labels.txt` of the download, beside the folder of the file, says which id is which word.
    """
    from scipy.io import loadmat

    try:
        labels = loadmat(str(path))["LabelMap"]
    except FileNotFoundError as error:
        raise DataError(f"expected a label map at {path}, found no file.") from error
    except Exception as error:  # what is damaged can raise nearly anything
        raise DataError(f"{path} is no MATLAB file with a LabelMap: {error}.") from error
    return np.asarray(_context_table(path.parent.parent / "labels.txt")[labels])


DECODERS: Mapping[str, Callable[[Path], LabelArray]] = {
    "index": read_index_png,
    "binary": decode_binary,
    "category folder": decode_category_folder,
    "red + 256 green": decode_red_green,
    "red": decode_red,
    "any": decode_any,
    "coco things": decode_things,
    "camvid": decode_camvid,
    "pascal context": decode_context,
}


@cache
def _camvid_codes() -> tuple[Int[ndarray, " colours"], UInt8[ndarray, " colours"]]:
    pairs = sorted(
        ((red << 16) | (green << 8) | blue, number)
        for number, colours in CAMVID_COLOURS.items()
        for red, green, blue in colours
    )
    return np.array([code for code, _ in pairs]), np.array([number for _, number in pairs], dtype=np.uint8)


@cache
def _context_table(labels: Path) -> UInt8[ndarray, " ids"]:
    """The id of one of 59 names, or 0, for each of the 459 ids."""
    wanted = {name: number for number, name in published_names("pascal-context").names.items()}
    try:
        lines = [line.split(":", 1) for line in labels.read_text(encoding="utf-8").splitlines() if ":" in line]
        words = {int(number): word.strip() for number, word in lines}
    except (OSError, ValueError) as error:
        raise DataError(f"expected Pascal Context's list of words, as `1: accordion`, in {labels}: {error}.") from error
    missing = wanted.keys() - set(words.values())
    if missing:
        raise DataError(
            f"{labels} does not list {', '.join(sorted(missing)[:5])}; expected Pascal Context's 459 words."
        )
    table = np.zeros(max(words) + 1, dtype=np.uint8)
    for number, word in words.items():
        table[number] = wanted.get(word, 0)
    return table


def _has_colours(path: Path) -> bool:
    with _opened(path) as picture:
        return picture.mode in {"RGB", "RGBA"}


def _pixels(path: Path, *, mode: str) -> UInt8[ndarray, "..."]:
    with _opened(path) as picture:
        return np.asarray(picture.convert(mode))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as picture:
            yield picture
    except FileNotFoundError as error:
        raise DataError(f"expected a label map at {path}, found no file.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a label map: {error}.") from error
