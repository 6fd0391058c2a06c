"""Ray with two real workers does what one process does, to the byte, and goes on when one of them is killed."""

import importlib.util
import json
import os
import signal
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from namesake.archives import ArchivesConfig, retrieve
from namesake.encoders.preprocess import IMAGENET
from namesake.engines import SETTINGS, Part, Work, collect, spread
from namesake.errors import ConfigError, ImagesError, WeightsError
from namesake.evaluation import evaluate_run
from namesake.images import open_images
from namesake.index import build_index
from namesake.masks import SaliencyConfig, VotingConfig, region_labels, saliency_masks, store, voted_masks
from namesake.masks.guided import GuideConfig, keep_named
from namesake.masks.region_labels import label_regions
from namesake.masks.regions import RegionsConfig
from namesake.masks.stuff import StuffConfig, redraw_stuff
from namesake.networks import DeepLab, DeepLabConfig
from namesake.prediction import predict, shared
from namesake.prediction.find import FindConfig, find_object, find_shared, load_finder
from namesake.progress import Meter
from namesake.records import Images, Names
from namesake.segmenter import Segmenter, Settings
from namesake.segmenter.deeplab import KIND, ClosedSet, architecture_of
from namesake.systems import label
from namesake.training import ExpertsConfig, relabel_with_experts
from namesake.workspace import write_atomically
from namesake.world import write_world
from tiny_models import TINY_DEEPLAB

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
    start_cluster()
    yield
    ray.shutdown()


