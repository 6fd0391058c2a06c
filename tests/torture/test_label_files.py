"""Label files broken in every way that we know go through `evaluate`: a score, or one line that says what is wrong.

The corpus is valid ground truth and results, changed as people and programs change them: encodings, ids, paths, names,
outlines, types and missing fields, at random places of the document.
"""

import copy
import json
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from namesake.errors import NamesakeError
from namesake.evaluation import evaluate, open_benchmark
from namesake.evaluation.benchmarks.coco import CocoLabels
from namesake.names import read_names

pytestmark = pytest.mark.slow

Document = dict[str, Any]
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**70,
    1.5,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\ud800",
    "7",
    [],
    {},
    [[]],
)
JUNK += (
    [[]],
    [[1, 2]],
    [[1, 2, 3, 4, 5, 6]],
    {"size": [9, 9], "counts": "11"},
    {"size": [2**40, 2**40], "counts": [0]},
)


def truth_of(files: list[str]) -> Document:
    images = [{"id": n, "file_name": file, "height": 12, "width": 15} for n, file in enumerate(files, start=1)]
    objects = [
        {
            "id": 2 * image["id"] + category,
            "image_id": image["id"],
            "category_id": category,
            "segmentation": [[6 * category - 5, 1, 6 * category, 1, 6 * category, 9, 6 * category - 5, 9]],
            "area": 40,
            "iscrowd": 0,
        }
        for image in images
        for category in (1, 2)
    ]
    return {
        "images": images,
        "annotations": objects,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    }


def places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every container of a document with a key of it."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        found.append((value, key))
        places(inner, found)
    return found


def junk_somewhere(document: Document, chance: random.Random) -> None:
    container, key = chance.choice(places(document, []))
    container[key] = copy.deepcopy(chance.choice(JUNK))


def gone_somewhere(document: Document, chance: random.Random) -> None:
    container, key = chance.choice(places(document, []))
    del container[key]


def moved_somewhere(document: Document, chance: random.Random) -> None:
    (container, key), (other, there) = (chance.choice(places(document, [])) for _ in range(2))
    container[key] = (
        copy.deepcopy(other[there]) if key in (container if isinstance(container, dict) else range(99)) else 0
    )


def twice_somewhere(document: Document, chance: random.Random) -> None:
    some = chance.choice([document["images"], document["annotations"], document["categories"]])
    some.append(copy.deepcopy(chance.choice(some)))


def other_ids(document: Document, chance: random.Random) -> None:
    changes = [str, float, lambda n: n - 1, lambda n: f"0000{n}", lambda _: 5, lambda n: f"-{n}", lambda n: f"{n}" * 90]
    change = chance.choice(changes)
    part, key = chance.choice([*((part, "id") for part in document), ("annotations", "image_id")])
    for each in document[part]:
        each[key] = change(int(each[key]))


def other_paths(document: Document, chance: random.Random) -> None:
    change = chance.choice(
        [
            lambda path: "C:\\set\\" + path.replace("/", "\\"),
            lambda path: "./" + path,
            str.upper,
            quote,
            lambda path: unicodedata.normalize("NFD", path),
            lambda path: f"http://host/{quote(path)}?x",
            lambda path: "../" * 5 + path,
            lambda path: path.rsplit("/", 1)[-1],
            lambda path: path + "\0",
            lambda path: path * 200,
        ]
    )
    for each in document["images"]:
        each["file_name"] = change(each["file_name"])


def other_names(document: Document, chance: random.Random) -> None:
    pattern = chance.choice(["{}\u200b", "{}, pet", "x", "#{}:", " {} ", "{}" * 99])
    for each in document["categories"]:
        each["name"] = pattern.replace("{}", each["name"])


CHANGES: dict[str, Callable[[Document, random.Random], None]] = {
    change.__name__: change
    for change in (
        junk_somewhere,
        gone_somewhere,
        moved_somewhere,
        twice_somewhere,
        other_ids,
        other_paths,
        other_names,
    )
}


