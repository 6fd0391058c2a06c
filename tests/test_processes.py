"""Which process this is of those that were launched together, and what each of them does of a run."""

import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from namesake.errors import ConfigError
from namesake.processes import alone, joining, launched, leave, refuse_sharing, sharing
from namesake.records import Artifact
from namesake.workspace import Workspace, stage, write_json


def open_list(folder: Path) -> Artifact:
    return Artifact(folder, counts={"entries": len(json.loads((folder / "list.json").read_text()))})


@stage("alone", opens=open_list)
def done_alone(out: Path, *, log: Path) -> Artifact:
    (log / f"alone-{os.environ['RANK']}-{sharing()[1]}").touch()
    write_json(out / "list.json", [1])
    return open_list(out)


@stage("together", opens=open_list, together=True)
def done_together(out: Path, before: Artifact, *, log: Path) -> Artifact:
    (log / f"together-{os.environ['RANK']}-{sharing()[1]}").touch()
    wait_for_both(log)
    leave()
    (log / f"saved-{os.environ['RANK']}").touch()
    write_json(out / "list.json", [1, 2])
    return open_list(out)


def wait_for_both(log: Path) -> None:
    """What exchanging gradients does in real work: none ends before the other has begun."""
    until = time.monotonic() + 20
    while len(list(log.glob("together-*"))) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)


def run(number: int, folder: Path) -> None:
    os.environ |= {"RANK": str(number), "WORLD_SIZE": "2"}
    with Workspace(folder / "run") as workspace:
        made = workspace.step(done_together, workspace.step(done_alone, log=folder), log=folder)
    (folder / f"read-{number}-{made.counts['entries']}").touch()


def test_launch__first_works_all_train(tmp_path: Path):
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=run, args=(number, tmp_path)) for number in (1, 0)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=30)
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "alone-0-1",
        "read-0-2",
        "read-1-2",
        "saved-0",
        "together-0-2",
        "together-1-2",
    ]


def test_write__further_processes_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    write_json(tmp_path / "a.json", [])
    assert list(tmp_path.iterdir()) == []


def test_processes__numbers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RANK", "3")
    assert launched() == (0, 1)  # a number without a launch
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert launched() == sharing() == (3, 4)
    with pytest.raises(ConfigError, match="one process, found 4"):
        refuse_sharing("this")
    with alone():
        assert sharing() == (0, 1)
        refuse_sharing("this")
    leave()
    with joining():
        leave()
        pytest.fail("went on")
