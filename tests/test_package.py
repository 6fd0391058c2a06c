"""What is published: the name as it can be typed, the files of wheel and sdist, and a bare environment that runs it."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import namesake
from namesake.errors import DISTRIBUTION, how_to_install

TREE = Path(__file__).resolve().parents[1]
PARTS = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "constraints.txt")
TEXTS = {".py", ".md", ".toml", ".txt", ".cff", ".yml", ".yaml", ".jinja", ".css", ".in", ""}
FOLDERS = ("src", "docs", "examples", "recipes", "benchmarks", "tests")
OLD = re.compile(
    r"(?:pip install\b[^\n]*?|[\"'`])\bnamesake(?:\[|==|>=)|pip install (?:-U |--upgrade )?['\"]?namesake\b(?!-)"
)


def test_name__no_text_says_another_ones() -> None:
    files = [file for folder in FOLDERS for file in (TREE / folder).rglob("*") if file.is_file()]
    files += [file for file in TREE.iterdir() if file.is_file()]
    found = [
        f"{file.relative_to(TREE)}: {line.strip()}"
        for file in files
        if file.suffix in TEXTS and "__pycache__" not in file.parts and file != Path(__file__)
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        if OLD.search(line)
    ]
    assert not found


@pytest.mark.parametrize(
    ("text", "is_old"),
    [
        ("pip install 'namesake[app]'", True),
        ("pip install namesake", True),
        ('"namesake[app,docs]"', True),
        ("pip install -U namesake==0.1", True),
        ("pip install 'namesake-masks[app]'", False),
        ("pip install '.[app]'", False),
        ("import namesake", False),
        ('"namesake": version', False),
    ],
)
def test_name__the_old_form_is_recognised(text: str, is_old: bool) -> None:
    assert bool(OLD.search(text)) == is_old


def test_extra__as_it_is_typed() -> None:
    assert how_to_install("app") == "pip install 'namesake-masks[app]' (in a clone: pip install '.[app]')"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist of the tree, built without a network."""
    pytest.importorskip("build", reason="building needs the package build: pip install '.[dev]'")
    home = tmp_path_factory.mktemp("tree")
    for name in PARTS:
        shutil.copy(TREE / name, home / name)
    shutil.copytree(TREE / "src", home / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(home / "dist"), str(home)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return home / "dist"


def package_files() -> set[str]:
    return {
        file.relative_to(TREE / "src").as_posix()
        for file in (TREE / "src" / "namesake").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


@pytest.mark.slow
def test_wheel__every_file_of_the_package_and_no_other(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("/METADATA"))).decode()
    assert names == package_files()
    assert {"namesake/py.typed", "namesake/encoders/mini/clip/model.safetensors"} <= names
    assert f"Name: {DISTRIBUTION}\nVersion: {namesake.__version__}\n" in metadata


@pytest.mark.slow
def test_sdist__what_builds_the_same_wheel(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames() if sdist.getmember(name).isfile()}
    made = {"PKG-INFO", "setup.cfg"}
    egg = {name for name in names if name.startswith("src/namesake_masks.egg-info/")}
    assert names - egg - made == {*PARTS, *(f"src/{name}" for name in package_files())}


@pytest.mark.slow
def test_twine__metadata_and_description_can_be_shown(built: Path) -> None:
    pytest.importorskip("twine", reason="checking needs the package twine: pip install '.[dev]'")
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built.iterdir())]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (checked.returncode, checked.stdout.count("PASSED")) == (0, 2), checked.stdout


@pytest.mark.slow
@pytest.mark.long  # the files of the wheel are counted above; here they are run
def test_bare_environment__help_doctor_and_a_run(built: Path, tmp_path: Path) -> None:
    """The wheel alone in a new environment, which borrows its dependencies from this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True, timeout=120)
    python = tmp_path / "bare" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(next(built.glob("*.whl")))], check=True, timeout=300)
    place = next((tmp_path / "bare" / "lib").glob("python*/site-packages"))
    (place / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str) -> str:
        command = [str(python.with_name("namesake")), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("--version") == f"namesake {namesake.__version__}\n"
    assert "The whole way on the embedded world" in run("demo", "--help")
    models = json.loads(run("doctor", "--json"))["models"]
    embedded = [model for model in models if model["source"].startswith("embedded:")]
    assert embedded
    assert all(model["path"].startswith(str(place)) for model in embedded)
    run("world", "--draw", "unlabelled", "--count", "3", "--size", "64", "--out", "world")
    run("run", "maskclip", "--preset", "mini", "--names", "car, tree", "--images", "world/images", "--out", "run")
    assert json.loads(run("predict", "run", "world/images", "--out", "masks", "--json"))["images"] == 3
    assert Path(run("report", "run").partition(": ")[2].strip()).name == "index.html"
    manifest = json.loads((tmp_path / "run" / "segmenter" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["versions"]["namesake"] == namesake.__version__
