"""A stage counts once its manifest is there; the same inputs reuse it, other ones are refused."""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from namesake.errors import WorkspaceError
from namesake.records import Artifact, Images, ModelCard
from namesake.workspace import (
    StoppedError,
    Workspace,
    describe,
    read_manifest,
    run_now,
    stage,
    write_atomically,
    write_json,
)


def open_numbers(folder: Path) -> Artifact:
    return Artifact(folder, counts={"numbers": len((folder / "numbers").read_text())})


calls: list[str] = []


@stage("numbers", opens=open_numbers)
def count(*, upto: int, out: Path, device: str = "auto") -> Artifact:
    calls.append(f"count {upto} {device}")
    with write_atomically(out / "numbers") as unfinished:
        unfinished.write_text("".join(map(str, range(upto))))
    return open_numbers(out)


@stage("masks/doubled", opens=open_numbers)
def double(numbers: Artifact, *, out: Path, fail: bool = False) -> Artifact:
    calls.append("double")
    if fail:
        raise RuntimeError
    (out / "numbers").write_text((numbers.folder / "numbers").read_text() * 2)
    return Artifact(out, models=(ModelCard("masks", "here", tier="M"),))


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


def test_step__reuses_what_the_same_inputs_made(tmp_path: Path):
    for _ in range(2):
        with Workspace(tmp_path / "run") as workspace:
            doubled = workspace.step(double, workspace.step(count, upto=3))
    assert (doubled.folder / "numbers").read_text() == "012012"
    assert calls == ["count 3 auto", "double"]
    assert [entry["reused"] for entry in workspace.stages] == [True, True]


def test_step__device_is_not_part_of_the_result(tmp_path: Path):
    for device in ("auto", "cpu"):
        with Workspace(tmp_path / "run") as workspace:
            workspace.step(count, upto=3, device=device)
    assert calls == ["count 3 auto"]


def test_step__other_options_are_refused_and_nothing_is_lost(tmp_path: Path):
    with Workspace(tmp_path / "run") as workspace:
        workspace.step(count, upto=3)
    with Workspace(tmp_path / "run") as workspace, pytest.raises(WorkspaceError, match="upto: 3 -> 4"):
        workspace.step(count, upto=4)
    assert (tmp_path / "run/numbers/numbers").read_text() == "012"


def test_step__overwrite_redoes_it_and_what_follows(tmp_path: Path):
    for upto in (3, 4):
        with Workspace(tmp_path / "run", overwrite=True) as workspace:
            doubled = workspace.step(double, workspace.step(count, upto=upto))
    assert (doubled.folder / "numbers").read_text() == "01230123"
    assert calls == ["count 3 auto", "double", "count 4 auto", "double"]


def test_step__a_failed_stage_does_not_exist(tmp_path: Path):
    with Workspace(tmp_path / "run") as workspace:
        numbers = workspace.step(count, upto=2)
        with pytest.raises(RuntimeError):
            workspace.step(double, numbers, fail=True)
    assert read_manifest(tmp_path / "run/masks/doubled") is None
    with Workspace(tmp_path / "run") as workspace, pytest.raises(WorkspaceError, match="fail: True -> None"):
        workspace.step(double, workspace.step(count, upto=2))
    with Workspace(tmp_path / "run", overwrite=True) as workspace:
        workspace.step(double, workspace.step(count, upto=2))
    assert read_manifest(tmp_path / "run/masks/doubled") is not None


def test_step__sweeps_up_after_a_killed_one(tmp_path: Path):
    left = tmp_path / "numbers" / ".numbers.12345.part"
    left.parent.mkdir(parents=True)
    (tmp_path / ".lock").touch()
    left.write_text("012")
    with Workspace(tmp_path) as workspace:
        workspace.step(count, upto=3)
    assert not left.exists()


def test_step__until_stops_before_the_next_stage(tmp_path: Path):
    with Workspace(tmp_path / "run", until="numbers") as workspace:
        numbers = workspace.step(count, upto=2)
        with pytest.raises(StoppedError):
            workspace.step(double, numbers)
    assert calls == ["count 2 auto"]


def test_manifest__tells_what_made_it(tmp_path: Path):
    with Workspace(tmp_path / "run") as workspace:
        workspace.step(double, workspace.step(count, upto=2))
    manifest = read_manifest(tmp_path / "run/masks/doubled")
    assert manifest is not None
    assert manifest["tier"] == "M"
    assert manifest["models"][0]["name"] == "masks"
    assert manifest["inputs"] == [{"artifact": read_manifest(tmp_path / "run/numbers")["key"]}]
    assert manifest["versions"]["torch"]


def test_manifest__damaged(tmp_path: Path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(WorkspaceError, match="damaged"):
        read_manifest(tmp_path)


def test_workspace__refuses_a_folder_of_something_else(tmp_path: Path):
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(WorkspaceError, match="not a run"), Workspace(tmp_path):
        pass
    with pytest.raises(WorkspaceError, match="is a file"), Workspace(tmp_path / "holiday.jpg"):
        pass
    assert os.listdir(tmp_path) == ["holiday.jpg"]  # noqa: PTH208


def test_workspace__one_writer_at_a_time(tmp_path: Path):
    with Workspace(tmp_path / "run"):
        script = (
            "import sys\nfrom pathlib import Path\nfrom namesake.workspace import Workspace\n"
            "from namesake.errors import WorkspaceError\n"
            "try:\n    Workspace(Path(sys.argv[1])).__enter__()\nexcept WorkspaceError as error:\n    print(error)\n"
        )
        said = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "run")], capture_output=True, text=True, check=True
        ).stdout
    assert f"process {os.getpid()}" in said
    with Workspace(tmp_path / "run"):
        pass


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


def test_describe__images_are_ids_and_sizes(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"one")
    before = describe(Images(tmp_path, ("a.jpg",)))
    (tmp_path / "a.jpg").write_bytes(b"other")
    assert describe(Images(tmp_path, ("a.jpg",))) != before


def test_describe__nested_config():
    @dataclass(frozen=True)
    class Config:
        sizes: tuple[int, ...] = (1, 2)
        workers: int = 3

    assert describe({"config": Config()}) == {"config": {"sizes": [1, 2]}}


def test_run_now__needs_no_workspace():
    assert (run_now(count, upto=3).folder / "numbers").read_text() == "012"


def test_step__borrows_from_a_run_beside_it(tmp_path: Path):
    made = []

    @stage("numbers", opens=Artifact)
    def numbers(count: int, *, out: Path) -> Artifact:
        made.append(count)
        (out / "numbers.txt").write_text("1" * count)
        return Artifact(out)

    with Workspace(tmp_path / "a") as workspace:
        workspace.step(numbers, 3)
    with Workspace(tmp_path / "b", beside=tmp_path) as workspace:
        workspace.step(numbers, 3)
        assert workspace.stages[-1]["reused"]
    with Workspace(tmp_path / "c", beside=tmp_path) as workspace:
        workspace.step(numbers, 4)
    assert made == [3, 4]
    assert (tmp_path / "b" / "numbers" / "numbers.txt").read_text() == "111"


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
