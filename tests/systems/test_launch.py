"""One command started as two processes, as `accelerate launch` does: one run, and the losses of one process.

SelfMask's network has neither dropout nor batch normalisation, so its curve must be the same.
"""

import json
import multiprocessing
import os
import socket
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def arguments(tiny, out: Path) -> list[str]:
    config = {
        "voting.encoders": f"('{tiny.dino}',)",
        "voting.block": -1,
        "training.backbone": tiny.dino,
        "training.queries": 3,
        "training.layers": 1,
        "training.image_size": 32,
        "training.resize_range": "(1.0, 1.0)",
        "training.iterations": 60,
        "training.batch_size": 4,
        "training.learning_rate": 1e-3,
        "training.num_workers": 0,
    }
    pairs = [part for path, value in config.items() for part in ("--config", f"{path}={value}")]
    where = ["--images", str(tiny.images), "--out", str(out), "--preset", "mini", "--device", "cpu", "--json"]
    return ["namesake", "run", "selfmask", *where, *pairs]


def run(number: int, port: int, command: list[str]) -> None:
    """The command as process `number` of two; what it prints goes to a file beside the run."""
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    from namesake.cli import app

    out = Path(command[command.index("--out") + 1])
    with (out.parent / f"said-{number}").open("w") as said:
        sys.stdout = said
        app(command[1:], standalone_mode=False)


def test_two_processes__one_run_with_the_losses_of_one_process(tiny, tmp_path: Path) -> None:
    from namesake.cli import app

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    command = arguments(tiny, tmp_path / "two")
    both = [context.Process(target=run, args=(number, port, command)) for number in (0, 1)]
    for process in both:
        process.start()
    app(arguments(tiny, tmp_path / "one")[1:], standalone_mode=False)
    for process in both:
        process.join(timeout=900)
    assert [process.exitcode for process in both] == [0, 0]
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 60 // 20
    assert one == pytest.approx(two, abs=1e-4)
    assert {path.name for path in (tmp_path / "two" / "saliency").iterdir()} == {
        path.name for path in (tmp_path / "one" / "saliency").iterdir()
    }
    assert json.loads((tmp_path / "said-0").read_text())["stages"][-1]["name"] == "saliency"
    assert (tmp_path / "said-1").read_text() == ""


def losses(run_folder: Path) -> list[float]:
    lines = (run_folder / "saliency" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]
