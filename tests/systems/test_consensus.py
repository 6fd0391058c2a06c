"""Consensus end to end on a tiny world: every stage, killed and gone on with, shared out, things and stuff."""

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from command_lines import Ended, Runner, digests
from namesake import systems
from namesake.archives import open_archives
from namesake.errors import ConfigError, WorkspaceError
from namesake.images import open_images
from namesake.images.identity import identify
from namesake.index import open_index, read_embeddings
from namesake.masks import rle
from namesake.masks.store import MaskLookup, MaskWriter, open_masks, read_masks
from namesake.records import Images, Index, Names, Prediction, PseudoMask
from namesake.segmenter import SegmenterFolder, load_segmenter
from namesake.systems import configure
from namesake.systems.consensus import PRESETS, check, trained
from namesake.systems.curation import CURATION
from namesake.training.samples.archives import read_examples
from namesake.training.samples.maps import LabelMaps
from namesake.training.student import (
    Labelled,
    LabelsConfig,
    StudentConfig,
    _keeping,
    find_least,
    keep,
    objects_of,
    rows_of,
)
from namesake.workspace import read_manifest, write_inputs

STAGES = {
    "index": "index/started.json",
    "archives": "archives/started.json",
    "masks/saliency": "masks/saliency/started.json",
    "teacher": "teacher/checkpoint.pt",
    "labels": "labels/masks-00001.parquet",
    "segmenter": "segmenter/checkpoint.pt",
}
"""Stage -> the file whose appearance says that the stage is at work."""


def options(tiny, **more: object) -> tuple[str, ...]:
    config = {
        "retrieval_clip": tiny.clip,
        "archives.images_per_name": 6,
        "saliency.network": tiny.saliency,
        "labels.calibration_images": 5,
    }
    for part, updates in (("training", 8), ("student", 12)):
        config |= {f"{part}.backbone": tiny.resnet, f"{part}.iterations": updates, f"{part}.batch_size": 2}
        config |= {f"{part}.crop_size": 32, f"{part}.checkpoint_every": 3}
    return tuple(f"{path}={value}" for path, value in (config | more).items())


@pytest.fixture(scope="module")
def run(tiny, runner: Runner) -> Callable[..., Ended]:
    """`run(out, *more, **fault)`: a whole run of seconds, whose labels fill several shards."""

    def start(out: Path, *more: str, **fault: object) -> Ended:
        line = ["run", "consensus", "--preset", "mini", "--names", "car, tree, mug", "--images", tiny.images]
        pairs = [part for each in options(tiny) for part in ("--config", each)]
        constants = {"namesake.training.student:SHARD_SIZE": 4}
        return runner(*line, "--out", out, *pairs, *more, "--json", constants=constants, **fault)

    return start


