"""The whole way on the embedded world: unlabelled images and 16 names in; a segmenter, scores and a report out.

NamedMask is run beside two baselines that train nothing and an oracle, the same network trained as long on the truth of
the very images that the archives hold. Then `consensus`, in short: NamedMask's segmenter is its teacher, which reads
some of the images with care, and a student of a few updates learns what it read. All are scored on the same scenes,
NamedMask also read with care. What it is compared with is made in a process of its own at the same time. Rendered
images and finished stages are reused when the demo is run again.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from namesake import systems
from namesake.archives import open_archives, rows
from namesake.evaluation import evaluate_run, open_benchmark, train_oracle
from namesake.evaluation.report import write_report
from namesake.evaluation.trust_run import FOLDER, trust_run
from namesake.images import evenly, open_images
from namesake.masks import saliency_masks
from namesake.masks.store import open_masks
from namesake.progress import note, set_quiet
from namesake.records import Images, Names
from namesake.segmenter import CarefulConfig, load_segmenter, open_segmenter
from namesake.systems.adding import SEGMENTER
from namesake.training.student import label_images, train_student
from namesake.workers import worker_pool
from namesake.workspace import Workspace, peak_rss_mb, write_json
from namesake.world import SEEN_NAMES, write_world

UNLABELLED, SCENES = 1_500, 200
LABELLED = 400
"""Images that the student learns from: a quarter of those that there are."""
SHORT = (
    "labels.calibration_images=60",
    "student.iterations=160",
    "student.architecture.output_stride=16",
    "student.crop_size=96",
    "student.resize_range=(0.6,1.34)",
    "student.resize_longer=128",
)
"""The student of the preset has four times as many updates at half the stride, on images a third larger, and 200 images
say what is not sure."""
BASELINES = ("saliency_clip", "maskclip")
TITLES = {
    "namedmask": "namedmask",
    "careful": "namedmask, read with care",
    "consensus": "consensus, in short: a student of that, in one pass",
    "saliency_clip": "saliency+clip",
    "maskclip": "maskclip",
    "oracle": "the same network, taught the truth of its archives",
}
"""Key in metrics.json -> system, and what the table calls it."""


def run_demo(out: Path, *, seed: int = 0) -> tuple[dict[str, Any], str]:
    """Run the demo into `out`.

    Args:
        out: Folder of everything: `world/`, one run folder a system, `metrics.json`.
        seed: Seed of the images, the scenes and every training.

    Returns:
        The content of `metrics.json` (mean IoU over dataset of each system in percent, seconds, peak resident memory
        of the largest process in MiB), and the same as a table.
    """
    start = time.monotonic()
    threads = torch.get_num_threads()
    with _beside() as beside:
        torch.set_num_threads(max(1, threads // 2))
        # beside: scenes and baselines, while the images are rendered and NamedMask's archives are made
        baselines = beside(_compare, out, seed, torch.get_num_threads())
        write_world("unlabelled", _unlabelled(out), count=UNLABELLED, seed=seed, truth=True)  # for the oracle alone
        images = open_images(_unlabelled(out) / "images")
        note("== namedmask (saliency+clip, maskclip and an oracle are made at the same time)")
        _run(out, "namedmask", images, seed=seed, until="archives")
        # beside: the oracle, which needs the archives' images, while NamedMask is trained
        oracle = beside(_train_oracle, out, seed, torch.get_num_threads())
        _run(out, "namedmask", images, seed=seed)
        # beside: what there is to say of NamedMask, while its student is trained
        account = beside(_account, out, torch.get_num_threads())
        note("== consensus, in short")
        _train_student(out, images, seed=seed)
        metrics = {"consensus": _score(out, "consensus")}
        metrics |= baselines.result() | oracle.result() | account.result()
    torch.set_num_threads(threads)
    metrics |= {"seconds": round(time.monotonic() - start, 1), "peak_rss_mb": peak_rss_mb()}
    write_json(out / "metrics.json", metrics)
    return metrics, _table(metrics, _scenes(out))


@contextmanager
def _beside() -> Iterator[Callable[..., Future[dict[str, float]]]]:
    """What calls functions in a process beside the block; where the block fails, a call at work is interrupted."""
    with worker_pool(1) as pool:
        given: list[Future[dict[str, float]]] = []

        def call(work: Callable[..., dict[str, float]], *arguments: object) -> Future[dict[str, float]]:
            given.append(pool.submit(work, *arguments))
            return given[-1]

        try:
            yield call
        except BaseException:
            for process in active_children() if any(not each.done() for each in given) else ():
                os.kill(process.pid or 0, signal.SIGINT)
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _compare(out: Path, seed: int, threads: int) -> dict[str, float]:
    """Render the scenes, make and score the baselines, silently."""
    set_quiet(True)
    torch.set_num_threads(threads)
    write_world("scenes", _scenes(out), count=SCENES, seed=seed, names=SEEN_NAMES, workers=1)
    for key in BASELINES:
        _run(out, key, Images(_unlabelled(out) / "images", ()), seed=seed)
    return {key: _score(out, key) for key in BASELINES}


def _unlabelled(out: Path) -> Path:
    return out / "world" / "unlabelled"


def _scenes(out: Path) -> Path:
    return out / "world" / "scenes"


def _run(out: Path, key: str, images: Images, *, seed: int, until: str | None = None) -> None:
    """Run the system of a key; the baselines look at no image."""
    names = Names(SEEN_NAMES)
    systems.run(TITLES[key], names=names, images=images, out=out / key, preset="mini", seed=seed, until=until)


def _train_oracle(out: Path, seed: int, threads: int) -> dict[str, float]:
    """The segmenter's network, trained for as long on the truth of the images in the archives, and its score."""
    set_quiet(True)
    torch.set_num_threads(threads)
    config = systems.configure("namedmask", preset="mini", seed=seed)
    truth = open_benchmark("world", _unlabelled(out))
    found = rows(open_archives(out / "namedmask" / "archives"))["image_id"].to_pylist()
    with Workspace(out / "oracle") as workspace:
        workspace.step(train_oracle, truth.only(found), Names(SEEN_NAMES), config=config.training)
    return {"oracle": _score(out, "oracle")}


