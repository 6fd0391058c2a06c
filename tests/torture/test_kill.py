"""Runs killed at random moments and started again end with the same bytes, and no name ever holds half a file."""

import random
import shutil
import time
from pathlib import Path

import pytest

from namesake.workspace import STARTED

pytestmark = pytest.mark.slow

ON_THE_WAY = {STARTED, "checkpoint.pt", "metrics.jsonl"}
"""Files that change while a stage works: every one is read again by the run that goes on."""


OTHERS = ("zutis", "fmbseg", "selfmask", "reco", "saliency+clip", "maskclip")


@pytest.mark.parametrize("system", ["namedmask", *(pytest.param(each, marks=pytest.mark.long) for each in OTHERS)])
def test_kill__random_moments(  # noqa: PLR0917
    system: str, long: bool, runner, command, whole, digest, claim, tmp_path: Path
):
    wanted, moments = whole(system), 50 if long else 4
    random_moment = random.Random(system)
    folder, killed, finished, left, longest = tmp_path / "run", 0, 0, set(), 4.0
    while killed < moments or finished == 0:
        strike = {} if killed >= moments else moment(random_moment, folder, len(wanted), seconds=longest)
        start = time.monotonic()
        ended = runner(*command(system, folder), **strike)
        if ended.code == -9:
            killed += 1
            left |= {path for path in digest(folder) if path.endswith(".part")}
            assert_no_half_file(digest(folder), wanted)
            continue
        assert ended.code == 0, ended.err
        finished, longest = finished + 1, time.monotonic() - start
        assert digest(folder) == wanted
        shutil.rmtree(folder)
    claim(
        f"{system} killed", f"{killed} times in {finished} runs, same bytes each time; {len(left)} halves left unread"
    )


def moment(chance: random.Random, folder: Path, files: int, *, seconds: float) -> dict[str, object]:
    """By turns at a time, and at an operation on the file system, where halves would arise."""
    if chance.random() < 0.5:
        return {"seconds": chance.uniform(0.0, seconds)}
    return {"operation": chance.randint(1, 4 * files), "folder": folder}


def assert_no_half_file(found: dict[str, str], wanted: dict[str, str]) -> None:
    """All that has a final name and belongs to the result is what it will be in the end."""
    final = {path: value for path, value in found.items() if path in wanted and Path(path).name not in ON_THE_WAY}
    assert final == {path: wanted[path] for path in final}