@pytest.fixture(scope="module")
def whole(run: Callable[..., Ended], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    ended = run(folder)
    assert ended.code == 0, ended.err
    assert [stage["name"] for stage in json.loads(ended.out)["stages"]] == list(STAGES)
    return folder


@pytest.mark.slow
def test_run__teacher_labels_all_images_and_a_student_learns_them(tiny, whole: Path):
    images = open_images(tiny.images)
    manifest = json.loads((whole / "labels" / "manifest.json").read_text())
    assert manifest["counts"] == {"images": len(images), "skipped": 0}
    assert str(tiny.clip) in {card["source"] for card in manifest["models"]}
    teacher = load_segmenter(whole / "teacher", device="cpu")
    assert teacher.names.names == load_segmenter(whole, device="cpu").names.names == ("car", "tree", "mug")
    reader = teacher.read_carefully()
    config = LabelsConfig(calibration_images=5)
    least = find_least(reader, images, config)
    maps = LabelMaps(open_masks(whole / "labels"), ignore=255)
    for image_id in images.ids[::7]:
        found = reader.segment(images.path(image_id))
        unsure = (found.confidence * 255).round().astype(int) < least[found.labels]
        labels = maps(image_id)
        assert (labels == np.where(unsure, 255, found.labels)).mean() > 0.999
    teacher_weights, weights = (
        load_segmenter(each, device="cpu").predictor.weights() for each in (whole / "teacher", whole)
    )
    assert teacher_weights.keys() == weights.keys()
    assert any(not (teacher_weights[key] == weights[key]).all() for key in weights)


@pytest.mark.slow
def test_student__objects_pasted_in_have_the_labels_of_their_names(whole: Path):
    archives, masks = open_archives(whole / "archives"), open_masks(whole / "masks" / "saliency")
    among = Names(("sky", "mug", "car", "grass", "tree"))  # two of them have no archive
    objects = objects_of(archives, masks, among, StudentConfig(crop_size=32))
    own = read_examples(archives, masks)
    for line in range(objects.count):
        mask = own.codes[own.mask[line]]
        named = archives.names.names[own.label[line] - 1]
        assert mask.any()
        assert np.array_equal(objects.read(line)[1], mask * (1 + among.names.index(named)))


@pytest.mark.slow
def test_run__killed_in_its_stages_ends_with_the_same_bytes(
    run: Callable[..., Ended], whole: Path, long: bool, tmp_path: Path
):
    folder = tmp_path / "killed"
    for sign in list(STAGES.values())[0 if long else -2 :]:
        assert run(folder, appears=folder / sign).code == -signal.SIGKILL
    ended = run(folder)
    assert ended.code == 0, ended.err
    assert digests(folder) == digests(whole)


@pytest.mark.slow
@pytest.mark.long  # other stages are shared out by tests/test_engines.py
def test_run__labels_shared_out_have_the_same_bytes(run: Callable[..., Ended], whole: Path, tmp_path: Path):
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    ended = run(tmp_path / "ray", "--engine", "ray:2")
    assert ended.code == 0, ended.err
    assert digests(tmp_path / "ray") == digests(whole)


@pytest.mark.slow
def test_stuff__shares_background_and_is_learned_by_the_student(tiny, tmp_path: Path):
    names = Names(("car", "sky", "tree", "grass"), background=())
    config = (*options(tiny), "stuff=('sky', 'grass')", "labels.reading.background_bias=-30.0")
    systems.run("consensus", names=names, images=tiny.images, out=tmp_path / "run", preset="mini", config=config)
    assert load_segmenter(tmp_path / "run" / "teacher", device="cpu").names.names == ("car", "tree")
    assert load_segmenter(tmp_path / "run", device="cpu").names.names == names.names
    labels = {mask.label for mask in read_masks(open_masks(tmp_path / "run" / "labels"))}
    assert labels & {2, 4}
    assert labels <= {2, 4, 255}  # every pixel is something, or not sure


def test_rows__every_pixel_once_and_the_least_sure_ones_apart():
    labels = np.array([[0, 0, 1, 1], [0, 2, 2, 1]], dtype=np.uint8)
    confidence = np.array([[0.9, 0.2, 0.6, 0.8], [0.7, 0.3, 0.5, 0.1]], dtype=np.float32)
    found = rows_of("a", Prediction(labels, confidence), np.array([0, 51, 102]), unsure=255)
    assert [(row.label, round(row.score, 3)) for row in found] == [(0, 0.6), (1, 0.7), (2, 0.5), (255, 0.2)]


def test_config__what_nobody_would_learn_is_refused():
    mini, names = PRESETS["mini"], Names(("car", "sky"))
    check(replace(mini, stuff=("sky",)), names)
    with pytest.raises(ConfigError, match="grass"):
        check(replace(mini, stuff=("grass",)), names)
    with pytest.raises(ConfigError, match="all names"):
        check(replace(mini, stuff=("sky", "car")), names)
    with pytest.raises(ConfigError, match="predict RUN"):
        check(replace(mini, student=replace(mini.student, iterations=0), stuff=("sky",)), names)
    for word in ("student.iterations", "labels.unsure_fraction", "stuff"):  # a frozen encoder has no student
        with pytest.raises(ConfigError, match=f"'{word}' is an option of other presets"):
            configure("consensus", preset="laptop", config=(f"{word}=1",))
    for part, what in (
        ("backbone", "folder/"),
        ("architecture.aspp_channels", 64),
        ("architecture.atrous_rates", "1,3"),
    ):
        other = configure("consensus", preset="mini", config=(f"training.{part}={what}",))
        with pytest.raises(ConfigError, match=f"student.{part} is .*expected the same twice"):
            check(other, names)
        check(
            configure("consensus", preset="mini", config=(f"training.{part}={what}", f"student.{part}={what}")), names
        )
    with pytest.raises(ConfigError, match="no objects"):
        check(configure("consensus", preset="mini", config=("labels.reading.objects=true",)), names)
    with pytest.raises(ConfigError, match="labels"):
        configure("consensus", preset="mini", config=("labels.unsure=0.2",))


def labels_of(folder: Path) -> dict[str, list[PseudoMask]]:
    """Rows by image."""
    found: dict[str, list[PseudoMask]] = {}
    for row in read_masks(open_masks(folder)):
        found.setdefault(row.image_id, []).append(row)
    return found


@pytest.mark.slow
def test_a_name_that_joins__teacher_labels_and_student_go_on_from_those_of_before(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, kept = tmp_path / "run", tmp_path / "run" / "earlier" / "2-names"

    def go(names: str) -> dict[str, bool]:
        config = options(tiny, **{"joining.likeliest": 2})
        done = systems.run("consensus", names=names, images=tiny.images, out=folder, preset="mini", config=config)
        return {stage["name"]: stage["reused"] for stage in done.stages[: len(STAGES) + 2]}

    go("car, tree")
    before, first = digests(folder / "masks"), labels_of(folder / "labels")
    # what the tiny CLIP has to say of names is one for all images: half of them shall be like a mug
    index = open_index(folder / "index")
    embeddings = read_embeddings(index, range(len(index.images)))
    common = embeddings.mean(axis=0)
    mug = np.linalg.qr(np.stack([common, embeddings[0]], axis=1))[0][:, 1]  # nothing of what they have in common
    monkeypatch.setattr("namesake.training.student.embed", lambda *_: np.stack([0 * mug, 0 * mug, mug]))
    reused = go("car, tree, mug")
    assert [name for name, was in reused.items() if was] == ["index", "archives", "masks/saliency"]
    assert digests(folder / "masks") == before
    assert load_segmenter(folder, device="cpu").names.names == ("car", "tree", "mug")
    assert load_segmenter(folder / "teacher", device="cpu").names.names == ("car", "tree", "mug")
    assert load_segmenter(kept, device="cpu").names.names == ("car", "tree")
    # a quarter of the updates, from the weights of before
    for stage, place, updates in (("teacher", kept / "teacher", 2), ("segmenter", kept, 3)):
        given = read_manifest(folder / stage)["config"]
        assert given["config"]["iterations"] == updates
        assert given["earlier"] == {"artifact": read_manifest(place)["key"]}
    # where mug is not among the two likeliest, labels stay
    now = labels_of(folder / "labels")
    unlikely = [index.images.ids[row] for row in np.flatnonzero(embeddings @ mug <= 0)]
    assert read_manifest(folder / "labels")["counts"]["kept"] == len(unlikely)
    assert 0 < len(unlikely) < len(now) == len(first)
    for image_id in unlikely:
        assert now[image_id] == first[image_id]
    again = go("car, tree, mug")
    assert all(again.values())


@pytest.mark.slow
def test_choices_of_a_person__go_into_teacher_and_pasted_objects_not_into_label_maps(tiny, whole: Path, tmp_path: Path):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    first, maps = next(iter(MaskLookup(open_masks(folder / "masks" / "saliency")))), labels_of(folder / "labels")
    (folder / CURATION).write_text(json.dumps({"masks": {first: {"state": "rejected"}}}))

    def made() -> list[str]:
        done = systems.run(
            "consensus", names="car, tree, mug", images=tiny.images, out=folder, preset="mini", config=options(tiny)
        )
        return [stage["name"] for stage in done.stages if not stage["reused"]]

    assert made() == ["masks/curated", "teacher", "labels", "segmenter"]
    assert first not in MaskLookup(open_masks(folder / "masks" / "curated"))
    assert labels_of(folder / "labels").keys() == maps.keys()
    given = [each["artifact"] for each in read_manifest(folder / "segmenter")["inputs"] if "artifact" in each]
    assert read_manifest(folder / "labels")["key"] in given
    assert read_manifest(folder / "masks" / "curated")["key"] in given
    assert made() == []


@pytest.mark.slow
def test_a_name_that_joins__and_more_images(tiny, tmp_path: Path):
    photos, folder, ids = tmp_path / "photos", tmp_path / "run", open_images(tiny.images).ids
    shutil.copytree(tiny.images, photos)
    late = photos / ids[-1]
    late.rename(tmp_path / late.name)

    def go(names: str, **more: bool) -> dict[str, bool]:
        config = options(tiny, **{"joining.likeliest": 3})  # so many are asked for that all are labelled anew
        done = systems.run("consensus", names=names, images=photos, out=folder, preset="mini", config=config, **more)
        return {stage["name"]: stage["reused"] for stage in done.stages}

    go("car, tree")
    go("car, tree, mug")
    (tmp_path / late.name).rename(late)
    with pytest.raises(WorkspaceError, match="1 new"):
        go("car, tree, mug")
    go("car, tree, mug", append=True)
    assert read_manifest(folder / "labels")["counts"]["images"] == len(ids)
    assert all(go("car, tree, mug").values())


MASKS = {3: [True, False], 255: [False, True]}
"""By label, what an image of two pixels shows."""


def test_keep__not_what_an_image_no_longer_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(name.encode())
    images = Images(tmp_path, ("a.png", "b.png", "c.png"))
    with MaskWriter(tmp_path / "labels") as writer:
        for image_id in images.ids[:2]:
            writer.write_several([PseudoMask(image_id, 0, 0.5, 1, 2, rle.encode(np.ones((1, 2), dtype=bool)))])
    labels = open_masks(tmp_path / "labels")
    monkeypatch.setattr("namesake.training.student.load_clip", lambda *_, **__: None)
    monkeypatch.setattr("namesake.training.student.embed", lambda *_: np.eye(2))
    monkeypatch.setattr(
        "namesake.training.student.read_embeddings", lambda _, rows: np.tile([[1.0, 0.0]], (len(rows), 1))
    )
    earlier = Labelled(labels, 1, Index(tmp_path, images=images, encoder="", dim=2), 1)
    names = Names(("car", "tree"))
    assert keep(earlier, names, device="cpu") == ()  # nothing says what they were
    known = {str(images.path(image_id)): each for image_id, each in identify(images).items()}
    write_inputs(labels.folder, known, home=str(images.folder))
    assert keep(earlier, names, device="cpu") == ("a.png", "b.png")
    (tmp_path / "b.png").write_bytes(b"another picture")
    assert keep(earlier, names, device="cpu") == ("a.png",)


def test_keeping__the_label_of_not_sure_moves_with_the_255th_name(tmp_path: Path):
    rows = [PseudoMask("a.png", label, 0.5, 1, 2, rle.encode(np.array([mask]))) for label, mask in MASKS.items()]
    with MaskWriter(tmp_path) as writer:
        writer.write_several(rows)
    index = Index(tmp_path, images=Images(tmp_path, ("a.png", "b.png")), encoder="", dim=1)
    earlier = Labelled(open_masks(tmp_path), known=254, index=index, likeliest=1)
    draw = _keeping(lambda ids: [(image_id, ("drawn",)) for image_id in ids], earlier, ["a.png"], unsure=65_535)
    assert list(draw(["b.png", "a.png", "c.png"])) == [
        ("b.png", ("drawn",)),
        ("a.png", ([rows[0], replace(rows[1], label=65_535)],)),
        ("c.png", ("drawn",)),
    ]


def test_trained__goes_on_only_where_labels_mean_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config, joining = PRESETS["mini"].training, PRESETS["mini"].joining
    found = SegmenterFolder(tmp_path, names=Names(("car", "sky", "tree")))
    monkeypatch.setattr("namesake.systems.consensus.read_manifest", lambda _: {"key": "a"})
    monkeypatch.setattr("namesake.systems.consensus.open_segmenter", lambda _: found)
    more = trained(config, Names(("car", "sky", "tree", "mug")), tmp_path, joining)
    assert more == {"config": replace(config, iterations=160), "earlier": found}
    # sky is called stuff now, so the teacher's labels are others
    assert trained(config, Names(("car", "tree", "mug")), tmp_path, joining) == {"config": config}
    assert trained(config, Names(("car",)), None, joining) == {"config": config}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("updates", [12, 0], ids=["with a student", "without"])
def test_names_that_join_one_after_the_other(tiny, tmp_path: Path, updates: int):
    folder, lists = tmp_path / "run", (("car", "tree"), ("car", "tree", "mug"), ("car", "tree", "mug", "sky"))

    def go(names: tuple[str, ...]) -> dict[str, bool]:
        config = options(tiny, **{"student.iterations": updates})
        done = systems.run(
            "consensus", names=", ".join(names), images=tiny.images, out=folder, preset="mini", config=config
        )
        return {stage["name"]: stage["reused"] for stage in done.stages}

    for names in lists:
        go(names)
        assert load_segmenter(folder, device="cpu").names.names == names
    for names in lists[:-1]:
        kept = folder / "earlier" / f"{len(names)}-names"
        assert load_segmenter(kept, device="cpu").names.names == names
        assert (kept / "teacher" / "config.json").is_file() == bool(updates)
    assert all(go(lists[-1][::-1]).values())
