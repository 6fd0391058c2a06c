"""Every verb has an example, --json and --quiet; wrong words suggest the right ones; nothing is coloured or sent."""

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from namesake.cli import app
from namesake.encoders.sources import cache_folder, find
from namesake.errors import unknown

VERBS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)(?:;\d+)*m")


@pytest.mark.parametrize("verb", VERBS)
def test_verb__example_json_quiet(verb: str):
    options = {spelling for parameter in VERBS[verb].params for spelling in parameter.opts}
    assert {"--json", "--quiet"} <= options
    assert f"Example: namesake {verb}" in re.sub(r"\s+", " ", VERBS[verb].help)


@pytest.mark.parametrize("verb", VERBS)
def test_verb__every_option_says_what_it_is(verb: str):
    for parameter in VERBS[verb].params:
        assert getattr(parameter, "help", None) or parameter.name == "help", parameter.name


@pytest.mark.parametrize(
    ("line", "suggestion"),
    [
        (["runn"], "'run'"),
        (["run", "namedmask", "--imagse", "x"], "--images"),
    ],
)
def test_usage__suggests_the_nearest(line: list[str], suggestion: str):
    result = CliRunner().invoke(app, line)
    assert result.exit_code == 2
    assert suggestion in result.output


@pytest.mark.parametrize(
    ("line", "suggestion"),
    [
        (["run", "namedmsk", "--names", "cat", "--images", "x", "--out", "y"], "Did you mean namedmask?"),
        (["run", "zutis", "--names", "c", "--images", "x", "--out", "y", "--preset", "papr"], "Did you mean paper?"),
        (["world", "--draw", "scene", "--out", "y"], "Did you mean scenes?"),
        (["world", "--names", "mug, chiar", "--out", "y"], "Did you mean chair?"),
        (["evaluate", "x", "--benchmark", "voc2102", "--root", "y"], "Did you mean voc2012?"),
        (["reproduce", "zuits", "--table", "1"], "Did you mean zutis?"),
    ],
)
def test_error__suggests_the_nearest(line: list[str], suggestion: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, line)
    assert suggestion in str(result.exception)


def test_unknown__nothing_near():
    assert unknown("system", "xyz", ["namedmask", "zutis"]) == "there is no system 'xyz'. Known are namedmask, zutis."


def test_cache_folder__from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NAMESAKE_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    assert find("selfmask_nq20.pt").status == "missing"
    (tmp_path / "selfmask_nq20.pt").write_bytes(b"weights")
    assert find("selfmask_nq20.pt").path == tmp_path / "selfmask_nq20.pt"


def test_cache_folder__beside_other_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NAMESAKE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "namesake"


def _environment(**more: str) -> dict[str, str]:
    """The environment without what speaks of colours and telemetry, and with `more`."""
    spoken = {"NO_COLOR", "FORCE_COLOR", "DO_NOT_TRACK"}
    kept = {name: value for name, value in os.environ.items() if name not in spoken and "TELEMETRY" not in name}
    return kept | more


def _on_a_terminal(*arguments: str, **more: str) -> str:
    """What the command prints on a terminal of its own."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "namesake", *arguments]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=_environment(TERM="xterm-256color", **more)):
        os.close(theirs)
        said = b""
        with suppress(OSError):  # the child closed its end
            while piece := os.read(ours, 4096):
                said += piece
    os.close(ours)
    return said.decode()


def test_no_color__on_a_terminal():
    assert COLOUR.search(_on_a_terminal("world", "--help"))
    plain = _on_a_terminal("world", "--help", NO_COLOR="1")
    assert "Example: namesake world" in plain
    assert not COLOUR.search(plain)


def test_hub__home_offline_and_telemetry(tmp_path: Path):
    code = (
        "import namesake\nimport huggingface_hub.constants as hub\n"
        "from namesake.encoders.sources import fetch\n"
        "from namesake.errors import WeightsError\n"
        "assert hub.HF_HUB_DISABLE_TELEMETRY\n"
        "try:\n    fetch('openai/clip-vit-base-patch16', kind='clip')\n"
        "except WeightsError as error:\n    print(error, hub.HF_HUB_CACHE)"
    )
    command = [sys.executable, "-c", code]
    environment = _environment(HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, env=environment).stdout
    assert "HF_HUB_OFFLINE is set" in told
    assert str(tmp_path / "hub") in told
