"""A file is there whole or not at all: after an error, and on a disk without room."""

import errno
import json
import multiprocessing
import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from namesake.errors import WorkspaceError
from namesake.workspace import write_atomically, write_json
from namesake.workspace.atomic import explain_writing


def test_json__null_for_what_is_no_number(tmp_path: Path):
    write_json(tmp_path / "a.json", {"iou": float("nan"), "rows": (1.5, [float("inf")]), "name": "dog"})
    assert json.loads((tmp_path / "a.json").read_text()) == {"iou": None, "rows": [1.5, [None]], "name": "dog"}


def test_write_atomically__keeps_the_old_file_on_error(tmp_path: Path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="half"), write_atomically(path) as unfinished:
        unfinished.write_text("half")
        raise ValueError("half")
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomically__full_disk(tmp_path: Path):
    with pytest.raises(WorkspaceError, match="cannot write"), write_atomically(tmp_path / "a") as unfinished:
        Path("/dev/full").open("w").close()
        with Path("/dev/full").open("w") as full:
            full.write("x" * 10_000)
        unfinished.touch()
    assert list(tmp_path.iterdir()) == []


def by_numpy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(5000))


def by_parquet(path: Path) -> None:
    pq.write_table(pa.table({"numbers": np.random.default_rng(0).random(5000)}), path)


def by_safetensors(path: Path) -> None:
    save_file({"weight": torch.zeros(5000)}, path)


def by_torch(path: Path) -> None:
    with path.open("wb") as file:
        torch.save({"weight": torch.zeros(5000)}, file)


def write_without_room(write: Callable[[Path], None], path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    with pytest.raises(WorkspaceError, match="cannot write .*Free space"), write_atomically(path) as unfinished:
        write(unfinished)


@pytest.mark.parametrize("write", [by_numpy, by_parquet, by_safetensors, by_torch])
def test_write__no_room(write: Callable[[Path], None], tmp_path: Path):
    (tmp_path / "file").write_text("before")
    process = multiprocessing.get_context("fork").Process(target=write_without_room, args=(write, tmp_path / "file"))
    process.start()
    process.join(timeout=60)
    assert process.exitcode == 0
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize(
    ("number", "name"), [(errno.ENOSPC, None), (errno.EDQUOT, "elsewhere"), (errno.EACCES, "run/metrics.jsonl")]
)
def test_explain_writing__full_or_forbidden(tmp_path: Path, number: int, name: str | None):
    error = OSError(number, os.strerror(number), *([] if name is None else [str(tmp_path / name)]))
    said = pytest.raises(WorkspaceError, match=rf"cannot write {tmp_path}.*{os.strerror(number)}")
    with said, explain_writing(tmp_path / "run"):
        raise error


def test_explain_writing__other_errors_stay(tmp_path: Path):
    for number, name in ((errno.EACCES, "photos/one.jpg"), (errno.ENOENT, "run/names.json")):
        with pytest.raises(OSError, match=os.strerror(number)), explain_writing(tmp_path / "run"):
            raise OSError(number, os.strerror(number), str(tmp_path / name))
