"""A manifest tells what made a stage's content; what is no manifest is refused."""

from pathlib import Path

import pytest

from namesake.errors import WorkspaceError
from namesake.records import Artifact, ModelCard
from namesake.workspace import Workspace, read_manifest, stage
from namesake.workspace.manifest import STARTED, read_started


@stage("numbers", opens=Artifact)
def count(out: Path, *, upto: int) -> Artifact:
    return Artifact(out, counts={"numbers": upto})


@stage("masks/doubled", opens=Artifact)
def double(out: Path, numbers: Artifact) -> Artifact:
    return Artifact(out, models=(ModelCard("masks", "here", tier="M"),))


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


def test_manifest__none_where_no_stage_is_finished(tmp_path: Path):
    assert read_manifest(tmp_path) is None


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_started__unreadable_is_not_begun(content: str, tmp_path: Path):
    assert read_started(tmp_path) is None
    (tmp_path / STARTED).write_text(content)
    assert read_started(tmp_path) is None
