"""All benchmarks, one after the other, and their claims as a page: benchmarks/results.md.

    python benchmarks/run.py                     # make bench
    python benchmarks/run.py search nms          # only these; the page keeps what the others said
    python benchmarks/run.py --device cuda inference    # results-cuda.md

The page says machine, versions and commit of each run. Nothing else should be running.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
SCRIPTS = {
    "search": "archives: exact search",
    "stages": "stages of a run on the embedded world",
    "archives": "archives beside the same written plainly",
    "start": "until the first image is decoded",
    "laptop": "the preset for ordinary machines, random weights of the true sizes",
    "inference": "systems at the papers' sizes, random weights",
    "encoders": "encoders of index and masks in other precisions",
    "careful": "reading with care and teaching a student at the papers' sizes, random weights",
    "runtimes": "torch and onnxruntime",
    "precisions": "what smaller weights cost",
    "peers": "beside the published code, supervision and faiss",
    "bilateral": "bilateral solver",
    "mask_loss": "ZUTIS's matched mask loss",
    "nms": "suppression of masks",
    "contrast": "TSupCon",
    "confusion": "confusion matrices",
    "vote": "SelfMask's voting",
    "experts": "redrawing by experts",
    "regions": "FMbSeg's first stage",
    "world": "rendering the embedded world",
    "parts": "an index of parts",
    "approximate": "approximate search by faiss",
    "scale": "LAION-5B on paper",
    "exports": "datasets read back by other programs",
    "guided_masks": "the language-guided term on archives of usual companions",
}
ON_GPU = ("stages", "inference")
COLUMNS = ("what", "figure", "ratio", "floor", "target", "holds")


def main() -> int:
    """Run scripts, write the page; 1 where a script failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=", ".join(SCRIPTS))
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    gpu = options.device != "cpu"
    chosen = options.scripts or list(ON_GPU if gpu else SCRIPTS)
    page = HERE / ("results-cuda.md" if gpu else "results.md")
    kept = page.with_suffix(".json")
    results = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    failed = []
    for name in chosen:
        print(f"== {name}: {SCRIPTS[name]}", flush=True)
        entry = run(name, ["--device", options.device] if name in ON_GPU else [])
        if entry is None:
            failed.append(name)
        else:
            results[name] = entry
    kept.write_text(json.dumps(results, indent=1), encoding="utf-8")
    page.write_text(as_page(results), encoding="utf-8")
    print(f"{page}; failed: {', '.join(failed) or 'none'}")
    return int(bool(failed))


def run(name: str, options: list[str]) -> dict[str, object] | None:
    """Claims, seconds, machine and commit of one script; None where it failed."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        claims = Path(folder) / "claims"
        claims.touch()
        environment = os.environ | {"NAMESAKE_CLAIMS": str(claims)}
        done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *options], env=environment, check=False)
        lines = [json.loads(line) for line in claims.read_text(encoding="utf-8").splitlines()]
    if done.returncode:
        return None
    return {"claims": lines, "seconds": round(time.monotonic() - start), "where": where(), "commit": commit()}


def where() -> str:
    """Processor, cores, GPU and versions."""
    facts = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    processor = facts[0].partition(": ")[2] if facts else platform.processor() or platform.machine()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}"
    return f"{processor}, {len(os.sched_getaffinity(0))} cores{gpu}; {versions}"


def commit() -> str:
    """Short name of the commit; a plus where files differ from it."""
    told = [
        subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=False).stdout.strip()
        for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--untracked-files=no", "../src"])
    ]
    return f"{told[0] or 'unknown'}{'+' if told[1] else ''}"


def as_page(results: dict[str, dict[str, object]]) -> str:
    """The page, in the order of SCRIPTS."""
    parts = ["# Measured speed and memory\n\nWritten by `make bench` (`python benchmarks/run.py`); do not edit.\n"]
    for name, title in SCRIPTS.items():
        if name in results:
            entry = results[name]
            parts.append(
                f"## {title}\n\n`{entry.get('command', f'python benchmarks/{name}.py')}`, {entry['seconds']} s, "
                f"commit {entry['commit']}; "
            )
            parts[-1] += f"{entry['where']}\n\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
            claims: list[dict[str, str]] = entry["claims"]  # type: ignore[assignment]
            parts[-1] += "".join(f"| {' | '.join(one[column] for column in COLUMNS)} |\n" for one in claims)
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
