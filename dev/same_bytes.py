"""Prints the SHA-256 of every file that one tiny run of each system makes, to compare two states of the code.

    PYTHONPATH=OTHER/src python dev/same_bytes.py > before
    PYTHONPATH=src python dev/same_bytes.py > after
    diff before after

The runs use the embedded models on a few rendered images, with a few updates; each trained segmenter predicts some of
the images again. Of a manifest only the counts and the models count: times, versions and keys are left out. Options
that were renamed are given by all their names, and the one that the code knows is used.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from namesake.config import paths
from namesake.images import open_images
from namesake.prediction import predict_images
from namesake.segmenter import open_segmenter
from namesake.systems import configure, run
from namesake.world import write_world

NAMES = "car, tree, mug"
SMALL = {
    ("archives.images_per_name",): "6",
    ("training.iterations",): "4",
    ("training.batch_size",): "2",
    ("training.crop", "training.crop_size"): "48",
    ("training.checkpoint_every",): "2",
    ("experts.iterations",): "2",
    ("experts.batch_size",): "2",
    ("experts.crop", "experts.crop_size"): "32",
    ("experts.groups",): "2",
    ("alignment.iterations",): "4",
    ("alignment.batch_size",): "2",
}
RUNS: dict[str, tuple[str, dict[tuple[str, ...], str]]] = {
    "namedmask": ("namedmask", {}),
    "namedmask-options": (
        "namedmask",
        {
            ("guide.clip",): "embedded:clip",
            ("stuff.names",): "grass",
            ("experts.groups",): "0",
        },
    ),
    "consensus": ("consensus", {("student.iterations",): "2", ("student.batch_size",): "2"}),
    "zutis": ("zutis", {}),
    "fmbseg": ("fmbseg", {}),
    "fmbseg-prompted": ("fmbseg", {("until",): "prompted"}),
    "selfmask": ("selfmask", {}),
    "saliency+clip": ("saliency+clip", {}),
    "maskclip": ("maskclip", {}),
    "reco": ("reco", {}),
}
IGNORED = {".lock", "run.json", "started.json", "log.txt"}


def main() -> None:
    """Run every system, and print one line a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for the runs; a temporary one if none is given")
    parser.add_argument("--only", default=",".join(RUNS), help="which of the runs, with commas between them")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = chosen.keep or Path(temporary)
        render(home / "world")
        for label in chosen.only.split(","):
            make(label, home)
            for line in listing(home / label):
                sys.stdout.write(line + "\n")


def render(folder: Path) -> None:
    """The images that all runs see, one of which cannot be read."""
    if not (folder / "images").is_dir():
        write_world("unlabelled", folder, count=24, seed=3, size=64, workers=1)
        (folder / "images" / "damaged.jpg").write_bytes(b"no image")
        for path in (folder / "images").iterdir():
            os.utime(path, (0, 0))  # an index keeps when its images were written


def make(label: str, home: Path) -> None:
    """One run, and predictions of its segmenter."""
    system, own = RUNS[label]
    known = paths(configure(system, preset="mini"))
    options = [f"{name}={value}" for names, value in {**SMALL, **own}.items() for name in names if name in known]
    names = None if system == "selfmask" else NAMES + (", grass" if "grass" in own.values() else "")
    run(
        system,
        names=names,
        images=home / "world" / "images",
        out=home / label,
        preset="mini",
        config=tuple(options),
        device="cpu",
    )
    if (home / label / "segmenter").is_dir():
        out = home / label / "predictions"
        out.mkdir(exist_ok=True)
        segmenter, images = open_segmenter(home / label), open_images(home / "world" / "images")
        try:
            predict_images(out, segmenter, images, device="cpu")
        except TypeError:  # before the folder was every stage's first argument
            predict_images(segmenter, images, out=out, device="cpu")  # type: ignore[call-arg]


def listing(run: Path) -> list[str]:
    """Digest and path of each file of a run, sorted by path."""
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.name not in IGNORED)
    return [
        f"{hashlib.sha256(content(path, run.parent)).hexdigest()[:16]}  {path.relative_to(run.parent)}"
        for path in files
    ]


def content(path: Path, home: Path) -> bytes:
    """What counts of a file; where the runs lie does not."""
    if path.name != "manifest.json":
        return path.read_bytes().replace(str(home.resolve()).encode(), b"HOME")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps([manifest[key] for key in ("stage", "counts", "models", "tier")], sort_keys=True).encode()


if __name__ == "__main__":
    main()
