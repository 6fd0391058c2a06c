import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.archives import ArchivesConfig, open_archives, retrieve, rows, unique_images, write_archives
from namesake.encoders import Clip
from namesake.errors import ConfigError, ImagesError
from namesake.images import open_images
from namesake.index import build_index, read_embeddings
from namesake.names import TEMPLATES
from namesake.records import Archives, Index, Names
from namesake.workspace import Workspace

IndexOf = Callable[..., Index]
Angles = Callable[[list[float]], np.ndarray]
THREE = Names(("dog", "tv/monitor", "Cat"))


def table(archives: Archives) -> list[tuple[str, int, str, int]]:
    return [(row["name"], row["rank"], row["image_id"], row["label"]) for row in rows(archives).to_pylist()]


def build(index: Index, names: Names, text: np.ndarray, out: Path, **options: object) -> Archives:
    return write_archives(index, names, text, config=ArchivesConfig(**options), out=out)


@pytest.fixture
def plain(index_of: IndexOf, angles: Angles) -> Index:
    """Ten images 10 degrees apart."""
    return index_of(angles([10 * row for row in range(10)]))


def test_archives__best_first_in_label_order(plain: Index, angles: Angles, tmp_path: Path):
    archives = build(plain, THREE, angles([91, 46, 12]), tmp_path / "out", images_per_name=2)
    assert table(archives) == [
        ("dog", 1, "009.png", 1),
        ("dog", 2, "008.png", 1),
        ("tv/monitor", 1, "005.png", 2),
        ("tv/monitor", 2, "004.png", 2),
        ("Cat", 1, "001.png", 3),
        ("Cat", 2, "002.png", 3),
    ]
    scores = rows(archives).column("score").to_pylist()
    assert scores[0] == pytest.approx(math.cos(math.radians(1)), abs=1e-6)
    assert rows(archives).column_names == ["name", "rank", "image_id", "score", "label"]
    assert archives.counts == {"names": 3, "images": 6, "contested": 0, "short": 0}
    assert archives.names == THREE
    assert archives.models == plain.models
    assert archives.images.path("009.png").is_file()
    assert archives == open_archives(tmp_path / "out")


def test_contested__last_name_gives_the_label(plain: Index, angles: Angles, tmp_path: Path):
    archives = build(plain, THREE, angles([0, 11, 0]), tmp_path / "out", images_per_name=2)
    assert table(archives) == [
        ("dog", 1, "000.png", 3),
        ("dog", 2, "001.png", 3),
        ("tv/monitor", 1, "001.png", 3),
        ("tv/monitor", 2, "002.png", 2),
        ("Cat", 1, "000.png", 3),
        ("Cat", 2, "001.png", 3),
    ]
    assert archives.counts == {"names": 3, "images": 3, "contested": 2, "short": 0}
    assert unique_images(archives) == {"000.png": 3, "001.png": 3, "002.png": 2}


def test_contested__best_score_keeps_it(plain: Index, angles: Angles, tmp_path: Path):
    text = angles([0, 11, 0])
    archives = build(plain, THREE, text, tmp_path / "out", images_per_name=2, contested="best")
    assert table(archives) == [
        ("dog", 1, "000.png", 1),
        ("tv/monitor", 1, "001.png", 2),
        ("tv/monitor", 2, "002.png", 2),
    ]
    assert archives.counts == {"names": 3, "images": 3, "contested": 2, "short": 2}


def test_contested__dropped(plain: Index, angles: Angles, tmp_path: Path):
    text = angles([0, 11, 0])
    archives = build(plain, THREE, text, tmp_path / "out", images_per_name=2, contested="drop")
    assert table(archives) == [("tv/monitor", 1, "002.png", 2)]
    assert archives.counts == {"names": 3, "images": 1, "contested": 2, "short": 3}


def test_contested__nothing_left(plain: Index, angles: Angles, tmp_path: Path):
    with pytest.raises(ImagesError, match=r"no name has an image left: of 2 images found, several names list 2 \("):
        build(plain, THREE, angles([0, 0, 0]), tmp_path / "out", images_per_name=2, contested="drop")
    assert not (tmp_path / "out" / "archives.json").exists()


def test_contested__unknown_rule(plain: Index, angles: Angles, tmp_path: Path):
    with pytest.raises(ConfigError, match="expected one of"):
        build(plain, THREE, angles([0, 0, 0]), tmp_path, contested="first")


