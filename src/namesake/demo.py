"""The whole way on the embedded world: unlabelled images and 16 names in; a segmenter, scores and a report out.

NamedMask is run beside two baselines that train nothing and an oracle that learns from ground truth, all scored on the
same scenes. What it is compared with is made in a process of its own at the same time. Rendered images and finished
stages are reused when the demo is run again.
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
from namesake.evaluation import evaluate_run, open_benchmark, train_oracle
from namesake.evaluation.report import write_report
from namesake.evaluation.trust_run import FOLDER, trust_run
from namesake.images import open_images
from namesake.progress import note, set_quiet
from namesake.records import Images, Names
from namesake.segmenter import load_segmenter
from namesake.workers import worker_pool
from namesake.workspace import Workspace, peak_rss_mb, write_json
from namesake.world import SEEN_NAMES, write_world

UNLABELLED, SCENES = 1_500, 200
BASELINES = ("saliency_clip", "maskclip")
TITLES = {
    "namedmask": "namedmask",
    "saliency_clip": "saliency+clip",
    "maskclip": "maskclip",
    "oracle": "oracle (trained on ground truth)",
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
    with _beside(_compare, out, seed, max(1, threads // 2)) as compared:
        torch.set_num_threads(max(1, threads // 2))
        write_world("unlabelled", _unlabelled(out), count=UNLABELLED, seed=seed)
        note("== namedmask (saliency+clip, maskclip and an oracle are made at the same time)")
        _run(out, "namedmask", open_images(_unlabelled(out) / "images"), seed=seed)
        others = compared.result()
    torch.set_num_threads(threads)
    metrics: dict[str, Any] = {"namedmask": _score(out, "namedmask")} | others
    trust_run(load_segmenter(out / "namedmask"), open_benchmark("world", _scenes(out)), out=out / "namedmask" / FOLDER)
    write_report(out / "namedmask")
    metrics |= {"seconds": round(time.monotonic() - start, 1), "peak_rss_mb": peak_rss_mb()}
    write_json(out / "metrics.json", metrics)
    return metrics, _table(metrics, _scenes(out))


@contextmanager
def _beside(work: Callable[..., dict[str, float]], *arguments: object) -> Iterator[Future[dict[str, float]]]:
    """A call in a process of its own, beside the block; where the block fails, it is interrupted."""
    with worker_pool(1) as pool:
        future = pool.submit(work, *arguments)
        others = active_children()
        try:
            yield future
        except BaseException:
            for process in others if future.running() else ():
                os.kill(process.pid or 0, signal.SIGINT)
            raise


def _compare(out: Path, seed: int, threads: int) -> dict[str, float]:
    """Make and score what NamedMask is compared with, silently."""
    set_quiet(True)
    torch.set_num_threads(threads)
    write_world("scenes", _scenes(out), count=SCENES, seed=seed, names=SEEN_NAMES, workers=1)
    for key in BASELINES:
        _run(out, key, Images(_unlabelled(out) / "images", ()), seed=seed)
    _train_oracle(out, seed=seed)
    return {key: _score(out, key) for key in (*BASELINES, "oracle")}


def _unlabelled(out: Path) -> Path:
    return out / "world" / "unlabelled"


def _scenes(out: Path) -> Path:
    return out / "world" / "scenes"


def _run(out: Path, key: str, images: Images, *, seed: int) -> None:
    """Run the system of a key; the baselines look at no image."""
    systems.run(TITLES[key], names=Names(SEEN_NAMES), images=images, out=out / key, preset="mini", seed=seed)


def _train_oracle(out: Path, *, seed: int) -> None:
    """The segmenter's network, trained for as long on the ground truth of as many images as archives can hold."""
    config = systems.configure("namedmask", preset="mini", seed=seed)
    labelled = out / "world" / "labelled"
    names = Names(SEEN_NAMES)
    count = config.archives.images_per_name * len(names)
    write_world("scenes", labelled, count=count, seed=seed + 1, names=SEEN_NAMES, workers=1)
    with Workspace(out / "oracle") as workspace:
        workspace.step(train_oracle, open_benchmark("world", labelled), names, config=config.training)


def _score(out: Path, key: str) -> float:
    """Mean IoU of a run over the scenes, in percent."""
    scores = evaluate_run(out / key, benchmark="world", root=_scenes(out))
    return round(scores.mean_iou_over_dataset, 2)


def _table(metrics: dict[str, Any], scenes: Path) -> str:
    table = Table("system", "mean IoU over dataset", title=f"{SCENES} scenes of {len(SEEN_NAMES)} names ({scenes})")
    for key, title in TITLES.items():
        table.add_row(title, f"{metrics[key]:.1f} %")
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    return f"{capture.get()}{metrics['seconds']:.0f} s, {metrics['peak_rss_mb']} MiB at most"
