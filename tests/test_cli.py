"""Every verb parses, does its work, and says what a person or a program needs to know."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from PIL import Image
from typer.testing import CliRunner

from namesake import __version__, systems
from namesake.cli import FLOW, app
from namesake.world import write_world


def namesake(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    command = [sys.executable, "-m", "namesake", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("verb", FLOW)
def test_help__every_verb(verb: str):
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.output


def test_world__lists_names():
    result = CliRunner().invoke(app, ["world", "--list-names", "--json"])
    known = json.loads(result.stdout)
    assert len(known["names"]) >= 24
    assert len(known["unseen_names"]) == 8
    assert set(known["unseen_names"]) < set(known["names"])
    assert len(known["stuff"]) >= 6


def test_world__writes_and_keeps(tmp_path: Path):
    arguments = ["world", "--draw", "scenes", "--count", "3", "--size", "64", "--out", str(tmp_path / "w"), "--json"]
    for _ in range(2):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["images"] == 3
    assert len(list((tmp_path / "w" / "masks").iterdir())) == 3


def test_doctor__says_versions_and_weights():
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0, result.output
    assert "torch" in result.output
    assert "embedded:clip" in result.output


def test_error__one_line_and_exit_code(tmp_path: Path):
    result = namesake("run", "namedmask", "--names", "cat", "--images", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert result.returncode == 1
    assert result.stdout == ""
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr


def test_error__unknown_system_lists_the_known(tmp_path: Path):
    result = namesake("run", "named-mask", "--names", "cat", "--images", tmp_path, "--out", tmp_path / "run")
    assert result.returncode == 1
    assert "namedmask" in result.stderr


def test_error__unknown_option_suggests_the_nearest(tmp_path: Path):
    result = namesake(
        "run", "namedmask", "--preset", "mini", "--names", "cat", "--images", tmp_path, "--out", tmp_path / "run",
        "--config", "training.iteration=3",
    )  # fmt: skip
    assert result.returncode == 1
    assert "training.iterations" in result.stderr


def test_usage__missing_option_is_exit_code_two():
    assert namesake("run", "namedmask").returncode == 2


def test_version__that_of_the_package():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout.split()) == (0, ["namesake", __version__])


def test_help__verbs_in_the_order_of_the_work():
    verbs = list(typer.main.get_command(app).commands)
    assert verbs == list(FLOW)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["--help", "run --help", "runn", "run --bogus"])
def test_help__imports_nothing_heavy(line: str):
    command = [sys.executable, "-X", "importtime", "-m", "namesake", *line.split()]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stderr
    imported = {row.rpartition("|")[2].strip() for row in said.splitlines() if row.startswith("import time:")}
    assert "namesake.cli" in imported
    assert not {"torch", "transformers", "accelerate", "scipy", "skimage", "pyarrow", "matplotlib"} & imported


def test_predict__a_video_a_glob_and_a_folder(tmp_path: Path):
    av = pytest.importorskip("av", reason="the extra [video] is not installed")
    write_world("unlabelled", tmp_path / "world", count=3, seed=2, size=64, workers=1)
    images = tmp_path / "world" / "images"
    with av.open(str(tmp_path / "film.mp4"), "w") as film:
        stream = film.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 64
        for path in sorted(images.iterdir()):
            with Image.open(path) as picture:
                film.mux(stream.encode(av.VideoFrame.from_image(picture.convert("RGB"))))
        film.mux(stream.encode())
    systems.run("maskclip", names="car, tree", images=images, out=tmp_path / "run", preset="mini")
    for number, (source, count) in enumerate(((tmp_path / "film.mp4", 3), (images / "*1.*", 1), (images, 3))):
        out = tmp_path / f"out-{number}"
        result = CliRunner().invoke(app, ["predict", str(tmp_path / "run"), str(source), "--out", str(out), "--json"])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["images"] == count
        assert len(list((out / "labels").iterdir())) == len(list((out / "overlays").iterdir())) == count


def test_read_carefully__predict_evaluate_label_trust(tmp_path: Path):
    write_world("unlabelled", tmp_path / "world", count=12, seed=2, size=64, workers=1)
    write_world("scenes", tmp_path / "scenes", count=2, seed=3, size=64, workers=1)
    images, run = tmp_path / "world" / "images", tmp_path / "run"
    short = ("experts.iterations=0", "training.iterations=2", "training.batch_size=2", "archives.images_per_name=3")
    systems.run("namedmask", names="car, tree", images=images, out=run, preset="mini", config=short, device="cpu")

    def said(*line: object) -> dict:
        result = CliRunner().invoke(app, [*map(str, line), "--json", "--device", "cpu"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    spent = said("predict", run, images, "--out", tmp_path / "careful", "--read", "careful")["reading"]
    assert (spent["images"], spent["passes"], spent["embedded"], spent["dense"]) == (12, 24, 48, 0)
    assert "reading" not in said("predict", run, images, "--out", tmp_path / "fast")
    changed = CliRunner().invoke(app, ["predict", str(run), str(images), "--out", str(tmp_path / "careful")])
    assert changed.exit_code != 0  # not the same work
    less = ("--config", "window_weight=0", "--config", "flip=false", "--config", "image_weight=0.5")
    spent = said("predict", run, images, "--out", tmp_path / "less", "--read", "careful", *less)["reading"]
    assert (spent["passes"], spent["embedded"]) == (12, 12)
    said("evaluate", run, "--benchmark", "world", "--root", tmp_path / "scenes", "--read", "careful")
    record = json.loads((run / "evaluation" / "world.json").read_text())
    assert record["careful_reading"]["window_weight"] > 0
    trusted = said("trust", run, "--images", images, "--read", "careful")
    assert 0 < trusted["names"][0]["agreement"] < 100 or trusted["names"][0]["images"] == 0
    labelled = ("label", "--run", run, "--images", images, "--out", tmp_path / "labelled", "--read", "careful")
    said(*labelled, "--unsure", "0")
    for own in ("labels", "confidence"):
        made = sorted((tmp_path / "labelled" / "run" / "predictions" / own).iterdir())
        assert len(made) == 12
    for path in (tmp_path / "labelled" / "run" / "predictions" / "labels").iterdir():
        assert path.read_bytes() == (tmp_path / "careful" / "labels" / path.name).read_bytes()
    refused = CliRunner().invoke(app, ["predict", str(run), str(images), "--out", "x", "--config", "flip=false"])
    assert "--read careful" in str(refused.exception)


def test_evaluate__no_default_benchmark():
    result = CliRunner().invoke(app, ["evaluate", "runs/pets"])
    assert "expected --benchmark, found none: folder" in str(result.exception)


def test_serve__help_shows_the_extra():
    told = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200"}).output
    assert "pip install 'namesake-masks[app]', in a clone '.[app]'" in told


def test_run__refused_device_leaves_no_folder(tmp_path: Path):
    arguments = ["--preset", "mini", "--names", "car", "--images", str(tmp_path), "--out", str(tmp_path / "run")]
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    result = CliRunner().invoke(app, ["run", "maskclip", *arguments, "--device", "gpu"])
    assert "expected auto, cpu, cuda or cuda:N, found 'gpu'" in str(result.exception)
    result = CliRunner().invoke(app, ["label", *arguments, "--system", "maskclip", "--device", "gpu"])
    assert "found 'gpu'" in str(result.exception)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [b"no checkpoint", b"\x80\x04\x8c\x05posix\x8c\x06system\x93."])
def test_convert__never_advises_to_run_what_is_in_a_file(content: bytes, tmp_path: Path):
    (tmp_path / "x.pt").write_bytes(content)
    result = CliRunner().invoke(
        app, ["convert", str(tmp_path / "x.pt"), "--kind", "selfmask", "--out", str(tmp_path / "r")]
    )
    assert "is not a checkpoint that holds only weights" in str(result.exception)
    assert "weights_only" not in str(result.exception)