def test_short__fewer_images_than_asked_are_used_counted_and_said(
    plain: Index, angles: Angles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    archives = build(plain, Names(("dog",)), angles([0]), tmp_path / "out")
    assert archives.counts == {"names": 1, "images": 10, "contested": 0, "short": 1}
    assert "fewer than 500 images for: dog 10" in " ".join(capsys.readouterr().err.split())


def test_contested__most_images_is_said(
    plain: Index, angles: Angles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    build(plain, THREE, angles([0, 30, 60]), tmp_path / "out")
    assert "10 of 10 images are listed by several names" in " ".join(capsys.readouterr().err.split())


def test_weak_name__noted_and_said(plain: Index, angles: Angles, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    build(plain, THREE, angles([0, 150, 90]), tmp_path / "out", images_per_name=2)
    notes = json.loads((tmp_path / "out" / "notes.json").read_text(encoding="utf-8"))
    assert notes["weak"] == ["tv/monitor"]
    assert notes["weak_margin"] == 0.05
    assert [line["best_score"] for line in notes["names"]] == [1.0, 0.5, 1.0]
    assert "may hold no image of: tv/monitor 0.500 (best score; the median over names is 1.000)" in " ".join(
        capsys.readouterr().err.split()
    )


def test_near_duplicates__better_rank_stays_and_the_archive_is_filled(
    index_of: IndexOf, angles: Angles, tmp_path: Path
):
    index = index_of(angles([0, 1, 2, 20, 21, 40, 60]))
    text, five_degrees = angles([0]), math.cos(math.radians(5))
    archives = build(index, Names(("dog",)), text, tmp_path / "a", images_per_name=3, duplicate_threshold=five_degrees)
    assert [image_id for _, _, image_id, _ in table(archives)] == ["000.png", "003.png", "005.png"]
    assert [rank for _, rank, _, _ in table(archives)] == [1, 2, 3]
    off = build(index, Names(("dog",)), text, tmp_path / "b", images_per_name=3)
    assert [image_id for _, _, image_id, _ in table(off)] == ["000.png", "001.png", "002.png"]


def test_min_side__small_images_left_out(index_of: IndexOf, angles: Angles, tmp_path: Path):
    index = index_of(angles([0, 10, 20, 30]), sides=[31, 32, 10, 64])
    archives = build(index, Names(("dog",)), angles([0]), tmp_path / "out", images_per_name=3, min_image_size=32)
    assert [image_id for _, _, image_id, _ in table(archives)] == ["001.png", "003.png"]
    assert archives.counts["short"] == 1


def test_min_side__no_image_large_enough(plain: Index, angles: Angles, tmp_path: Path):
    with pytest.raises(ImagesError, match="no name has an image left"):
        build(plain, THREE, angles([0, 0, 0]), tmp_path / "out", min_image_size=1000)


@pytest.mark.parametrize("change", [{"images_per_name": 0}, {"duplicate_threshold": 95.0}, {"min_image_size": -1}])
def test_options__out_of_range(plain: Index, angles: Angles, tmp_path: Path, change: dict):
    with pytest.raises(ConfigError, match=f"{next(iter(change))} is {next(iter(change.values()))}, expected"):
        build(plain, THREE, angles([0, 0, 0]), tmp_path, **change)


def test_repeated__same_bytes(plain: Index, angles: Angles, tmp_path: Path):
    for out in ("a", "b"):
        build(plain, THREE, angles([0, 11, 50]), tmp_path / out, images_per_name=4)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 7
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_image_gone_since__sheet_and_archives_all_the_same(plain: Index, angles: Angles, tmp_path: Path):
    plain.images.path("000.png").unlink()
    plain.images.path("001.png").write_bytes(b"broken")
    archives = build(plain, THREE, angles([0, 45, 90]), tmp_path / "out", images_per_name=3)
    assert archives.counts["images"] == 9
    assert len(list((tmp_path / "out" / "sheets").iterdir())) == 3


def test_retrieve__definition_through_clip(clip: Clip, tmp_path: Path):
    """From files and words to archives, against the definition worked out with plain NumPy."""
    from PIL import Image

    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(12):
        coarse = rng.integers(0, 256, (3, 3, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((40, 36)).save(tmp_path / "photos" / f"{number:02d}.png")
    images, names = open_images(tmp_path / "photos"), Names(("dog", "red cat"), ((), ("park bench",)))
    config = ArchivesConfig(images_per_name=5)
    with Workspace(tmp_path / "run") as run:
        index = run.step(build_index, images, encoder=clip.card.source, device="cpu")
        archives = run.step(retrieve, index, names, config=config, device="cpu")
        assert run.step(retrieve, index, names, config=config, device="cpu") == archives
    words = clip.embed_names(["dog", "red cat", "park bench"], TEMPLATES)
    text = np.stack([words[0], words[1] + words[2]])
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    stored = np.load(tmp_path / "run" / "index" / "img_emb" / "img_emb_0.npy").astype(np.float64)
    scores = text @ (stored / np.linalg.norm(stored, axis=1, keepdims=True)).T
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    found = rows(archives).to_pylist()
    assert [row["image_id"] for row in found] == [images.ids[row] for row in expected.ravel()]
    np.testing.assert_allclose(
        [row["score"] for row in found], np.take_along_axis(scores, expected, axis=1).ravel(), atol=1e-6
    )


def test_opened_elsewhere__archives_survive_a_move(plain: Index, angles: Angles, tmp_path: Path):
    made = build(plain, THREE, angles([0, 45, 90]), tmp_path / "out", images_per_name=2)
    shutil.move(tmp_path / "out", tmp_path / "moved")
    assert table(open_archives(tmp_path / "moved"))[0] == ("dog", 1, "000.png", 1)
    assert open_archives(tmp_path / "moved").images == made.images


def test_against__images_more_like_a_context_word_are_left_out(plain: Index, angles: Angles, tmp_path: Path):
    archives = write_archives(
        plain,
        Names(("crane", "dog"), against=(("tower crane",), ())),
        angles([41, 41]),
        config=ArchivesConfig(images_per_name=4),
        out=tmp_path / "out",
        against=[angles([63]), np.zeros((0, 2))],
    )
    found = {name: [row[2] for row in table(archives) if row[0] == name] for name in ("crane", "dog")}
    assert found["dog"] == ["004.png", "005.png", "003.png", "006.png"]
    assert found["crane"] == ["004.png", "005.png", "003.png", "002.png"]  # image 6 is 3 degrees from "tower crane"


def test_against__context_words_of_the_names_file(plain: Index, clip: Clip, tmp_path: Path):
    """Whatever the tiny random CLIP says, no image of the archive is more like the context word than like the name."""
    images = open_images(plain.images.folder)
    index = build_index(tmp_path / "own", images, encoder=clip.card.source, device="cpu")
    names = Names(("dog", "bench"), against=(("red cat",), ()))
    made = retrieve(tmp_path / "out", index, names, config=ArchivesConfig(images_per_name=9), device="cpu")
    other = clip.embed_names(["red cat"], TEMPLATES)[0]
    for row in rows(made).to_pylist():
        place = index.images.ids.index(row["image_id"])
        assert row["name"] == "bench" or (read_embeddings(index, [place]) @ other)[0] <= row["score"] + 1e-5


def test_faces__images_with_one_are_replaced_by_the_next(plain: Index, angles: Angles, tmp_path: Path):
    from skimage.data import astronaut

    Image.fromarray(astronaut()[:256, 96:352]).save(plain.images.path("004.png"))
    options = {"images_per_name": 2, "face_detector": "namesake.archives.looks:cascade_faces"}
    archives = build(plain, Names(("dog",)), angles([42]), tmp_path / "out", **options)
    assert [row[2] for row in table(archives)] == ["005.png", "003.png"]


def test_taken__images_of_earlier_archives_are_left_out(plain: Index, angles: Angles, tmp_path: Path):
    earlier = build(plain, Names(("dog",)), angles([42]), tmp_path / "earlier", images_per_name=3)
    assert [row[2] for row in table(earlier)] == ["004.png", "005.png", "003.png"]
    made = write_archives(
        plain,
        Names(("cat",)),
        angles([41]),
        config=ArchivesConfig(images_per_name=2),
        out=tmp_path / "out",
        taken=(earlier,),
    )
    assert [row[2] for row in table(made)] == ["006.png", "002.png"]


def test_taken__small_images_are_left_out_besides(index_of: IndexOf, angles: Angles, tmp_path: Path):
    index = index_of(angles([10 * row for row in range(10)]), sides=[20] * 6 + [9] + [20] * 3)
    earlier = build(index, Names(("dog",)), angles([42]), tmp_path / "earlier", images_per_name=3)
    made = write_archives(
        index,
        Names(("cat",)),
        angles([41]),
        config=ArchivesConfig(images_per_name=2, min_image_size=10),
        out=tmp_path / "out",
        taken=(earlier,),
    )
    assert not {row[2] for row in table(made)} & {"006.png", *earlier.images.ids}
    assert len(table(made)) == 2
