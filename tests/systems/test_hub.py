"""Every system from an empty cache: its published models are fetched, it runs, and starts again without a request.

The hub is a server on this machine, whose models are tiny ones in the layouts in which the true ones are published; so
these tests always run. NAMESAKE_TEST_HUB=https://huggingface.co asks a real hub, besides, whether it has every model
that we name, of the size that we say; nothing is fetched.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file
from typer.testing import CliRunner

from hub_server import HubServer, go_online, serve
from namesake.cli import app
from namesake.encoders import KNOWN, look_at_all, sources
from namesake.encoders import download as downloads
from namesake.errors import WeightsError
from namesake.networks import selfmask
from namesake.networks.selfmask import SelfMask, official_state
from namesake.systems import SYSTEMS, configure, run
from namesake.systems.notices import models_by_option
from tiny_models import TINY_SELFMASK, randomise, write_clip, write_dino, write_sam

SELFMASK = "selfmask_nq20.pt"
SHRUNK = {
    "namedmask": {
        "archives.images_per_name": 4,
        "experts.iterations": 2,
        "experts.batch_size": 2,
        "experts.crop_size": 32,
        "experts.num_workers": 0,
        "training.num_workers": 0,
        "training.iterations": 4,
        "training.batch_size": 2,
        "training.crop_size": 32,
    },
    "zutis": {
        "archives.images_per_name": 4,
        "training.iterations": 4,
        "training.batch_size": 2,
        "training.crop_size": 32,
        "training.num_workers": 0,
        "training.architecture.heads": 4,
        "training.architecture.queries": 5,
    },
    "fmbseg": {
        "regions.image_size": 64,
        "regions.min_votes": 1,
        "regions.automatic.pred_iou_thresh": -1e9,
        "regions.automatic.stability_score_thresh": 0,
        "regions.automatic.points_per_side": 2,
        "alignment.image_size": 64,
        "alignment.iterations": 3,
        "alignment.batch_size": 2,
        "alignment.num_workers": 0,
    },
    "consensus": {
        "archives.images_per_name": 4,
        "training.iterations": 2,
        "training.batch_size": 2,
        "training.crop_size": 32,
        "training.num_workers": 0,
        "student.iterations": 2,
        "student.batch_size": 2,
        "student.crop_size": 32,
        "student.num_workers": 0,
        "labels.calibration_images": 4,
    },
    "selfmask": {
        "voting.block": -1,
        "training.queries": 3,
        "training.layers": 1,
        "training.image_size": 32,
        "training.resize_range": "(1.0, 1.0)",
        "training.iterations": 3,
        "training.batch_size": 2,
        "training.num_workers": 0,
    },
    "saliency+clip": {},
    "maskclip": {},
    "reco": {"archives.images_per_name": 4, "references.crop_size": 64, "references.contexts": "('tree', 'sky')"},
}
"""Options that make a run of the published models' names a run of seconds."""
LAPTOP = {
    "namedmask": {
        "archives.images_per_name": 4,
        "training.iterations": 4,
        "training.batch_size": 2,
        "training.num_workers": 0,
        "training.window": 4,
        "training.features.resize_longer": 64,
    },
    "zutis": SHRUNK["zutis"],
    "fmbseg": {
        "regions.image_size": 64,
        "regions.min_votes": 1,
        "alignment.image_size": 64,
        "alignment.iterations": 3,
        "alignment.batch_size": 2,
        "alignment.num_workers": 0,
    },
    "maskclip": {},
}
"""The same of the preset for ordinary machines."""
REAL_HUB = os.environ.get("NAMESAKE_TEST_HUB", "")