def _train_student(out: Path, images: Images, *, seed: int) -> None:
    """The last two steps of `consensus`, with NamedMask's segmenter as teacher, on some of the images."""
    config = systems.configure("consensus", preset="mini", seed=seed, config=SHORT)
    names, some = Names(SEEN_NAMES), Images(images.folder, tuple(evenly(images.ids, LABELLED)))
    run = out / "namedmask"
    teacher, archives = open_segmenter(run / SEGMENTER), open_archives(run / "archives")
    masks = open_masks(run / saliency_masks.folder)
    with Workspace(out / "consensus") as workspace:
        labels = workspace.step(label_images, teacher, some, names, config=config.labels)
        workspace.step(train_student, labels, some, names, teacher, archives, masks, config=config.student)


def _account(out: Path, threads: int) -> dict[str, float]:
    """NamedMask's scores in one pass and with care (its record lies apart), how far to trust it, and its report."""
    set_quiet(True)
    torch.set_num_threads(threads)
    scores = {"namedmask": _score(out, "namedmask")}
    trust_run(load_segmenter(out / "namedmask"), open_benchmark("world", _scenes(out)), out=out / "namedmask" / FOLDER)
    write_report(out / "namedmask")
    return scores | {"careful": _score(out, "namedmask", read=CarefulConfig(), record=out / "careful")}


def _score(out: Path, key: str, *, read: CarefulConfig | None = None, record: Path | None = None) -> float:
    """Mean IoU of a run over the scenes, in percent."""
    scores = evaluate_run(out / key, benchmark="world", root=_scenes(out), read=read, out=record)
    return round(scores.mean_iou_over_dataset, 2)


def _table(metrics: dict[str, Any], scenes: Path) -> str:
    table = Table("system", "mean IoU over dataset", title=f"{SCENES} scenes of {len(SEEN_NAMES)} names ({scenes})")
    for key, title in TITLES.items():
        table.add_row(title, f"{metrics[key]:.1f} %")
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    return f"{capture.get()}{metrics['seconds']:.0f} s, {metrics['peak_rss_mb']} MiB at most"
