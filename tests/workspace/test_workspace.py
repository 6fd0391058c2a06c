"""A stage counts once its manifest is there; the same inputs reuse it, other ones are refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from namesake.errors import WorkspaceError
from namesake.records import Artifact
from namesake.workspace import StoppedError, Workspace, read_manifest, stage, write_atomically


def open_numbers(folder: Path) -> Artifact:
    return Artifact(folder, counts={"numbers": len((folder / "numbers").read_text())})


calls: list[str] = []


@stage("numbers", opens=open_numbers)
def count(out: Path, *, upto: int, device: str = "auto") -> Artifact:
    calls.append(f"count {upto} {device}")
    with write_atomically(out / "numbers") as unfinished:
        unfinished.write_text("".join(map(str, range(upto))))
    return open_numbers(out)


@stage("masks/doubled", opens=open_numbers)
def double(out: Path, numbers: Artifact, *, fail: bool = False) -> Artifact:
    calls.append("double")
    if fail:
        raise RuntimeError
    (out / "numbers").write_text((numbers.folder / "numbers").read_text() * 2)
    return Artifact(out)


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


def test_step__run_of_an_earlier_version_is_refused_with_what_to_do(tmp_path: Path):
    with Workspace(tmp_path / "run") as workspace:
        workspace.step(count, upto=3)
    path = tmp_path / "run" / "numbers" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(manifest | {"key": "0" * 16, "config": {"up_to": 3}}), encoding="utf-8")
    said = "up_to: 3 -> absent; upto: absent -> 3. Use --overwrite to replace it, or another --out to keep both"
    with Workspace(tmp_path / "run") as workspace, pytest.raises(WorkspaceError, match=said):
        workspace.step(count, upto=3)


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
    with Workspace(tmp_path / "run") as workspace, pytest.raises(WorkspaceError, match="fail: True -> absent"):
        workspace.step(double, workspace.step(count, upto=2))
    with Workspace(tmp_path / "run", overwrite=True) as workspace:
        workspace.step(double, workspace.step(count, upto=2))
    assert read_manifest(tmp_path / "run/masks/doubled") is not None


def test_step__sweeps_up_after_a_killed_one(tmp_path: Path):
    left = tmp_path / "numbers" / ".numbers.12345.part"
    left.parent.mkdir(parents=True)
    (tmp_path / ".lock").touch()
    left.write_text("012")
    (tmp_path / ".run.json.12345.part").write_text("{")
    (tmp_path / ".numbers.part").mkdir()
    with Workspace(tmp_path) as workspace:
        workspace.step(count, upto=3)
    assert not list(tmp_path.rglob(".*.part"))


def test_step__killed_just_after_its_manifest(tmp_path: Path):
    run = tmp_path / "run"
    for _ in range(2):
        with Workspace(run) as workspace:
            workspace.step(count, upto=3)
        assert not (run / "numbers/started.json").exists()
        (run / "numbers/started.json").write_text("{}")
    assert calls == ["count 3 auto"]


def test_step__until_stops_before_the_next_stage(tmp_path: Path):
    with Workspace(tmp_path / "run", until="numbers") as workspace:
        numbers = workspace.step(count, upto=2)
        with pytest.raises(StoppedError):
            workspace.step(double, numbers)
    assert calls == ["count 2 auto"]


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


def test_step__borrows_from_a_run_beside_it(tmp_path: Path):
    made = []

    @stage("numbers", opens=Artifact)
    def numbers(out: Path, count: int) -> Artifact:
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
