import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.errors import DataError
from namesake.evaluation.benchmarks import open_benchmark, read_ids, size_of


def test_folder__read(scenes):
    benchmark = open_benchmark("folder", scenes)
    assert benchmark.name == "scenes"
    assert benchmark.images.ids == tuple(f"{number}.png" for number in range(6))
    assert benchmark.names == {0: "background", 1: "red", 2: "green", 3: "blue sky"}
    assert benchmark.ignore == 255
    truth = benchmark.truth("3.png")
    assert np.array_equal(truth, np.asarray(Image.open(scenes / "masks" / "3.png")))


def test_world__scenes_as_rendered(tmp_path):
    from namesake.world import NAMES, render_scene
    from namesake.world.write import write_world

    write_world("scenes", tmp_path / "world", count=2, seed=5, size=48, workers=1)
    benchmark = open_benchmark("world", tmp_path / "world")
    assert benchmark.name == "world"
    assert [benchmark.names[label + 1] for label in range(len(NAMES))] == list(NAMES)
    for number, image_id in enumerate(benchmark.images.ids):
        assert np.array_equal(benchmark.truth(image_id), render_scene("scenes", number, seed=5, size=48).labels)


def test_world__another_run_is_described_alike(scenes):
    from namesake.workspace import describe

    assert describe(open_benchmark("folder", scenes)) == describe(open_benchmark("folder", scenes))
    json.dumps(describe(open_benchmark("folder", scenes)))


@pytest.mark.data
def test_folder__camvid(shared, tmp_path):
    names = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"]
    (tmp_path / "camvid").mkdir()
    (tmp_path / "camvid" / "images").symlink_to(shared / "data" / "camvid-mini" / "images")
    (tmp_path / "camvid" / "masks").symlink_to(shared / "data" / "camvid-mini" / "labels")
    (tmp_path / "camvid" / "names.json").write_text(json.dumps(dict(enumerate([*names, "unlabelled"]))))
    benchmark = open_benchmark("folder", tmp_path / "camvid")
    assert len(benchmark.images) == 39
    assert benchmark.ignore == 11
    assert benchmark.truth(benchmark.images.ids[0]).shape == (360, 480)


def test_open__unknown(tmp_path):
    with pytest.raises(DataError, match="Known are world, folder"):
        open_benchmark("voc", tmp_path)


@pytest.mark.parametrize("missing", ["masks", "names.json", "images"])
def test_open__missing_part(scenes, missing):
    (scenes / missing).rename(scenes / "elsewhere")
    with pytest.raises(DataError, match=f"missing: {missing}"):
        open_benchmark("folder", scenes)


def test_open__missing_pair(scenes):
    (scenes / "masks" / "4.png").unlink()
    with pytest.raises(DataError, match=r"1 of 6 images .* first is 4\.png, whose mask is expected at .*masks/4\.png"):
        open_benchmark("folder", scenes)


def test_open__mask_without_an_image(scenes, capsys):
    (scenes / "images" / "4.png").unlink()
    assert len(open_benchmark("folder", scenes).images) == 5
    assert "1 masks have no image and are not scored; first is" in capsys.readouterr().err


def broken(scenes: Path, change) -> None:
    path = scenes / "masks" / "2.png"
    changed = change(Image.open(path))
    changed.save(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mask: mask.resize((20, 20)), r"2\.png is 20 x 20, its image 40 x 48"),
        (lambda mask: mask.rotate(90, expand=True), r"2\.png is 48 x 40, its image 40 x 48"),
        (lambda mask: mask.convert("RGB"), r"2\.png is a picture in RGB colours"),
        (lambda mask: mask.convert("LA"), r"2\.png is a picture in LA colours"),
        (lambda mask: mask.point(lambda value: 9 if value == 1 else value), r"2\.png holds the ids 9, which the names"),
    ],
)
def test_truth__does_not_fit(scenes, change, message):
    broken(scenes, change)
    with pytest.raises(DataError, match=message):
        open_benchmark("folder", scenes).truth("2.png")


def test_truth__palette_and_16_bit(scenes):
    benchmark = open_benchmark("folder", scenes)
    plain = benchmark.truth("2.png")

    def with_palette(mask):
        mask = mask.copy()
        mask.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
        assert mask.mode == "P"
        return mask

    for change in (with_palette, lambda mask: Image.fromarray(np.asarray(mask).astype(np.uint16))):
        broken(scenes, change)
        assert np.array_equal(benchmark.truth("2.png"), plain)


def test_truth__damaged(scenes):
    path = scenes / "masks" / "2.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=r"2\.png cannot be read as a label map"):
        open_benchmark("folder", scenes).truth("2.png")


def test_truth__image_turned_by_exif(scenes):
    turned = Image.open(scenes / "images" / "2.png").convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(scenes / "images" / "2.png", exif=exif)
    assert size_of(scenes / "images" / "2.png") == (48, 40)
    with pytest.raises(DataError, match="its image 48 x 40"):
        open_benchmark("folder", scenes).truth("2.png")


def test_ids__ignored_by_name(tmp_path):
    path = tmp_path / "names.json"
    path.write_text('{"0": "sky", "11": "Unlabelled", "3": "car"}')
    assert read_ids(path) == ({0: "sky", 3: "car"}, 11)


def test_ids__255_listed_as_not_sure(tmp_path):
    path = tmp_path / "names.json"
    path.write_text('{"0": "background", "1": "dog", "255": "not sure"}')
    assert read_ids(path) == ({0: "background", 1: "dog"}, 255)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "no list of names"),
        ("{", "is not JSON"),
        ('{"dog": 1}', "no list of names"),
        ("{}", "lists 0 names"),
        ('{"-1": "dog"}', "expected ids from 0"),
        ('{"0": "dog", "7": "void", "8": "ignore"}', "at most one to ignore"),
        ('{"0": "dog", "255": "cat"}', "names id 255 'cat'"),
    ],
)
def test_ids__malformed(tmp_path, content, message):
    path = tmp_path / "names.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_ids(path)
