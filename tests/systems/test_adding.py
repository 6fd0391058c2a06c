"""Names that join a run: what was made for the earlier ones is the same file as before, and all are segmented."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

import namesake
from namesake.app.browse import Browser
from namesake.app.curate import ORDERS, WITHOUT_ARCHIVES, Curator
from namesake.archives import open_archives, rows, unique_images
from namesake.errors import ImagesError, WorkspaceError
from namesake.evaluation.report import render_report
from namesake.evaluation.report.sections import archives_of
from namesake.masks import MaskLookup, open_masks
from namesake.records import Names
from namesake.systems.adding import make_room, parts_of

pytestmark = pytest.mark.slow

KEPT = ("index", "archives", "masks/saliency", "masks/experts")


def run(tiny, out: Path, names: str, **more) -> list[dict]:
    options = tiny.options(out)
    overrides = [part for part in options if "=" in part]
    done = namesake.run(
        "namedmask", names=names, images=tiny.images, out=out, preset="mini", config=tuple(overrides), **more
    )
    return done.stages


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def extended(tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, list[dict]]:
    """A run with a name added: its folder, digests of the kept stages before, and the stages of the second call."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(tiny, folder, "car, tree, mug")
    before = {stage: digests(folder / stage) for stage in KEPT}
    return folder, before, run(tiny, folder, "dog, car, tree, mug")


def test_adding__earlier_stages_are_not_touched(extended) -> None:
    folder, before, stages = extended
    assert {stage: digests(folder / stage) for stage in KEPT} == before
    reused = {stage["name"]: stage["reused"] for stage in stages[: len(KEPT)]}
    assert reused == dict.fromkeys(KEPT, True)
    assert (folder / "added" / "01" / "masks" / "experts" / "manifest.json").is_file()


def test_adding__joined_masks_hold_the_earlier_codes(extended) -> None:
    folder, _, _ = extended
    earlier, joined = (MaskLookup(open_masks(folder / part)) for part in ("masks/experts", "joined/masks"))
    assert all(joined[image_id] == earlier[image_id] for image_id in earlier)
    labels = unique_images(open_archives(folder / "joined" / "archives"))
    assert set(labels.values()) == {4, *(earlier[image_id].label for image_id in earlier)}
    assert all(joined[image_id].label == label for image_id, label in labels.items())


def test_adding__the_segmenter_knows_all_names_and_the_one_before_is_kept(extended) -> None:
    folder, _, _ = extended
    assert namesake.load(folder).names.names == ("car", "tree", "mug", "dog")
    assert namesake.load(folder / "earlier" / "3-names").names.names == ("car", "tree", "mug")
    record = json.loads((folder / "run.json").read_text())
    assert (record["names"], record["parts"]) == (["car", "tree", "mug", "dog"], [3, 1])


def test_adding__again_reuses_everything(tiny, extended) -> None:
    folder, _, _ = extended
    assert all(stage["reused"] for stage in run(tiny, folder, "car, tree, mug, dog"))


def test_adding__fewer_names_are_another_run(tiny, extended) -> None:
    folder, _, _ = extended
    with pytest.raises(WorkspaceError, match="names"):
        run(tiny, folder, "car, tree")


def test_parts__new_names_are_the_last_part() -> None:
    wanted = Names(("d", "b", "a", "c"), (("dd",), (), (), ()), against=((), ("x",), (), ()))
    found = {"names": ["a", "b", "c"], "parts": [2, 1]}
    assert parts_of(found, wanted) == [
        Names(("a", "b"), against=((), ("x",))),
        Names(("c",)),
        Names(("d",), (("dd",),)),
    ]
    assert parts_of({"names": ["a"]}, Names(("a",))) == [Names(("a",))]
    assert parts_of({"names": ["a", "z"]}, wanted) == parts_of({}, wanted) == [wanted]


@pytest.mark.parametrize("moved", [(), ("segmenter",), ("segmenter", "teacher")])
def test_make_room__goes_on_where_it_was_killed(tmp_path: Path, moved: tuple[str, ...]) -> None:
    kept = tmp_path / "earlier" / "1-names"
    places = {"segmenter": kept, "teacher": kept / "teacher", "labels": kept / "labels"}
    for stage, place in places.items():
        folder = place if stage in moved else tmp_path / stage
        folder.mkdir(parents=True)
        (folder / f"{stage}.txt").write_text(stage)
    make_room(tmp_path, {"names": ["a"]}, [Names(("a",)), Names(("b",))])
    assert {stage: (place / f"{stage}.txt").read_text() for stage, place in places.items()} == {
        stage: stage for stage in places
    }
    assert [each.name for each in tmp_path.iterdir()] == ["earlier"]


