"""A stage remembers where its artifact lies, and runs without a run's folder too."""

from pathlib import Path

from namesake.records import Artifact
from namesake.workspace import run_now, stage


@stage("masks/numbers", opens=Artifact, grows=True)
def count(*, upto: int, out: Path) -> Artifact:
    (out / "numbers").write_text("".join(map(str, range(upto))))
    return Artifact(out)


def test_stage__remembers_where_its_artifact_lies():
    assert (count.folder, count.opens, count.together, count.grows) == ("masks/numbers", Artifact, False, True)


def test_run_now__needs_no_workspace():
    assert (run_now(count, upto=3).folder / "numbers").read_text() == "012"
