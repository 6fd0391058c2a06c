"""Ctrl-C ends a run with exit code 130 and one line; the same command goes on to the same bytes."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("operation", [12, 45])
def test_interrupt__goes_on_to_the_same_bytes(  # noqa: PLR0917
    operation: int, runner, command, whole, digest, tmp_path: Path
):
    wanted, folder = whole("namedmask"), tmp_path / "run"
    ended = runner(*command("namedmask", folder), operation=operation, folder=folder, interrupt=1)
    assert ended.code == 130, ended.err
    assert ended.out == ""
    assert "namesake: interrupted; the same command goes on from here." in ended.err
    assert "Traceback" not in ended.err
    assert digest(folder) != wanted
    ended = runner(*command("namedmask", folder))
    assert ended.code == 0, ended.err
    assert digest(folder) == wanted
