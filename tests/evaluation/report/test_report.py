import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from namesake.errors import DataError, WorkspaceError
from namesake.evaluation import evaluate, open_benchmark
from namesake.evaluation.report import render_report, write_report
from namesake.evaluation.trust_run import trust_run
from namesake.images import open_images
from namesake.prediction import predict_folder
from namesake.records import Names

HOSTILE = Names(("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "x' onload='alert(1)"))


class Page(HTMLParser):
    """Tags with their attributes, and all text outside of the style."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self._inside = [], "", []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside.append(tag)

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self._inside:
            self.text += data

    def headings(self):
        return [tag for tag, _ in self.tags if tag in {"h2", "h3"}]

    def pictures(self):
        return [attributes for tag, attributes in self.tags if tag == "img"]


@pytest.fixture
def run(make_run, photos, tmp_path):
    return make_run(tmp_path / "run", photos, Names(("red", "green")))


def evaluated(run, scenes, colour_segmenter):
    segmenter = colour_segmenter(Names(("red", "green")), {1: 1, 2: 2}, mistakes=12)
    return evaluate(segmenter, open_benchmark("folder", scenes), out=run / "evaluation")


def test_page__tells_what_ran(run):
    path = write_report(run)
    assert path == run / "report" / "index.html"
    page = Page(path)
    for words in ("namedmask", "preset mini", "red", "masks/saliency", "9 images", "namesake run <here>"):
        assert words in page.text
    assert "Supervision tier M" in page.text
    assert re.search(r"a SAM\s*hub/sam\s*Apache-2\.0\s*M", page.text)
    assert "Fewer images than asked for" in page.text
    assert "Scores on" not in page.text
    assert len(page.pictures()) == 2 + 9


def test_page__needs_no_other_file(run, scenes, colour_segmenter):
    evaluated(run, scenes, colour_segmenter)
    page = Page(write_report(run))
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed"}
        for attribute in ("src", "href", "srcset", "background"):
            assert attributes.get(attribute, "data:").startswith(("data:", "#"))
    assert "url(" not in (run / "report" / "index.html").read_text()
    for picture in page.pictures():
        content = base64.b64decode(picture["src"].removeprefix("data:image/jpeg;base64,"))
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (int(picture["width"]), int(picture["height"]))


def test_page__scores_and_examples(run, scenes, colour_segmenter):
    scores = evaluated(run, scenes, colour_segmenter)
    page = Page(write_report(run))
    assert f"{scores.mean_iou_over_dataset:.1f}" in page.text
    for iou in scores.iou_per_name.values():
        assert f"{iou:.1f}" in page.text
    assert "Counted as background, because the system has no name for them: blue sky" in page.text
    assert "What is most often taken for what" in page.text
    assert len(page.pictures()) == 2 + 9 + 6
    table = page.text[page.text.index("Scores on") :]
    places = [table.index(f"{iou:.1f}") for iou in sorted(scores.iou_per_name.values(), reverse=True)]
    assert places == sorted(places)


def test_page__trust_and_how_well_it_ranks(run, scenes, colour_segmenter):
    segmenter = colour_segmenter(Names(("red", "green", "blue sky")), {1: 1, 2: 2}, mistakes=12, unsure=10)
    _, quality = trust_run(segmenter, open_benchmark("folder", scenes), out=run / "trust")
    page = write_report(run).read_text(encoding="utf-8")
    assert "Found in no image: blue sky." in page
    assert f"images, by agreement {quality.images_by_agreement:.2f}" in page
    assert page.index("How far to trust it") < page.index("Images to look at first")


def test_page__names_are_inert(make_run, photos, tmp_path, scenes, colour_segmenter):
    run = make_run(tmp_path / "run", photos, HOSTILE)
    for number, word in enumerate(HOSTILE.names[:3]):
        (scenes / "images" / f"{number}.png").rename(scenes / "images" / f"{word.replace('/', '')}.png")
        (scenes / "masks" / f"{number}.png").rename(scenes / "masks" / f"{word.replace('/', '')}.png")
    (scenes / "names.json").write_text(
        '{"0": "background", "1": "<script>alert(1)</script>", "2": "{{ 7 * 7 }}", "3": "<b>stuff</b>"}'
    )
    evaluate(colour_segmenter(HOSTILE, {1: 2, 3: 1}), open_benchmark("folder", scenes), out=run / "evaluation")
    path = write_report(run)
    page = Page(path)
    for name in HOSTILE.names:
        assert name in page.text
    assert "<b>stuff</b>" in page.text
    assert "49" not in re.findall(r"\d+", page.text)
    for tag, attributes in page.tags:
        assert tag != "script"
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "img" or set(attributes) == {"src", "width", "height", "alt", "loading"}


def test_page__contents_lead_to_their_sections(run, scenes, colour_segmenter):
    evaluated(run, scenes, colour_segmenter)
    page = Page(write_report(run))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = [attributes["href"].removeprefix("#") for tag, attributes in page.tags if tag == "a"]
    assert {"summary", "scores-1", "archives", "masks", "cost"} <= {*links}
    assert {*links} <= ids


def test_page__precision_recall_and_matrix(run, scenes, colour_segmenter):
    evaluated(run, scenes, colour_segmenter)
    record = json.loads((run / "evaluation" / "scenes.json").read_text())
    counts = np.array(record["confusion_matrix"])
    text = Page(write_report(run)).text
    for place, name in enumerate(("background", "red", "green")):
        recall = 100 * counts[place, place] / counts[place].sum()
        precision = 100 * counts[place, place] / counts[:, place].sum()
        assert record["recall_per_name"][name] == pytest.approx(recall, abs=0.01)
        assert record["precision_per_name"][name] == pytest.approx(precision, abs=0.01)
        assert f"{recall:.1f}" in text
        assert f"{precision:.1f}" in text
    assert "red taken for green" in text or "green taken for red" in text or "taken for background" in text


def test_page__beside_a_run_that_truth_taught(run, scenes, colour_segmenter):
    evaluated(run, scenes, colour_segmenter)
    record = json.loads((run / "evaluation" / "scenes.json").read_text())
    oracle = run.parent / "oracle" / "evaluation"
    oracle.mkdir(parents=True)
    taught = record | {"annotation_regime": "trained on ground truth", "mean_iou_over_dataset": 87.6}
    (oracle / "scenes.json").write_text(json.dumps(taught))
    assert "87.6 % for oracle, which ground truth taught" in re.sub(r"\s+", " ", Page(write_report(run)).text)
    (oracle / "scenes.json").write_text(json.dumps(taught | {"names": ["red"]}))
    assert "87.6" not in Page(write_report(run)).text


def test_page__training_curve(run):
    (run / "segmenter").mkdir()
    lines = [json.dumps({"iteration": 20 * step, "loss": 3.25 / step}) for step in range(1, 1000)]
    (run / "segmenter" / "metrics.jsonl").write_text("\n".join(lines))
    page = Page(write_report(run))
    assert "How training went" in page.text
    (line,) = [attributes["points"] for tag, attributes in page.tags if tag == "polyline"]
    places = [tuple(map(float, place.split(","))) for place in line.split()]
    assert 100 < len(places) <= 300
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted(y for _, y in places)  # it falls, and y counts downwards
    (run / "segmenter" / "metrics.jsonl").write_text('{"iteration": 1, "loss": 1}\nnot json')
    assert "How training went" not in Page(write_report(run)).text


def test_page__ordinary_predictions_beside_the_least_trusted(run, photos, colour_segmenter):
    segmenter = colour_segmenter(Names(("red", "green")), {1: 1, 2: 2}, mistakes=12, unsure=10)
    trust_run(segmenter, photos, out=run / "trust")
    record = json.loads((run / "trust" / "trust.json").read_text())
    shown = [each["image"] for each in record["ordinary"]]
    assert (shown[0], shown[-1], len(shown)) == (photos.ids[0], photos.ids[-1], 8)
    text = Page(write_report(run)).text
    assert text.index("neither the best nor the worst") < text.index("Images to look at first")


def test_page__one_benchmark(run, scenes, colour_segmenter):
    evaluated(run, scenes, colour_segmenter)
    path = run / "evaluation" / "scenes.json"
    (run / "evaluation" / "other.json").write_text(path.read_text().replace('"scenes"', '"other"'))
    assert "Scores on other" in Page(write_report(run)).text
    assert "Scores on other" not in Page(write_report(run, benchmark="scenes")).text
    with pytest.raises(DataError, match="was not evaluated on 'voc'; it was on other, scenes"):
        write_report(run, benchmark="voc")


def test_page__predictions_without_truth(run, photos, colour_segmenter):
    predict_folder(run / "predictions", colour_segmenter(Names(("red", "green")), {1: 1}), photos)
    page = Page(write_report(run))
    assert "No ground truth was at hand" in page.text
    assert len(page.pictures()) == 2 + 9 + 8


def test_page__in_the_order_of_the_flow(run, photos, scenes, colour_segmenter):
    predict_folder(run / "predictions", colour_segmenter(Names(("red", "green")), {1: 1}), photos)
    evaluated(run, scenes, colour_segmenter)
    text = Page(write_report(run)).text
    parts = (
        "What was made",
        "How good it is",
        "How far to trust it",
        "Spread evenly over the images",
        "What is taken for what",
        "Archives: the images",
        "Pseudo-masks, from",
        "What it cost",
    )
    assert sorted(parts, key=text.index) == list(parts)
    assert "No ground truth was at hand" not in text


def test_page__what_it_cost(run):
    text = Page(write_report(run)).text
    manifests = [json.loads(path.read_text()) for path in run.rglob("manifest.json")]
    assert f"at most {max(each['peak_rss_mb'] for each in manifests)} MiB of memory" in text
    assert f"{sum(each['seconds'] for each in manifests):.1f} s of computing" in text
    index = run / "index" / "manifest.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"seconds": 3725.0}))
    assert "1 h 2 min of computing" in Page(write_report(run)).text


def test_render__writes_nothing(run):
    before = sorted(run.rglob("*"))
    page = render_report(run)
    assert sorted(run.rglob("*")) == before
    assert write_report(run).read_text() == page


def test_page__images_gone(run, photos):
    for image_id in photos.ids[:4]:
        photos.path(image_id).unlink()
    page = Page(write_report(run))
    assert "4 of those chosen are missing" in page.text
    assert len(page.pictures()) == 2 + 5


def test_page__many_large_pictures_stay_small(make_run, tmp_path):
    folder = tmp_path / "noise"
    folder.mkdir()
    for number in range(60):
        noise = np.random.default_rng(number).integers(0, 256, (128, 128, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((400, 400)).save(folder / f"{number:02d}.jpg")
    names = Names(tuple(f"name {number}" for number in range(60)))
    run = make_run(tmp_path / "run", open_images(folder), names)
    path = write_report(run)
    assert path.stat().st_size < 6_000_000
    assert "24 of 60 names are shown" in Page(path).text


def test_page__unfinished_run(make_run, photos, tmp_path):
    run = make_run(tmp_path / "run", photos, Names(("red",)))
    (run / "masks" / "saliency" / "manifest.json").unlink()
    page = Page(write_report(run))
    assert "masks/saliency" not in page.text
    assert "Archives" in page.text


def test_folder__no_run(tmp_path):
    with pytest.raises(WorkspaceError, match="holds no finished stage"):
        write_report(tmp_path)


def test_record__damaged(run):
    (run / "evaluation").mkdir()
    (run / "evaluation" / "world.json").write_text("{")
    with pytest.raises(DataError, match=r"world\.json is damaged"):
        write_report(run)
    (run / "evaluation" / "world.json").write_text("{}")
    with pytest.raises(DataError, match="no record of an evaluation"):
        write_report(run)
