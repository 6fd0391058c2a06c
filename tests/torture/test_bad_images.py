"""Images broken in every way that we know go through index, masks and prediction: no crash, every skip has a reason."""

import io
import json
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.errors import ImagesError
from namesake.images import open_images, read_image

pytestmark = pytest.mark.slow

FORMATS = ("png", "jpg", "gif", "webp", "bmp", "tif", "ppm")


def picture(chance: random.Random, mode: str = "RGB", size: tuple[int, int] | None = None) -> Image.Image:
    pixels = np.random.default_rng(chance.randrange(2**32)).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    small = Image.fromarray(pixels).resize(size or (chance.randint(8, 40), chance.randint(8, 40)))
    return small.convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, format={"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind.upper()), **options)
    return content.getvalue()


def any_kind(chance: random.Random) -> tuple[str, bytes]:
    kind = chance.choice(FORMATS)
    return kind, encoded(picture(chance), kind)


def truncated(chance: random.Random) -> tuple[str, bytes]:
    kind, content = any_kind(chance)
    return kind, content[: chance.randrange(len(content))]


def flipped(chance: random.Random) -> tuple[str, bytes]:
    kind, content = any_kind(chance)
    changed = bytearray(content)
    for _ in range(chance.choice([1, 3, 20])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return kind, bytes(changed)


def renamed(chance: random.Random) -> tuple[str, bytes]:
    return chance.choice(FORMATS), any_kind(chance)[1]


def empty_or_other(chance: random.Random) -> tuple[str, bytes]:
    noise = bytes(chance.randrange(256) for _ in range(50))
    return "png", chance.choice([b"", b"\0", b"text, not an image\n", b"<svg onload=alert(1)/>", b"%PDF-1.4", noise])


def narrow(chance: random.Random) -> tuple[str, bytes]:
    size = chance.choice([(1, 1), (1, 20_000), (20_000, 1), (2, 1), (1, 70_000)])
    return "png", encoded(picture(chance, size=size), "png")


def deep(chance: random.Random) -> tuple[str, bytes]:
    values = np.random.default_rng(chance.randrange(2**32)).integers(0, 65536, (9, 12))
    kind = chance.choice([("uint16", "png"), ("int32", "tif"), ("float32", "tif")])
    return kind[1], encoded(Image.fromarray(values.astype(kind[0])), kind[1])


def other_mode(chance: random.Random) -> tuple[str, bytes]:
    mode, kind = chance.choice(
        [("P", "png"), ("RGBA", "png"), ("LA", "png"), ("1", "png"), ("CMYK", "jpg"), ("L", "jpg")]
    )
    return kind, encoded(picture(chance, mode), kind)


def animated(chance: random.Random) -> tuple[str, bytes]:
    more = [picture(chance, size=(16, 12)) for _ in range(3)]
    kind = chance.choice(["gif", "webp", "png"])
    return kind, encoded(picture(chance, size=(16, 12)), kind, save_all=True, append_images=more)


def rotated(chance: random.Random) -> tuple[str, bytes]:
    exif = Image.Exif()
    exif[0x0112] = chance.choice([0, 1, 3, 6, 8, 99])
    return "jpg", encoded(picture(chance), "jpg", exif=exif)


def bomb(chance: random.Random) -> tuple[str, bytes]:
    """A PNG of some bytes that says it has billions of pixels, or as many as its bytes cannot hold."""
    side = chance.choice([60_000, 2**31 - 1, 13_000])

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return "png", b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def whole(chance: random.Random) -> tuple[str, bytes]:
    return any_kind(chance)


WAYS: tuple[Callable[[random.Random], tuple[str, bytes]], ...] = (
    truncated,
    flipped,
    renamed,
    empty_or_other,
    narrow,
    deep,
    other_mode,
    animated,
    rotated,
    bomb,
    whole,
)


def write_corpus(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        way = WAYS[number % len(WAYS)]
        suffix, content = way(random.Random(number))
        (folder / f"{number:04d}-{way.__name__}.{suffix}").write_bytes(content)


def reasons_in(file: Path) -> dict[str, str]:
    """Reason by id of a list of skipped images, as JSON or JSON lines."""
    text = file.read_text(encoding="utf-8")
    entries = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    return {entry.get("id") or entry.get("image") or entry["image_id"]: entry["reason"] for entry in entries}


def test_bad_images__index_masks_and_prediction(long: bool, runner, command, tiny, claim, tmp_path: Path):  # noqa: PLR0917
    corpus, count = tmp_path / "corpus", 1000 if long else 60
    write_corpus(corpus, count)
    unreadable = {}
    for image_id in open_images(corpus).ids:
        try:
            assert read_image(corpus / image_id).dtype == np.uint8
        except ImagesError as error:
            unreadable[image_id] = str(error)
    assert 0.15 * count < len(unreadable) < 0.6 * count

    run, voted, predictions = tmp_path / "run", tmp_path / "voted", tmp_path / "predictions"
    ended = runner(*command("namedmask", run, "--images", corpus))
    assert ended.code == 0, ended.err
    ended = runner(*command("selfmask", voted, "--images", corpus))
    assert ended.code == 0, ended.err
    ended = runner("predict", run, corpus, "--out", predictions, "--json", "--quiet")
    assert ended.code == 0, ended.err

    files = (run / "index" / "skipped.jsonl", voted / "masks" / "voted" / "skipped.json", predictions / "skipped.jsonl")
    for file in files:
        assert reasons_in(file) == unreadable, file
    assert json.loads(ended.out)["images"] == count - len(unreadable)
    stages = ", ".join(str(file.parent.relative_to(tmp_path)) for file in files)
    claim("bad images", f"{count} through {stages}: 0 crashes, {len(unreadable)} skipped, each with its reason")
