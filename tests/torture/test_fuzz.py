"""Files that people write or edit, filled with anything: understood, or a NamesakeError that says what is wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from namesake.archives import open_archives
from namesake.archives.store import rows, unique_images
from namesake.config import override
from namesake.encoders.weights import read_state
from namesake.errors import NamesakeError
from namesake.evaluation.benchmarks.coco import CocoLabels, _read_annotations, image_names
from namesake.index import open_index, read_embeddings
from namesake.masks.store import open_masks, read_masks
from namesake.names import read_names
from namesake.records import Archives
from namesake.segmenter import load_segmenter
from namesake.systems import configure
from namesake.training.fit import CHECKPOINT, _resume
from namesake.workspace import read_manifest

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
any_bytes = st.binary(max_size=200)
often = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.fixture(scope="module")
def examples(long: bool) -> int:
    return 1000 if long else 25


def fuzz(strategy: st.SearchStrategy[Any], examples: int, attempt) -> tuple[int, int]:
    """Call `attempt` on examples of a strategy: how many it took, how many it refused; other errors come through."""
    counts = [0, 0]

    @settings(max_examples=examples, derandomize=True, database=None, **often)
    @given(strategy)
    def one(value: Any) -> None:
        try:
            attempt(value)
            counts[0] += 1
        except NamesakeError as error:
            if len(str(error)) <= 15:
                raise
            counts[1] += 1

    one()
    return counts[0], counts[1]


def mutated(content: bytes) -> st.SearchStrategy[bytes]:
    """A valid file with some bytes changed, cut out or cut off."""
    changes = st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=6)

    def apply(change: tuple[list[tuple[int, int]], int]) -> bytes:
        altered = bytearray(content)
        for place, value in change[0]:
            altered[place] = value
        return bytes(altered[: change[1]])

    return st.tuples(changes, st.just(len(content)) | st.integers(0, len(content))).map(apply)


def keyed(*keys: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, json_values))


def written(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


def test_names_files(examples: int, tmp_path: Path, claim):
    text = st.text(max_size=60) | st.lists(st.text(max_size=8), max_size=6).map(", ".join)
    taken = [fuzz(text, examples, lambda value: read_names(written(tmp_path / "names.txt", value)))]
    taken += [fuzz(any_bytes, examples, lambda value: read_names(written(tmp_path / "bytes.txt", value)))]
    for suffix in ("json", "yaml"):
        file = tmp_path / f"names.{suffix}"
        taken += [
            fuzz(json_values.map(json.dumps), examples, lambda value, file=file: read_names(written(file, value)))
        ]
        taken += [fuzz(any_bytes, examples, lambda value, file=file: read_names(written(file, value)))]
    claim("fuzz, names files", say(taken))


def test_archives(examples: int, tmp_path: Path, claim):
    folder = tmp_path / "archives"
    table = {"name": ["a"], "rank": pa.array([1], pa.int32()), "image_id": ["x.png"]}
    table |= {"score": pa.array([0.5], pa.float32()), "label": pa.array([1], pa.int32())}
    pq.write_table(pa.table(table), written(folder / "archives.parquet", b""))
    good = (folder / "archives.parquet").read_bytes()

    def read(content: bytes) -> None:
        written(folder / "archives.parquet", content)
        rows(Archives(folder))
        unique_images(Archives(folder))

    taken = [fuzz(mutated(good), examples, read)]
    written(folder / "archives.parquet", good)
    written(folder / "names.json", json.dumps(["a"]))
    facts = keyed("images", "counts", "models").map(json.dumps)
    taken += [fuzz(facts, examples, lambda value: (written(folder / "archives.json", value), open_archives(folder)))]
    claim("fuzz, archives", say(taken))


def test_index(examples: int, tmp_path: Path, claim):
    model = {"name": "a", "source": "a", "licence": "x", "tier": "S"}
    facts = {"images": str(tmp_path), "encoder": "a", "dim": 3, "skipped": 0, "shards": 1, "model": model}
    (tmp_path / "img_emb").mkdir()
    np.save(tmp_path / "img_emb" / "img_emb_0.npy", np.eye(3, dtype=np.float16))
    metadata = tmp_path / "metadata" / "metadata_0.parquet"
    pq.write_table(pa.table({"image_path": ["a", "b", "c"]}), written(metadata, b""))
    whole = {path: path.read_bytes() for path in (tmp_path / "img_emb" / "img_emb_0.npy", metadata)}

    def read(path: Path, content: bytes | str) -> None:
        written(path, content)
        index = open_index(tmp_path)
        read_embeddings(index, range(len(index.images)))

    written(tmp_path / "index.json", json.dumps(facts))
    taken = []
    for path, content in whole.items():
        taken += [fuzz(mutated(content), examples, lambda value, path=path: read(path, value))]
        written(path, content)
    description = keyed(*facts).map(lambda some: json.dumps(facts | some))
    taken += [fuzz(description, examples, lambda value: read(tmp_path / "index.json", value))]
    claim("fuzz, indexes", say(taken))


def test_masks_and_manifests(examples: int, tmp_path: Path, claim):
    columns = {"image_id": ["a"], "label": pa.array([1], pa.int32()), "score": pa.array([0.5], pa.float32())}
    columns |= {"height": pa.array([2], pa.int32()), "width": pa.array([2], pa.int32()), "counts": [b"04"]}
    shard = tmp_path / "masks-00000.parquet"
    pq.write_table(pa.table(columns), shard)
    good = shard.read_bytes()
    taken = [
        fuzz(mutated(good), examples, lambda value: (written(shard, value), list(read_masks(open_masks(tmp_path)))))
    ]
    written(shard, good)
    manifest = json_values.map(json.dumps) | any_bytes
    taken += [
        fuzz(manifest, examples, lambda value: (written(tmp_path / "manifest.json", value), read_manifest(tmp_path)))
    ]
    claim("fuzz, masks and manifests", say(taken))


def test_checkpoints_and_segmenters(examples: int, runner, command, claim, tmp_path: Path):  # noqa: PLR0917
    ended = runner(*command("namedmask", tmp_path / "run"))
    assert ended.code == 0, ended.err
    segmenter = tmp_path / "run" / "segmenter"
    config = json.loads((segmenter / "config.json").read_text(encoding="utf-8"))
    altered = keyed(*config).map(lambda some: json.dumps(config | some))
    place = segmenter / "config.json"
    taken = [fuzz(altered, examples, lambda value: (written(place, value), load_segmenter(segmenter, device="cpu")))]
    written(place, json.dumps(config))
    weights = (segmenter / "model.safetensors").read_bytes()
    damaged = mutated(weights[:2000]).map(lambda head: head + weights[2000:])
    file = segmenter / "model.safetensors"
    taken += [fuzz(damaged, examples, lambda value: (written(file, value), load_segmenter(segmenter, device="cpu")))]
    module = torch.nn.Linear(2, 1)
    torch.save({"iteration": 1, "module": module.state_dict(), "optimisers": []}, tmp_path / CHECKPOINT)
    good = (tmp_path / CHECKPOINT).read_bytes()
    resume = mutated(good) | any_bytes
    taken += [
        fuzz(resume, examples, lambda value: (written(tmp_path / CHECKPOINT, value), _resume(module, [], tmp_path)))
    ]
    taken += [fuzz(resume, examples, lambda value: read_state(written(tmp_path / "x.pt", value)))]
    claim("fuzz, checkpoints and segmenters", say(taken))


def test_coco(examples: int, tmp_path: Path, claim):
    image = {"id": 1, "file_name": "a.jpg", "height": 6, "width": 5}
    polygon, code = [[0, 0, 4, 0, 4, 3]], {"size": [6, 5], "counts": [3, 9, 18]}
    annotation = {"id": 1, "image_id": 1, "category_id": 2, "area": 6, "iscrowd": 0, "segmentation": polygon}
    whole = {"images": [image], "annotations": [annotation], "categories": [{"id": 2, "name": "dog"}]}
    shapes = json_values | st.lists(st.lists(st.floats() | st.integers(), max_size=9), max_size=3)
    shapes |= keyed("counts", "size").map(lambda some: code | some)
    shapes |= st.lists(st.integers(), max_size=4).map(lambda counts: code | {"counts": counts})
    shapes |= st.text(max_size=9).map(lambda counts: code | {"counts": counts})
    parts = [
        keyed(*whole).map(lambda some: whole | some),
        keyed(*image).map(lambda some: whole | {"images": [image | some]}),
        keyed(*annotation).map(lambda some: whole | {"annotations": [annotation | some]}),
        shapes.map(lambda shape: whole | {"annotations": [annotation | {"segmentation": shape}]}),
    ]
    file = tmp_path / "instances.json"

    def read(content: str | bytes) -> None:
        _read_annotations.cache_clear()
        written(file, content)
        for image_id in image_names(file):
            CocoLabels(file)(image_id)

    taken = [fuzz(part.map(json.dumps), examples, read) for part in parts]
    taken += [fuzz(mutated(json.dumps(whole).encode()), examples, read)]
    claim("fuzz, COCO annotations", say(taken))


def test_options(examples: int, claim):
    config = configure("namedmask", preset="mini")
    some = [
        "training.iterations",
        "archives.images_per_name",
        "encoder",
        "training.architecture.atrous_rates",
        "training",
    ]
    assignment = st.tuples(st.sampled_from(some) | st.text(max_size=12), st.text(max_size=12)).map("=".join)
    taken = [fuzz(assignment | st.text(max_size=20), examples, lambda value: override(config, [value]))]
    claim("fuzz, options", say(taken))


def say(counts: list[tuple[int, int]]) -> str:
    taken, refused = (sum(column) for column in zip(*counts, strict=True))
    return f"{taken + refused} inputs, {taken} understood, {refused} refused with a reason, no other error"
