"""The whole way on the embedded world: unlabelled images and 16 names in; a segmenter, scores and a report out.

NamedMask is run beside two baselines that train nothing and an oracle that learns from ground truth, all scored on the
same scenes. Rendered images and finished stages are reused when the demo is run again.
"""

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from namesake import systems
from namesake.evaluation import evaluate_run, open_benchmark, train_oracle
from namesake.evaluation.report import write_report
from namesake.images import open_images
from namesake.progress import note
from namesake.records import Images, Names
from namesake.workspace import Workspace, peak_rss_mb, read_manifest, write_json
from namesake.world import SEEN_NAMES, write_world

UNLABELLED, SCENES = 1_500, 200
SYSTEMS = {"namedmask": "namedmask", "saliency_clip": "saliency+clip", "maskclip": "maskclip"}
"""Key in metrics.json -> system."""


def run_demo(out: Path, *, seed: int = 0) -> tuple[dict[str, Any], str]:
    """Run the demo into `out`.

    Args:
        out: Folder of everything: `world/`, one run folder a system, `metrics.json`.
        seed: Of the images, the scenes and every training.

    Returns:
        The content of `metrics.json` (mean IoU over dataset of each system in percent, seconds, peak resident memory
        in MiB), and the same as a table.
    """
    start = time.monotonic()
    names = Names(SEEN_NAMES)
    images, scenes = _render(out / "world", seed=seed)
    for folder, system in SYSTEMS.items():
        note(f"== {system}")
        systems.run(system, names=names, images=images, out=out / folder, preset="mini", seed=seed)
    note("== oracle: the same network, trained on ground truth")
    _train_oracle(out, names, seed=seed)
    scores = {key: evaluate_run(out / key, benchmark="world", root=scenes) for key in (*SYSTEMS, "oracle")}
    write_report(out / "namedmask")
    metrics: dict[str, Any] = {key: round(score.mean_iou_over_dataset, 2) for key, score in scores.items()}
    metrics |= {"seconds": round(time.monotonic() - start, 1), "peak_rss_mb": peak_rss_mb()}
    write_json(out / "metrics.json", metrics)
    return metrics, _table(metrics, scenes)


def _render(out: Path, *, seed: int) -> tuple[Images, Path]:
    """The unlabelled images, and the folder of the scenes that everything is scored on."""
    write_world("unlabelled", out / "unlabelled", count=UNLABELLED, seed=seed)
    write_world("scenes", out / "scenes", count=SCENES, seed=seed, names=SEEN_NAMES)
    return open_images(out / "unlabelled" / "images"), out / "scenes"


def _train_oracle(out: Path, names: Names, *, seed: int) -> None:
    """The segmenter's network, trained for as long on the ground truth of as many images as the archives hold."""
    manifest = read_manifest(out / "namedmask" / "archives")
    count = manifest["counts"]["images"] if manifest else 0
    labelled = out / "world" / "labelled"
    write_world("scenes", labelled, count=count, seed=seed + 1, names=SEEN_NAMES)
    config = systems.configure("namedmask", preset="mini", seed=seed).training
    with Workspace(out / "oracle") as workspace:
        workspace.step(train_oracle, open_benchmark("world", labelled), names, config=config)


def _table(metrics: dict[str, Any], scenes: Path) -> str:
    table = Table("system", "mean IoU over dataset", title=f"{SCENES} scenes of {len(SEEN_NAMES)} names ({scenes})")
    for key in (*SYSTEMS, "oracle"):
        table.add_row(SYSTEMS.get(key, "oracle (trained on ground truth)"), f"{metrics[key]:.1f} %")
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    return f"{capture.get()}{metrics['seconds']:.0f} s, {metrics['peak_rss_mb']} MiB at most"