def encoded(content: Any, chance: random.Random) -> bytes:
    text = json.dumps(content, ensure_ascii=chance.random() < 0.5)
    raw = text.encode(chance.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"]), "surrogatepass")
    if chance.random() < 0.1:
        cut = raw[: chance.randrange(len(raw))]
        raw = chance.choice([cut, raw + b"\0", b"[" * 10**5, text.encode("latin-1", "replace")])
    return raw


def write_folder(root: Path) -> list[str]:
    files = ["sub/été 1.png", "2.png"]
    for file in files:
        for part in ("images", "masks"):
            (root / part / file).parent.mkdir(parents=True, exist_ok=True)
            labels = np.zeros((12, 15), dtype=np.uint8)
            labels[1:9, 1:6], labels[1:9, 7:12] = 1, 2
            Image.fromarray(labels if part == "masks" else np.stack([labels * 90] * 3, axis=2)).save(root / part / file)
    (root / "names.json").write_text('{"0": "background", "1": "cat", "2": "dog"}', encoding="utf-8")
    return files


@pytest.mark.parametrize("kind", CHANGES)
def test_coco_files(kind: str, long: bool, tmp_path: Path, claim):
    files = write_folder(tmp_path)
    scored = refused = 0
    for seed in range(400 if long else 12):
        chance = random.Random(f"{kind} {seed}")
        truth, results = truth_of(files), truth_of(files)
        for each in results["annotations"]:
            each["score"] = 0.5
        document = chance.choice([truth, results])
        for _ in range(chance.choice([1, 1, 2])):
            CHANGES[kind](document, chance)
        flat = isinstance(results.get("annotations"), list) and chance.random() < 0.5
        (tmp_path / "instances.json").write_bytes(encoded(truth, chance))
        (tmp_path / "results.json").write_bytes(encoded(results["annotations"] if flat else results, chance))
        try:
            evaluate(None, open_benchmark("folder", tmp_path), predictions=tmp_path / "results.json")
            for image_id in files:
                CocoLabels(tmp_path / "instances.json")(image_id)
            scored += 1
        except NamesakeError as error:
            if not 20 < len(str(error)) < 4000:
                raise
            refused += 1
    claim(f"label files, {kind.replace('_', ' ')}", f"{scored} scored, {refused} refused in a line, no other error")


LINES = ("cat", "Cat", "dog, hound", "- dog", "#cat", "a" * 300, "\u202ecat", "cat\0", "yes", "2001-99-99", "?")
LINES += ("\ud800", ": x", "&a [*a]", "")


def test_names_files(long: bool, tmp_path: Path, claim):
    write_folder(tmp_path)
    taken = refused = 0
    for seed in range(1000 if long else 40):
        chance = random.Random(seed)
        lines = chance.choices(LINES, k=chance.randint(0, 4))
        form = chance.choice(["txt", "json", "yaml"])
        keys = chance.choices(["0", "1", "2", "01", "cat", "-3", "9" * 5000], k=len(lines))
        content = {"json": json.dumps(chance.choice([lines, dict(zip(keys, lines, strict=True))]))}
        content["yaml"] = "\n".join(f"{key}: {line}" for key, line in zip(keys, lines, strict=True))
        text = content.get(form, "\n".join(lines))
        raw = text.encode(chance.choice(["utf-8", "utf-8-sig", "utf-16"]), "surrogatepass")
        for path, read in (
            (tmp_path / f"own.{form}", read_names),
            (tmp_path / "names.json", lambda path: open_benchmark("folder", path.parent)),
        ):
            path.write_bytes(raw)
            try:
                read(path)
                taken += 1
            except NamesakeError as error:
                if len(str(error)) <= 20:
                    raise
                refused += 1
    claim("label files, names", f"{taken} read, {refused} refused in a line, no other error")
