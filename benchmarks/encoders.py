"""Frozen encoders of a run in other precisions, beside float32: index, masks and features of the preset `laptop`.

    python benchmarks/encoders.py [--photographs 24] [--precision int8 --precision bf16]

Models are random, of the true sizes; photographs are noise of 640 x 480. Each stage is a command of its own; what it
takes for a few photographs (starting, loading, compiling) is left out of its time. What other precisions cost in
accuracy is in docs/speed.md.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from claims import claim
from laptop import NAMES, STAGE, run, sources_of, write_models, write_photographs

STAGES = {"namedmask": ("index", "masks", "features"), "fmbseg": ("masks",)}
FEW, THREADS = 4, 1


def main() -> None:
    """Make models and photographs, then run the stages in each precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=int, default=24)
    parser.add_argument("--precision", action="append", help="bf16, fp16, int8")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_models(home / "models")
        for count in (FEW, FEW + options.photographs):
            write_photographs(home / f"photographs-{count}", count)
        for system, stages in STAGES.items():
            exact: dict[str, float] = {}
            for precision in ("no", *(options.precision or ("int8", "bf16"))):
                for stage in stages:
                    whole = measure(system, stage, precision, home, FEW + options.photographs)
                    taken = max(1e-3, whole - measure(system, stage, precision, home, FEW))
                    rate = f"{options.photographs / taken:.2f} images a CPU second"
                    what = f"{system}, {stage}, 640 x 480, {precision}"
                    if precision == "no":
                        exact[stage] = taken
                        claim(what, rate)
                    else:
                        claim(what, rate, ratio=exact[stage] / taken, to="times as fast as float32")


def measure(system: str, stage: str, precision: str, home: Path, photographs: int) -> float:
    """Processor seconds of one stage of a run, whose earlier stages are there."""
    config = [*sources_of(system, home / "models"), f"encoder_precision={precision}"]
    config += [] if system == "fmbseg" else [f"archives.images_per_name={photographs}"]
    command = [sys.executable, "-c", STAGE.format(code=f"namesake.run({system!r}, until={stage!r}, **options)")]
    command += ["--preset", "laptop", "--names", NAMES, "--images", str(home / f"photographs-{photographs}")]
    command += ["--out", str(home / "runs" / f"{system}-{precision}-{photographs}")]
    return run([*command, *(part for each in config for part in ("--config", each))], THREADS)[0]


if __name__ == "__main__":
    main()