def test_adding__report_and_web_page_show_all_names(extended) -> None:
    folder, _, _ = extended
    page = render_report(folder)
    for stage in ("index", "archives", "added/01/archives", "added/01/masks/experts", "joined/masks", "segmenter"):
        assert f"<b>{stage}</b>" in page
    assert (
        page.index("<b>added/01/archives</b>") < page.index("<b>masks/saliency</b>") < page.index("<b>joined/masks</b>")
    )
    browser, curator = Browser(folder), Curator(folder, allowed=True)
    for name in ("car", "tree", "mug", "dog"):
        assert f'alt="{name}"' in page.partition("<h2>Pseudo-masks")[0]
        assert "data-choice" in curator.tiles(name, ORDERS[0], 1)
    assert "mask 0." in curator.tiles("dog", ORDERS[1], 1)
    assert curator.tiles("cat", ORDERS[0], 1) == WITHOUT_ARCHIVES
    every = [row for each in archives_of(folder) for row in rows(open_archives(each)).to_pylist()]
    assert len(browser.examples()) == len({row["image_id"] for row in every if row["rank"] == 1}) > 1


def quick(tiny, out: Path, names: str, *config: str, images: Path | None = None, **more) -> list[str]:
    """A run without experts; the stages that were made, in order."""
    overrides = [part for part in tiny.options(out) if "=" in part]
    done = namesake.run(
        "namedmask",
        names=names,
        images=images or tiny.images,
        out=out,
        preset="mini",
        config=(*overrides, "experts.iterations=0", *config),
        **more,
    )
    return [stage["name"] for stage in done.stages if not stage["reused"]]


def test_adding__refused_leaves_the_run_as_it_was(tiny, tmp_path: Path) -> None:
    every = "archives.images_per_name=20"
    quick(tiny, tmp_path / "run", "car, tree", every)
    before = digests(tmp_path / "run" / "segmenter")
    with pytest.raises(ImagesError, match=r"no image is left for mug: .*--append"):
        quick(tiny, tmp_path / "run", "car, tree, mug", every)
    assert digests(tmp_path / "run" / "segmenter") == before
    assert quick(tiny, tmp_path / "run", "car, tree", every) == []


def test_adding__stopped_before_they_are_together(tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick(tiny, tmp_path / "run", "car, tree")
    assert quick(tiny, tmp_path / "run", "car, tree, mug", until="archives") == []
    assert "nothing is made yet of mug" in capsys.readouterr().err
    assert namesake.load(tmp_path / "run").names.names == ("car", "tree")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["names"] == ["car", "tree"]
    quick(tiny, tmp_path / "run", "car, tree, mug")
    assert namesake.load(tmp_path / "run").names.names == ("car", "tree", "mug")
    assert namesake.load(tmp_path / "run" / "earlier" / "2-names").names.names == ("car", "tree")
    # made anew, nothing of what joined is left
    quick(tiny, tmp_path / "run", "tree, dog", overwrite=True)
    assert not [each for each in ("joined", "added", "earlier") if (tmp_path / "run" / each).exists()]


def test_adding__before_anything_depends_on_the_names_they_are_one_part(tiny, tmp_path: Path) -> None:
    quick(tiny, tmp_path / "run", "car", until="index")
    quick(tiny, tmp_path / "run", "car, tree", until="archives")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["parts"] == [2]
    assert open_archives(tmp_path / "run" / "archives").names.names == ("car", "tree")


def test_run__goes_on_where_its_images_moved(tiny, tmp_path: Path) -> None:
    shutil.copytree(tiny.images, tmp_path / "photos")
    quick(tiny, tmp_path / "run", "car, tree", images=tmp_path / "photos", until="archives")
    (tmp_path / "photos").rename(tmp_path / "pictures")
    made = quick(tiny, tmp_path / "run", "car, tree", images=tmp_path / "pictures")
    assert made == ["masks/saliency", "segmenter"]


def test_append__other_options_are_refused_as_ever(tiny, tmp_path: Path) -> None:
    quick(tiny, tmp_path / "run", "car, tree")
    with pytest.raises(WorkspaceError, match="images_per_name"):
        quick(tiny, tmp_path / "run", "car, tree", "archives.images_per_name=4", append=True)
    assert quick(tiny, tmp_path / "run", "car, tree", append=True) == []