def start_cluster() -> None:
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


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a closed-set segmenter of random weights."""
    torch.manual_seed(0)
    network = DeepLab(3, config=TINY_DEEPLAB)
    predictor = ClosedSet(network, preprocessing=IMAGENET, device=torch.device("cpu"))
    folder = tmp_path_factory.mktemp("trained")
    settings = Settings(KIND, Names(("mug", "car")), architecture=architecture_of(network))
    Segmenter(predictor, settings).save(folder / "segmenter")
    return folder


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


def open_giver(*, out: Path, device: str, fatal: int = -1, wrong: int = -1) -> Callable[[Part], str]:
    """What gives back a text a part; the first time, the process dies at part `fatal`."""
    write = open_writer(out=out, device=device, fatal=fatal, wrong=wrong)

    def work(part: Part) -> str:
        write(part, Meter("", total=None))
        time.sleep(0.2 if part[0] % 2 else 0)  # later ones are done before earlier ones
        return " ".join(part[1])

    return work


@pytest.mark.slow
@pytest.mark.long
def test_ray__results_in_order_though_a_worker_is_killed(cluster: None, tmp_path: Path):
    arguments = {"out": tmp_path, "device": "cpu", "fatal": 3}
    assert list(collect("ray:2", open_giver, arguments, PARTS)) == list(WANTED.values())
    assert (tmp_path / "died").exists()
    with pytest.raises(ImagesError, match="part 2 cannot be read"):
        list(collect("ray:2", open_giver, arguments | {"wrong": 2}, PARTS))


def test_local__results_in_order(tmp_path: Path):
    assert list(collect("local", open_giver, {"out": tmp_path, "device": "cpu"}, PARTS)) == list(WANTED.values())


@pytest.mark.slow
def test_ray__predict_evaluate_label_to_the_byte(
    cluster: None, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shared, "SHARE", shared.BLOCK)
    write_world("scenes", tmp_path / "scenes", count=19, seed=0, size=48, workers=1)
    (tmp_path / "scenes/images/broken.png").write_bytes(b"no image")
    for engine in ("local", "ray:2"):
        how, out = {"engine": engine, "device": "cpu"}, tmp_path / engine
        made = predict(trained, tmp_path / "scenes/images", out=out / "predicted", **how)
        assert made.counts == {"images": 19, "skipped": 1}
        label(images=tmp_path / "scenes/images", finished=trained, out=out / "dataset", **how)
    (tmp_path / "scenes/images/broken.png").unlink()
    for engine in ("local", "ray:2"):
        evaluate_run(
            trained, benchmark="world", root=tmp_path / "scenes", out=tmp_path / engine / "scores",
            engine=engine, device="cpu",
        )  # fmt: skip
    told = {".json", ".parquet", ".lock"}  # seconds, and where it lies
    local, others = (
        {path: each for path, each in content(tmp_path / engine).items() if not path.startswith("dataset/run/")}
        for engine in ("local", "ray:2")
    )
    assert sum(path.endswith(".png") for path in local) >= 2 * 19
    assert {p for p in local if local[p] != others[p] and Path(p).suffix not in told} == set()
    assert local.keys() == others.keys()
    assert local["predicted/instances.json"] == others["predicted/instances.json"]
    first, second = (json.loads(each["scores/world.json"]) for each in (local, others))
    assert first | {"seconds": 0} == second | {"seconds": 0}


@pytest.mark.slow
def test_ray__predictions_that_were_begun_go_on(cluster: None, trained: Path, tmp_path: Path):
    write_world("scenes", tmp_path / "scenes", count=9, seed=0, size=48, workers=1)
    images, out = tmp_path / "scenes/images", tmp_path / "out"
    predict(trained, images, out=out, device="cpu")
    whole = content(out)
    for path in sorted((out / "labels").iterdir())[3:]:
        path.unlink()
    predict(trained, images, out=out, device="cpu", engine="ray:2")
    assert content(out) == whole


@pytest.mark.slow
@pytest.mark.long
def test_ray__find_as_in_one_process(cluster: None, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shared, "SHARE", 3)
    images = open_images(tiny.images)
    regions = RegionsConfig(clip=str(tiny.clip), mask_model=str(tiny.saliency), image_size=64, min_votes=1)
    config = FindConfig(regions, dense_encoder=str(tiny.dino), image_size=32)
    pictures = [images.path(images.ids[0])]
    finder = load_finder("car", pictures, config=config, device="cpu")
    expected = list(find_object(finder, images))
    assert list(find_shared("ray:2", "car", pictures, images, config=config, device="cpu")) == expected


def open_without_weights(*, device: str) -> Work:
    raise WeightsError(f"no weights on {device}")


@pytest.mark.slow
def test_ray__error_of_opening(cluster: None):
    with pytest.raises(WeightsError, match="no weights on cpu"):
        spread("ray:2", open_without_weights, {"device": "cpu"}, PARTS, what="writing")


@pytest.mark.slow
@pytest.mark.long
def test_ray__images_in_archives_and_tables_where_they_lie(cluster: None, tiny, tmp_path: Path):
    pictures = sorted(path for path in tiny.images.rglob("*") if path.is_file())
    folder = tmp_path / "in"
    folder.mkdir()
    with tarfile.open(folder / "00000.tar", "w") as tar:
        for path in pictures[:6]:
            tar.add(path, path.name)
    pq.write_table(pa.table({"image": [path.read_bytes() for path in pictures[6:]]}), folder / "more.parquet")
    as_in_one_process(open_images(folder), tiny, tmp_path, count=len(pictures))


@pytest.mark.slow
@pytest.mark.long
def test_ray__images_in_an_object_store(bucket: Any, cluster: None, tiny, tmp_path: Path):
    pictures = sorted(path for path in tiny.images.rglob("*") if path.is_file())
    for path in pictures:
        bucket.pipe(f"s3://bucket/in/{path.name}", path.read_bytes())
    ray.shutdown()
    start_cluster()  # its workers know the store's address, as they are told by the environment
    as_in_one_process(open_images("s3://bucket/in"), tiny, tmp_path, count=len(pictures))


def as_in_one_process(images: Images, tiny, out: Path, *, count: int) -> None:
    assert len(images) == count
    for engine in ("local", "ray:2"):
        build_index(out / engine, images, encoder=str(tiny.clip), shard_size=6, engine=engine, device="cpu")
    assert content(out / "ray:2") == content(out / "local")


@pytest.mark.slow
def test_ray__stages_to_the_byte(cluster: None, tiny, long: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
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
        if not long:
            continue
        guide, stuff = GuideConfig(clip=str(tiny.clip)), StuffConfig(("tree",), regions)
        keep_named(out / "guided", masks, archives, config=guide, **how)
        redraw_stuff(out / "stuff", masks, archives, config=stuff, **how)
        voted_masks(out / "voted", images, config=voting, **how)
        label_regions(out / "regions", images, Names(("car", "tree")), config=regions, **how)
    local = content(tmp_path / "local")
    files = 2 * 4 + (2 + 4 + 2 * 3 + 2 + 2 if long else 2)
    assert sum(path.endswith((".npy", ".parquet")) for path in local) >= files
    assert content(tmp_path / "ray:2") == local


@pytest.mark.slow
@pytest.mark.long
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