@pytest.fixture(scope="session")
def published(tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models under the names of the published ones that the systems use, in the same files."""
    home = tmp_path_factory.mktemp("published")
    presets = [*((system, "paper") for system in SYSTEMS), *((system, "laptop") for system in LAPTOP)]
    for system, preset in presets:
        for source in models_by_option(SYSTEMS[system], configure(system, preset=preset)).values():
            if not (home / source).exists():
                publish(source, home / source, tiny)
    return home


def publish(source: str, place: Path, tiny) -> None:
    kind = KNOWN[source].kind
    if kind == "saliency":
        torch.save(official_state(randomise(SelfMask(TINY_SELFMASK))), place)
        return
    if kind == "clip":
        write_clip(place)
    elif kind == "sam":
        write_sam(place)
    elif kind == "dino":
        write_dino(place, "dinov2" if "v2" in source else "vit")
    else:
        shutil.copytree(tiny.resnet, place)
    if "pytorch_model.bin" in KNOWN[source].files:
        torch.save(load_file(place / "model.safetensors"), place / "pytorch_model.bin")
        (place / "model.safetensors").unlink()


@pytest.fixture
def hub(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The server, an empty cache, and the address of the file that is on no hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NAMESAKE_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setattr(selfmask, "SelfMaskConfig", lambda queries: dataclasses.replace(TINY_SELFMASK, queries=queries))
    with serve(published) as server:
        go_online(server, monkeypatch)
        facts = {"url": f"{server.url}/{SELFMASK}", "files": {SELFMASK: (published / SELFMASK).stat().st_size}}
        known = {**sources.KNOWN, SELFMASK: dataclasses.replace(KNOWN[SELFMASK], **facts)}
        monkeypatch.setattr(sources, "KNOWN", known)
        yield server


def pairs(options: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(f"{path}={value}" for path, value in options.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    "of", [*((each, "paper") for each in SYSTEMS), *((each, "laptop") for each in LAPTOP)], ids="-".join
)
def test_run__from_an_empty_cache_and_again_without_a_request(
    of: tuple[str, str], tiny, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, preset = of
    names = "dog, cat" if SYSTEMS[system].named else None
    options = (SHRUNK if preset == "paper" else LAPTOP)[system]
    arguments = {"names": names, "images": tiny.images, "config": pairs(options), "preset": preset}
    first = run(system, out=tmp_path / "run", **arguments)
    assert hub.asked
    fetched = {path for each in hub.asked if each.startswith("GET") for path in [each.split()[1]] if "resolve" in path}
    config = configure(system, preset=preset, config=pairs(options))
    wanted = {source for source in models_by_option(SYSTEMS[system], config).values() if "/" in source}
    assert {"/".join(path.split("/")[:2]) for path in fetched} == wanted, "all that it needs, and nothing else"
    assert not any(stage["reused"] for stage in first.stages)
    hub.asked.clear()
    second = run(system, out=tmp_path / "run", **arguments)
    assert all(stage["reused"] for stage in second.stages)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    run(system, out=tmp_path / "other", **arguments)
    assert hub.asked == []


def sizes_on_the_hub() -> dict[str, str]:
    """What is wrong with the models that we name, as a hub has them: not there, or of another size."""
    wrong = {}
    for each in look_at_all({source: source for source in KNOWN}):
        said = KNOWN[each.source].bytes
        if each.status != "to fetch":
            wrong[each.source] = each.reason
        elif abs((each.bytes or 0) - said) > 0.02 * said:
            wrong[each.source] = f"has {each.bytes} bytes, we say {said}"
    return wrong


@pytest.mark.skipif(not REAL_HUB, reason="asks a real hub: NAMESAKE_TEST_HUB=https://huggingface.co")
def test_real_hub__has_every_model_of_the_size_that_we_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NAMESAKE_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", REAL_HUB)
    assert sizes_on_the_hub() == {}


def test_real_hub__what_such_a_test_would_say(hub: HubServer) -> None:
    said = sizes_on_the_hub()
    assert "bytes, we say" in said["openai/clip-vit-base-patch16"]
    assert "timm/resnet50_clip.openai" in said, "no system here has it, so it is not on this hub"


def fetch(*arguments: str) -> dict:
    result = CliRunner().invoke(app, ["fetch", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_fetch__dry_run_then_all_then_nothing_left(hub: HubServer, published: Path, tmp_path: Path) -> None:
    planned = fetch("namedmask", "--preset", "paper", "--dry-run")
    sizes = {model["source"]: model["bytes"] for model in planned["models"]}
    assert sizes[SELFMASK] == (published / SELFMASK).stat().st_size
    assert planned["bytes_to_fetch"] == sum(sizes.values())
    assert {model["status"] for model in planned["models"]} == {"to fetch"}
    assert not list(tmp_path.rglob("*.bin"))
    done = fetch("namedmask", "--preset", "paper")
    assert (done["bytes_to_fetch"], {model["status"] for model in done["models"]}) == (0, {"present"})
    assert planned["models"][0]["url"] == f"{hub.url}/openai/clip-vit-large-patch14-336"


def test_fetch__says_the_total_and_what_an_unknown_licence_is(hub: HubServer) -> None:
    told = CliRunner().invoke(app, ["fetch", "saliency+clip"], catch_exceptions=False).output
    assert "fetching 2 models, " in told
    assert told.count("states no licence") == 1


def test_run__what_cannot_be_had_can_be_pasted(hub: HubServer, tiny, tmp_path: Path) -> None:
    hub.refused["openai/clip-vit-large-patch14-336"] = (401, "GatedRepo")
    hub.refused[SELFMASK] = (404, "")
    with pytest.raises(WeightsError) as error:
        run("namedmask", names="dog", images=tiny.images, out=tmp_path / "run", preset="paper")
    said, own = str(error.value), tmp_path / "own"
    for part in (
        "2 models that this run needs cannot be had (1.71 GB in all); nothing was computed.",
        f"wants its terms accepted: do so at {hub.url}/openai/clip-vit-large-patch14-336",
        f"{hub.url}/{SELFMASK} is not there (HTTP 404)",
        "hf download openai/clip-vit-large-patch14-336 config.json preprocessor_config.json pytorch_model.bin",
        f"--local-dir {own}/openai--clip-vit-large-patch14-336",
        f"curl -L -C - --create-dirs -o {own / SELFMASK} {hub.url}/{SELFMASK}",
        "--config retrieval_clip=PATH --config saliency.network=PATH",
    ):
        assert part in said, part
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.rglob("*.bin"))  # the third one was not fetched either


def test_run__download_that_breaks_off_goes_on(
    hub: HubServer, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "TRIES", 1)
    hub.stops[SELFMASK] = [2000, 0]
    arguments = {"names": "dog, cat", "images": tiny.images, "out": tmp_path / "run", "preset": "paper"}
    with pytest.raises(WeightsError, match="2000 bytes are kept; the same command goes on from there"):
        run("saliency+clip", **arguments)
    hub.asked.clear()
    run("saliency+clip", **arguments)
    assert f"GET {SELFMASK} bytes=2000-" in hub.asked


def test_doctor__models_of_a_system(hub: HubServer) -> None:
    result = CliRunner().invoke(app, ["doctor", "--system", "saliency+clip", "--json"])
    assert result.exit_code == 0
    models = {model["source"]: model for model in json.loads(result.stdout)["models"]}
    assert models[SELFMASK]["status"] == "to fetch"
    assert (models[SELFMASK]["licence"], models[SELFMASK]["options"]) == ("unknown", ["saliency"])
    hub.refused[SELFMASK] = (404, "")
    refused = CliRunner().invoke(app, ["doctor", "--system", "saliency+clip"])
    assert isinstance(refused.exception, WeightsError)
    assert "unavailable" in refused.stdout
