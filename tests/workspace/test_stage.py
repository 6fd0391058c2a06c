"""A stage remembers where its artifact lies, and runs without a run's folder too."""

from pathlib import Path

import pytest

from namesake.records import Artifact
from namesake.workspace import run_now, stage


@stage("masks/numbers", opens=Artifact, models=lambda clip, upto: (clip, f"hub/{upto}"), grows=True)
def count(out: Path, *, upto: int, clip: str = "") -> Artifact:
    (out / "numbers").write_text("".join(map(str, range(upto))))
    return Artifact(out)


def test_stage__remembers_where_its_artifact_lies():
    assert (count.name, count.folder, count.opens) == ("count", "masks/numbers", Artifact)
    assert (count.assembles, count.shared, count.together, count.grows) == (False, False, False, True)


def test_stage__models_of_its_options_and_their_defaults():
    assert count.models(upto=3, clip="hub/clip") == ("hub/clip", "hub/3")
    assert count.models(upto=3) == ("hub/3",)
    with pytest.raises(TypeError, match="upto"):
        count.models()


def test_stage__its_folder_comes_first(tmp_path: Path):
    assert (count(tmp_path, upto=2).folder / "numbers").read_text() == "01"


def test_run_now__needs_no_workspace():
    assert (run_now(count, upto=3).folder / "numbers").read_text() == "012"
