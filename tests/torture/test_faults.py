"""No room on the disk, folders that cannot be written, two runs at once: a clear error, nothing lost, then on."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from namesake.workspace import Workspace

pytestmark = pytest.mark.slow

STAGES = {
    "namedmask": ("index", "archives", "masks/saliency", "masks/experts", "segmenter"),
    "zutis": ("index", "archives", "masks/saliency", "segmenter"),
    "fmbseg": ("masks/regions", "segmenter"),
    "selfmask": ("masks/voted", "saliency"),
    "reco": ("index", "archives", "masks/references", "segmenter"),
    "saliency+clip": ("segmenter",),
    "maskclip": ("segmenter",),
}
TRAINED = ("namedmask", "zutis", "fmbseg", "selfmask")
ALL = [(system, stage) for system, stages in STAGES.items() for stage in stages]
FEW = [("namedmask", "masks/saliency"), ("namedmask", "segmenter")]
MEBIBYTES = 48
"""Of the file system that is filled: a whole run fits in it."""


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A file system of a few mebibytes; None where mounting is not permitted."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def stages(long: bool) -> list[tuple[str, str]]:
    return ALL if long else FEW


def test_disk_full__at_each_stage(stages, small_disk, runner, command, whole, digest, claim, tmp_path: Path):  # noqa: PLR0917
    home = small_disk or tmp_path
    for number, (system, stage) in enumerate(stages):
        folder = home / f"run-{number}"
        ended = runner(*command(system, folder), folder=folder, stage=stage, strike="fill" if small_disk else "limit")
        assert_clear(ended, stage)
        assert "Free space" in ended.err
        (home / ".filler").unlink(missing_ok=True)
        assert_goes_on(runner(*command(system, folder)), digest(folder), whole(system))
        shutil.rmtree(folder)
    how = f"a tmpfs of {MEBIBYTES} MiB" if small_disk else "a limit on the size of files"
    claim("disk full", f"{len(stages)} stages on {how}: clear error, then the same bytes")


def test_read_only__at_each_stage(stages, runner, command, whole, digest, claim, tmp_path: Path):  # noqa: PLR0917
    for number, (system, stage) in enumerate(stages):
        folder = tmp_path / f"run-{number}"
        ended = runner(*command(system, folder), folder=folder, stage=stage, strike="read-only")
        assert_clear(ended, stage)
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
        assert_goes_on(runner(*command(system, folder)), digest(folder), whole(system))
    claim("read-only folders", f"{len(stages)} stages: clear error, then the same bytes")


def assert_clear(ended, stage: str) -> None:
    """An error of one line that names a file of the stage."""
    assert ended.code == 1, (stage, ended)
    assert "namesake: cannot write" in ended.err, (stage, ended.err)
    assert "Traceback" not in ended.err, (stage, ended.err)


def assert_goes_on(ended, found: dict[str, str], wanted: dict[str, str]) -> None:
    assert ended.code == 0, ended.err
    assert found == wanted


def test_out__where_nothing_can_be_written(runner, command, tmp_path: Path):
    home = tmp_path / "home"
    (home / "run" / "index").mkdir(parents=True)
    (home / "run" / ".lock").touch()
    home.chmod(0o555)
    ended = runner(*command("namedmask", home / "new"), folder="-", stage="-", strike="read-only")
    assert ended.code == 1
    assert "Choose another --out" in ended.err
    home.chmod(0o755)


def test_two_runs__the_second_is_told_who_holds_the_folder(runner, command, claim, tmp_path: Path):
    with Workspace(tmp_path / "run"):
        ended = runner(*command("namedmask", tmp_path / "run"))
    assert ended.code == 1
    assert f"is being written by process {os.getpid()} on {socket.gethostname()}" in ended.err
    assert not (tmp_path / "run" / "index").exists()
    claim("two runs in one folder", "the second is refused and told the process that holds it")


def test_same_seed__same_bytes(long: bool, runner, command, whole, digest, claim, tmp_path: Path):  # noqa: PLR0917
    systems = list(STAGES) if long else ["namedmask"]
    for system in systems:
        ended = runner(*command(system, tmp_path / system))
        assert ended.code == 0, ended.err
        assert digest(tmp_path / system) == whole(system)
        other = runner(*command(system, tmp_path / f"{system}-other", "--seed", "77"))
        assert other.code == 0, other.err
        assert (digest(tmp_path / f"{system}-other") != whole(system)) == (system in TRAINED)
    files = sum(len(whole(system)) for system in systems)
    claim("same seed twice", f"{len(systems)} systems, {files} files, the same bytes; another seed, other weights")
