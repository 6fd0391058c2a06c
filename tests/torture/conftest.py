"""What torture needs: a runner of command lines that can be struck, tiny systems, and one line printed a claim.

The short form runs with all tests. `make torture` sets NAMESAKE_TORTURE=long and prints the claims.
"""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command_lines import Runner, digests

HERE = Path(__file__).parent


def _load(path: Path):
    spec = importlib.util.spec_from_file_location(f"torture_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tiny = _load(HERE.parent / "systems" / "conftest.py").tiny


@pytest.fixture(scope="session")
def command(tiny) -> Callable[..., list[str]]:
    """`command(system, out)`: the arguments of a whole run of seconds."""

    def build(system: str, out: Path, *more: str) -> list[str]:
        names = [] if system == "selfmask" else ["--names", "car, tree, mug"]
        pairs = [part for path, value in _config(tiny, system).items() for part in ("--config", f"{path}={value}")]
        where = ["--preset", "mini", "--images", str(tiny.images), "--out", str(out), "--quiet", "--json"]
        return ["run", system, *where, *names, *pairs, *more]

    return build


def _config(tiny, system: str) -> dict[str, object]:
    training = {"training.iterations": 9, "training.batch_size": 2, "training.checkpoint_every": 3}
    archives = {"retrieval_clip": tiny.clip, "archives.images_per_name": 6, "saliency.network": tiny.saliency}
    references = {"references.dino": tiny.dino, "references.clip": tiny.clip, "references.crop_size": 64}
    untrained = {
        "reco": {"retrieval_clip": tiny.clip, "archives.images_per_name": 6} | references,
        "maskclip": {"clip": tiny.clip},
        "saliency+clip": {"clip": tiny.clip, "saliency": tiny.saliency},
    }
    if system in untrained:
        return untrained[system]
    if system == "namedmask":
        experts = {"backbone": tiny.resnet, "clip": tiny.clip, "iterations": 3, "batch_size": 2, "crop_size": 32}
        return (
            archives
            | training
            | {f"experts.{key}": value for key, value in experts.items()}
            | {"training.backbone": tiny.resnet, "training.crop_size": 32, "experts.num_workers": 0}
        )
    if system == "zutis":
        network = {"training.architecture.heads": 4, "training.architecture.queries": 5}
        return (
            archives
            | training
            | network
            | {"training.clip": tiny.clip, "training.crop_size": 32, "training.num_workers": 0}
        )
    if system == "fmbseg":
        regions = {"clip": tiny.clip, "mask_model": tiny.saliency, "image_size": 64, "min_votes": 1}
        alignment = {"dense_encoder": tiny.dino, "clip": tiny.clip, "image_size": 64, "iterations": 6, "batch_size": 2}
        return (
            {f"regions.{key}": value for key, value in regions.items()}
            | {f"alignment.{key}": value for key, value in alignment.items()}
            | {"alignment.num_workers": 0, "alignment.checkpoint_every": 2}
        )
    voting = {"voting.encoders": f"('{tiny.dino}',)", "voting.block": -1}
    saliency = {"training.backbone": tiny.dino, "training.queries": 3, "training.layers": 1, "training.image_size": 32}
    return voting | training | saliency | {"training.num_workers": 0}


@pytest.fixture(scope="session")
def whole(runner: Runner, command, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """`whole(system)`: digests of the files of an undisturbed run."""
    done: dict[str, dict[str, str]] = {}

    def run(system: str) -> dict[str, str]:
        if system not in done:
            folder = tmp_path_factory.mktemp("whole") / "run"
            ended = runner(*command(system, folder))
            assert ended.code == 0, ended.err
            done[system] = digests(folder)
        return done[system]

    return run


@pytest.fixture(scope="session")
def digest() -> Callable[[Path], dict[str, str]]:
    return digests


@pytest.fixture
def claim(record_property) -> Callable[[str, str], None]:
    """`claim(what, figure)`: a line of the summary that `make torture` ends with."""

    def say(what: str, figure: str) -> None:
        record_property("claim", f"{what}: {figure}")

    return say


def pytest_terminal_summary(terminalreporter) -> None:
    reports = terminalreporter.getreports("passed")
    claims = [value for report in reports for key, value in getattr(report, "user_properties", ()) if key == "claim"]
    if claims and os.environ.get("NAMESAKE_TORTURE") == "long":
        terminalreporter.section("what holds")
        for line in claims:
            terminalreporter.write_line(line)
