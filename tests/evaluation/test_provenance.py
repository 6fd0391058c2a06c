"""Regime and tier from manifests such as stages write them."""

import json

import pytest

from namesake.evaluation import Provenance, open_benchmark, provenance_of
from namesake.evaluation.provenance import reading_of
from namesake.records import Names, Regime
from namesake.workspace import describe

RED_GREEN = Names(("red", "green"))


def stage(run, folder, function, *inputs, tier="S", **more):
    path = run / folder / "manifest.json"
    path.parent.mkdir(parents=True)
    manifest = {"stage": folder, "key": folder, "function": function, "inputs": describe(inputs), "tier": tier}
    path.write_text(json.dumps(manifest | more))


def other_images(tmp_path, scenes):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "other.png").write_bytes((scenes / "images" / "1.png").read_bytes())
    from namesake.images import open_images

    return open_images(folder)


@pytest.mark.parametrize(
    ("trained", "own_images", "regime"),
    [
        (None, False, "zero-shot transfer"),
        (Names(("unicorn",)), False, "zero-shot transfer"),
        (Names(("Red",)), False, "name-only"),
        (Names(("crimson",), (("red",),)), False, "name-only"),
        (RED_GREEN, True, "name-and-image"),
        (None, True, "image-only"),
    ],
)
def test_regime__by_what_stages_were_given(tmp_path, scenes, trained, own_images, regime):
    benchmark, run = open_benchmark("folder", scenes), tmp_path / "run"
    stage(run, "index", "build_index", benchmark.images if own_images else other_images(tmp_path, scenes))
    stage(run, "segmenter", "any_name", RED_GREEN, assembles=True)
    if trained is not None:
        stage(run, "archives", "retrieve", trained)
    assert provenance_of(run, benchmark, RED_GREEN).regime == regime


@pytest.mark.parametrize(("function", "regime"), [("build_maskclip", "zero-shot transfer"), ("retrieve", "name-only")])
def test_regime__manifests_from_before_stages_said_whether_they_assemble(tmp_path, scenes, function, regime):
    stage(tmp_path / "run", "segmenter", function, RED_GREEN)
    assert provenance_of(tmp_path / "run", open_benchmark("folder", scenes), RED_GREEN).regime == regime


def test_regime__other_images_of_the_benchmarks_folder(tmp_path, scenes):
    benchmark, run = open_benchmark("folder", scenes), tmp_path / "run"
    stage(run, "archives", "retrieve", RED_GREEN)
    stage(run, "index", "build_index", other_images(tmp_path, scenes))
    (run / "run.json").write_text(json.dumps({"images": str(scenes / "train")}))
    assert provenance_of(run, benchmark, RED_GREEN).regime == "name-and-image"


def test_unseen__names_no_stage_was_trained_with(tmp_path, scenes):
    run = tmp_path / "run"
    stage(run, "archives", "retrieve", Names(("red",)), tier="M")
    found = provenance_of(run, open_benchmark("folder", scenes), RED_GREEN)
    assert found == Provenance("name-only", "M", ("green",))


def test_truth__the_oracle(tmp_path, scenes):
    (tmp_path / "segmenter").mkdir()
    (tmp_path / "segmenter" / "config.json").write_text(json.dumps({"regime": Regime.TRUTH}))
    assert provenance_of(tmp_path, open_benchmark("folder", scenes), RED_GREEN) == Provenance(Regime.TRUTH, "none")


def test_unknown__no_run(tmp_path, scenes):
    assert provenance_of(tmp_path, open_benchmark("folder", scenes), RED_GREEN) == Provenance()


def test_reading__counts_of_the_stages_and_data_of_their_models(tmp_path):
    run = tmp_path / "run"
    models = [{"source": "facebook/dino-vits8"}, {"source": "embedded:clip"}, {"source": "mine/model"}]
    for folder, images in (("index", 7), ("archives", 3)):
        stage(run, folder, "retrieve", RED_GREEN)
        path = run / folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"counts": {"images": images}, "models": models}))
    data = ("captioned renders (embedded:clip)", "ImageNet (facebook/dino-vits8)", "unknown (mine/model)")
    assert reading_of(run) == (7, 3, 2, data)
    assert reading_of(tmp_path / "nothing") == (0, 0, 0, ())
