"""Ray with two real workers does what one process does, to the byte, and goes on when one of them is killed."""

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from namesake.archives import ArchivesConfig, retrieve
from namesake.engines import SETTINGS, Part, Work, spread
from namesake.errors import ConfigError, ImagesError, WeightsError
from namesake.images import open_images
from namesake.index import build_index
from namesake.masks import SaliencyConfig, VotingConfig, region_labels, saliency_masks, store, voted_masks
from namesake.masks.guided import GuideConfig, keep_named
from namesake.masks.region_labels import label_regions
from namesake.masks.regions import RegionsConfig
from namesake.masks.stuff import StuffConfig, redraw_stuff
from namesake.networks import DeepLabConfig
from namesake.progress import Meter
from namesake.records import Names
from namesake.training import ExpertsConfig, relabel_with_experts
from namesake.workspace import write_atomically

for name, value in SETTINGS.items():
    os.environ.setdefault(name, value)
ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")

PARTS = [(number, tuple(f"{number}-{place}" for place in range(3))) for number in range(6)]


def _load(name: str) -> ModuleType:
    file = Path(__file__).parent / name / "conftest.py"
    spec = importlib.util.spec_from_file_location(f"engines_{name}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tiny = _load("systems").tiny
collection, backbone = _load("training").collection, _load("training").backbone


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        patch.setenv("OMP_NUM_THREADS", "1")
        for attempts_left in (2, 1, 0):
            try:
                ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
                break
            except Exception:  # a starved machine: Ray gives its own processes 30 seconds to begin
                ray.shutdown()
                if not attempts_left:
                    raise
    yield
    ray.shutdown()


def open_writer(*, out: Path, device: str, fatal: int = -1, wrong: int = -1) -> Work:
    """What writes a file a part; the first time, the process dies at part `fatal`."""

    def work(part: Part, meter: Meter) -> None:
        number, ids = part
        meter.advance(len(ids))
        if number == wrong:
            raise ImagesError(f"part {number} cannot be read on {device}.")
        died = out / "died"
        if number == fatal and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        (out / f"by-{os.getpid()}").touch()
        with write_atomically(out / f"{number}.txt") as unfinished:
            unfinished.write_text(" ".join(ids))

    return work


def written(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.txt")}


WANTED = {f"{number}.txt": " ".join(ids) for number, ids in PARTS}


def test_local__all_parts_here(tmp_path: Path):
    spread("local", open_writer, {"out": tmp_path, "device": "cpu"}, PARTS[:2], what="writing")
    assert written(tmp_path) == {f"{number}.txt": WANTED[f"{number}.txt"] for number in (0, 1)}
    assert (tmp_path / f"by-{os.getpid()}").exists()


@pytest.mark.slow
def test_ray__all_parts_by_two_workers(cluster: None, tmp_path: Path):
    spread("ray:2", open_writer, {"out": tmp_path, "device": "cpu"}, PARTS, what="writing")
    assert written(tmp_path) == WANTED
    assert len(list(tmp_path.glob("by-*"))) == 2


@pytest.mark.slow
def test_ray__worker_killed_in_the_middle(cluster: None, tmp_path: Path):
    spread("ray:2", open_writer, {"out": tmp_path, "device": "cpu", "fatal": 3}, PARTS, what="writing")
    assert (tmp_path / "died").exists()
    assert written(tmp_path) == WANTED


@pytest.mark.slow
def test_ray__error_of_the_work(cluster: None, tmp_path: Path):
    with pytest.raises(ImagesError, match="part 2 cannot be read"):
        spread("ray:2", open_writer, {"out": tmp_path, "device": "cpu", "wrong": 2}, PARTS, what="writing")


def open_without_weights(*, device: str) -> Work:
    raise WeightsError(f"no weights on {device}")


@pytest.mark.slow
def test_ray__error_of_opening(cluster: None):
    with pytest.raises(WeightsError, match="no weights on cpu"):
        spread("ray:2", open_without_weights, {"device": "cpu"}, PARTS, what="writing")


@pytest.mark.slow
def test_ray__stages_to_the_byte(cluster: None, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "SHARD_SIZE", 5)
    monkeypatch.setattr(region_labels, "SHARD_SIZE", 7)
    images = open_images(tiny.images)
    voting = VotingConfig(encoders=(str(tiny.dino),))
    saliency = SaliencyConfig(network=str(tiny.saliency))
    regions = RegionsConfig(clip=str(tiny.clip), mask_model=str(tiny.saliency), image_size=64, min_votes=1)
    for engine in ("local", "ray:2"):
        how, out = {"engine": engine, "device": "cpu"}, tmp_path / engine
        index = build_index(out / "index", images, encoder=str(tiny.clip), batch_size=4, shard_size=6, **how)
        archives = retrieve(
            tmp_path / "archives", index, Names(("car", "tree")), config=ArchivesConfig(images_per_name=6)
        )
        masks = saliency_masks(out / "saliency", archives, config=saliency, **how)
        guide, stuff = GuideConfig(clip=str(tiny.clip)), StuffConfig(("tree",), regions)
        keep_named(out / "guided", masks, archives, config=guide, **how)
        redraw_stuff(out / "stuff", masks, archives, config=stuff, **how)
        voted_masks(out / "voted", images, config=voting, **how)
        label_regions(out / "regions", images, Names(("car", "tree")), config=regions, **how)
    local = content(tmp_path / "local")
    assert sum(path.endswith((".npy", ".parquet")) for path in local) >= 2 * 4 + 2 + 4 + 2 * 3 + 2 + 2
    assert content(tmp_path / "ray:2") == local


@pytest.mark.slow
def test_ray__experts_at_the_same_time_to_the_byte(cluster: None, collection, backbone: str, tmp_path: Path):
    archives, masks = collection
    network = DeepLabConfig(low_level_channels=8, aspp_channels=16, atrous_rates=(1, 2), output_stride=4)
    small = {"iterations": 2, "batch_size": 2, "crop_size": 16, "num_workers": 0, "threads": 1}
    config = ExpertsConfig(backbone=backbone, architecture=network, **small)
    for engine in ("local", "ray:2"):
        out = tmp_path / engine
        made = relabel_with_experts(out, masks, archives, config=config, device="cpu", engine=engine)
        assert made.counts["experts"] == 2
    assert content(tmp_path / "ray:2") == content(tmp_path / "local") != {}


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("engine", ["dask", "ray:0", "ray:x", "ray:-1", ""])
def test_engine__unknown(engine: str, tmp_path: Path):
    with pytest.raises(ConfigError, match="expected local, ray or ray:N"):
        spread(engine, open_writer, {"out": tmp_path, "device": "cpu"}, PARTS, what="writing")


def test_engine__nothing_missing_starts_nothing(tmp_path: Path):
    spread("ray", open_writer, {"out": tmp_path, "device": "cpu"}, [], what="writing")
    assert list(tmp_path.iterdir()) == []
