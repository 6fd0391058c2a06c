"""The careful reading against plain loops over windows and views; its weights; images of every size; the whole way."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from namesake.encoders import load_clip
from namesake.encoders.preprocess import IMAGENET
from namesake.errors import ConfigError
from namesake.images.geometry import resize
from namesake.masks.map_objects import map_objects
from namesake.names import embed
from namesake.names.prompts import TEMPLATES
from namesake.networks import DeepLab
from namesake.records import ModelCard, Names
from namesake.segmenter import CarefulConfig, Segmenter, load_segmenter
from namesake.segmenter.careful import (
    BACKGROUND_BIAS,
    SCALES,
    Careful,
    GivesLogits,
    by_label,
    fuse,
    look,
)
from namesake.segmenter.deeplab import ClosedSet
from namesake.segmenter.export.program import program_of
from namesake.segmenter.settings import Settings
from namesake.segmenter.windows import window_boxes, window_starts, window_weights

NAMES = Names(("mug", "chair", "car"))
SILENT = CarefulConfig(image_weight=0.0, window_weight=0.0, background_bias=0.0)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def clip():
    return load_clip("embedded:clip", device="cpu")


@pytest.fixture
def predictor(segmenter: Segmenter) -> GivesLogits:
    assert isinstance(segmenter.predictor, GivesLogits)
    return segmenter.predictor


def opinion(reader: Careful, image: np.ndarray, *, rows: int, columns: int) -> torch.Tensor:
    said = reader.cosines([image], rows=rows, columns=columns)
    config = reader.config
    weights = config.image_weight, config.window_weight, config.patch_weight
    return reader.opinion(said, range(len(reader.names)), weights)


def careful_of(segmenter: Segmenter, config: CarefulConfig, clip) -> Segmenter:
    return Segmenter(segmenter.predictor, segmenter.settings, careful=Careful(clip, segmenter.names, config=config))


def test_windows__a_plain_loop_over_windows_and_cells(clip) -> None:
    image, config = picture(48, 80), replace(SILENT, window_weight=0.7, window=0.5)
    reader = Careful(clip, NAMES, config=config)
    rows, columns = 12, 20
    found = opinion(reader, image, rows=rows, columns=columns)[0].numpy()
    texts = embed(NAMES, clip)
    total, weights = np.zeros((3, rows, columns)), np.zeros((rows, columns))
    boxes = window_boxes(48, 80, **config.windows)
    for top, left, side, _ in boxes:
        cosines = clip.embed_images([image[top : top + side, left : left + side]])[0] @ texts.T
        for row in range(rows):
            for column in range(columns):
                y, x = ((row + 0.5) * 4 - top) / side, ((column + 0.5) * 4 - left) / side
                if 0 < y < 1 and 0 < x < 1:
                    weight = np.sin(np.pi * y) ** 2 * np.sin(np.pi * x) ** 2
                    total[:, row, column] += weight * cosines
                    weights[row, column] += weight
    scaled = clip.logit_scale * total / weights
    expected = 0.7 * (scaled - np.log(np.exp(scaled).sum(axis=0)))
    assert len(boxes) == 3 * 6
    assert np.allclose(found, expected, atol=2e-4)


def test_image__the_softmax_of_its_own_embedding_everywhere(clip) -> None:
    image = picture(40, 40)
    reader = Careful(clip, NAMES, config=replace(SILENT, image_weight=0.5, logit_scale=20.0))
    said = opinion(reader, image, rows=3, columns=5)
    scaled = 20 * clip.embed_images([image])[0] @ embed(NAMES, clip).T
    expected = 0.5 * (scaled - np.log(np.exp(scaled).sum()))
    assert np.allclose(said[0].numpy(), expected[:, None, None] * np.ones((3, 5)), atol=1e-4)


def test_opinions_add_up_with_their_weights(clip) -> None:
    image, size = picture(40, 52), {"rows": 10, "columns": 13}
    voices = {"image_weight": 0.3, "window_weight": 0.9, "patch_weight": 0.4}
    alone = [opinion(Careful(clip, NAMES, config=replace(SILENT, **{key: 1.0})), image, **size) for key in voices]
    together = opinion(Careful(clip, NAMES, config=replace(SILENT, **voices)), image, **size)
    expected = sum(weight * each for weight, each in zip(voices.values(), alone, strict=True))
    assert torch.allclose(together, expected, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), bias=st.sampled_from([0.0, 0.5]))
def test_fuse__background_keeps_its_share_and_names_theirs_times_what_is_said(seed: int, bias: float) -> None:
    torch.manual_seed(seed)
    seen, said = torch.randn(2, 4, 3, 5).log_softmax(1), torch.randn(2, 3, 3, 5)
    found = fuse(seen, said, background_bias=bias).exp()
    names = seen[:, 1:].exp() * said.exp()
    names = names / names.sum(1, keepdim=True) * (1 - seen[:, :1].exp())
    assert torch.allclose(found[:, 1:], names, atol=1e-5)
    assert torch.allclose(found[:, 0], seen[:, 0].exp() * np.exp(-bias), atol=1e-6)
    if not bias:
        assert torch.allclose(found.sum(1), torch.ones(2, 3, 5), atol=1e-5)


@pytest.mark.parametrize(
    ("threshold", "wanted", "taken"),
    [(None, None, BACKGROUND_BIAS), (0.4, None, 0.0), (0.4, 0.25, 0.25), (None, 0.0, 0.0)],
)
def test_background_bias__none_where_names_have_a_threshold(
    segmenter: Segmenter, clip, threshold: float | None, wanted: float | None, taken: float
) -> None:
    network, image = segmenter.predictor.network, picture(40, 52)
    predictor = ClosedSet(network, preprocessing=IMAGENET, device=torch.device("cpu"), threshold=threshold)
    read = Careful(clip, segmenter.names, config=CarefulConfig(background_bias=wanted))
    unbiased = Careful(clip, segmenter.names, config=CarefulConfig(background_bias=0.0))
    found, plain = (each.log_probabilities(predictor, [image]) for each in (read, unbiased))
    assert torch.allclose(found[:, 0], plain[:, 0] - taken, atol=1e-6)
    assert torch.equal(found[:, 1:], plain[:, 1:])


def test_look__mean_of_plain_and_mirrored_passes_at_each_scale(predictor: GivesLogits, tiny_network: DeepLab) -> None:
    image = picture(32, 48)
    found = look(predictor, [image], owners=range(3), labels=3, scales=(1.0, 1.5), flip=True)
    views = []
    for scale in (1.5, 1.0):
        shown = resize(image, height=round(32 * scale), width=round(48 * scale))
        plain = predictor.logits([shown]).log_softmax(1)
        turned = predictor.logits([np.ascontiguousarray(shown[:, ::-1])]).log_softmax(1).flip(3)
        views += [
            torch.nn.functional.interpolate(each, size=(12, 18), mode="bilinear") if scale == 1 else each
            for each in (plain, turned)
        ]
    assert torch.allclose(found, torch.stack(views).mean(0), atol=1e-5)


@pytest.mark.parametrize(("enlarges", "scale"), [(False, 4 / 3), (True, 1.0)])
def test_scales__a_segmenter_that_enlarges_images_reads_them_so(
    segmenter: Segmenter, enlarges: bool, scale: float
) -> None:
    settings = replace(segmenter.settings, resize_longer=64, enlarge=enlarges)
    one = Segmenter(segmenter.predictor, settings)
    chosen = CarefulConfig(clip="embedded:clip")
    read = [one.read_carefully(config) for config in (chosen, replace(chosen, scales=(1.5,)))]
    assert [each.careful.scales for each in read if each.careful is not None] == [(scale,), (1.5,)]


def test_silent_reading_at_one_scale_is_the_fast_one(segmenter: Segmenter, clip) -> None:
    image = picture(37, 50)
    fast = segmenter.segment(image)
    careful = careful_of(segmenter, replace(SILENT, scales=(1.0,), flip=False), clip).segment(image)
    assert (careful.labels == fast.labels).mean() > 0.999
    assert np.allclose(careful.confidence, fast.confidence, atol=0.02)


def test_by_label__channels_with_one_label_together() -> None:
    logits = torch.randn(1, 4, 2, 2)
    found = by_label(logits, [1, 2, 2, 1], labels=4).exp()
    probabilities = logits.softmax(1)
    assert torch.allclose(found[:, 1], probabilities[:, 0] + probabilities[:, 3], atol=1e-6)
    assert float(found[:, 0].max()) < 1e-30
    assert float(found[:, 3].max()) < 1e-30


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    side=st.floats(0.05, 1.0),
    overlap=st.floats(0.25, 0.9),
)
def test_windows_cover_every_cell__any_size(height: int, width: int, side: float, overlap: float) -> None:
    config = CarefulConfig(window=side, window_overlap=overlap)
    tops, lefts, (tall, wide) = window_starts(height, width, **config.windows)
    for starts, length, pixels in ((tops, height, tall), (lefts, width, wide)):
        assert len(set(starts)) == len(starts)
        assert starts[0] == 0
        assert starts[-1] + pixels == length
        cells = max(1, length // 4)
        weights = window_weights(starts, side=pixels, length=length, cells=cells)
        assert torch.isfinite(weights).all()
        assert torch.allclose(weights.sum(0), torch.ones(cells), atol=1e-5)


@pytest.mark.parametrize(("height", "width", "most"), [(1, 2048, 63), (16, 2048, 63), (4000, 48, 63), (375, 500, 6)])
def test_window_starts__few_on_ribbons(height: int, width: int, most: int) -> None:
    assert len(window_boxes(height, width, **CarefulConfig().windows)) <= 2 * most
    assert len(window_starts(height, width, **CarefulConfig().windows)[int(width > height)]) <= most


def test_window_starts__square_images() -> None:
    for length in range(32, 129):
        tops, lefts, _ = window_starts(length, length, **CarefulConfig().windows)
        assert len(tops) == len(lefts) == 2, length
        assert len(window_starts(length, length, **CarefulConfig(window_overlap=0.75).windows)[0]) == 3, length


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (64, 3), (37, 50), (2, 700)])
def test_any_size(segmenter: Segmenter, clip, size: tuple[int, int]) -> None:
    found = careful_of(segmenter, CarefulConfig(), clip).segment(picture(*size))
    assert found.labels.shape == found.confidence.shape == size
    assert np.isfinite(found.confidence).all()
    assert 0 <= found.confidence.min() <= found.confidence.max() <= 1


def test_several_images_as_one_by_one(segmenter: Segmenter, clip) -> None:
    images = [picture(40, 40, 0), picture(24, 60, 1), picture(40, 40, 2)]
    reader = careful_of(segmenter, CarefulConfig(patch_weight=0.5), clip)
    for image, found in zip(images, reader.segment_many(images), strict=True):
        alone = reader.segment(image)
        assert (alone.labels == found.labels).mean() > 0.999
        assert np.allclose(alone.confidence, found.confidence, atol=1e-4)


@pytest.mark.parametrize("background", [(), ("floor", "wall")])
def test_names_that_the_network_never_saw_share_its_background(segmenter: Segmenter, clip, background) -> None:
    image, config = picture(40, 40), CarefulConfig()
    asked = Names(("sky", "park bench", "grass"), background=background)
    reader = Careful(clip, asked, config=config, known=Names(("dog", "park bench")))
    found = reader.log_probabilities(segmenter.predictor, [image])[0].exp()
    rows, columns = found.shape[1:]
    owners = (0, 0, 2)  # a dog is not asked for
    seen = look(segmenter.predictor, [image], owners=owners, labels=4, scales=SCALES, flip=True)[0].exp()
    nobody = seen[0] * np.exp(-BACKGROUND_BIAS)
    assert torch.allclose(found[2], seen[2], atol=1e-5)
    assert torch.allclose(found[[0, 1, 3]].sum(0), nobody, atol=1e-5)
    words = ("sky", "grass", *background)
    texts = torch.from_numpy(clip.embed_names(words, TEMPLATES))
    logits = clip.logit_scale * torch.einsum("rcd,wd->wrc", clip.dense([image])[0], texts)
    patches = torch.nn.functional.interpolate(logits[None], size=(rows, columns), mode="bilinear")[0].log_softmax(0)
    whole = (clip.logit_scale * torch.from_numpy(clip.embed_images([image])) @ texts.T)[0].log_softmax(0)
    others = Names(words[:2], background=()) if not background else Names(words)
    windows = opinion(
        Careful(clip, others, config=replace(SILENT, window_weight=1.0)), image, rows=rows, columns=columns
    )
    shares = (patches + 0.5 * whole[:, None, None] + 0.5 * windows[0]).softmax(0)
    assert torch.allclose(found[[1, 3]], nobody * shares[:2], atol=1e-4)
    if not background:
        assert float(found[0].max()) == 0


def test_threshold__of_names_that_the_network_knows_alone(segmenter: Segmenter, clip) -> None:
    image, asked = picture(40, 40), Names(("sky", "park bench", "grass"), background=())
    doubting = Segmenter(
        ClosedSet(segmenter.predictor.network, preprocessing=IMAGENET, device=torch.device("cpu"), threshold=0.999),
        replace(segmenter.settings, threshold=0.999),
    )
    reader = Careful(clip, asked, config=CarefulConfig(background_bias=0.5), known=Names(("dog", "park bench")))
    plain, found = (
        reader.predict(each.predictor, [image], height=40, width=40)[0].labels for each in (segmenter, doubting)
    )
    assert (plain == 2).any()
    assert not (found == 2).any()
    assert np.array_equal(found, np.where(plain == 2, 0, plain))


def test_other_names__only_with_care_where_the_network_is_closed(segmenter: Segmenter, clip) -> None:
    cards = (ModelCard("c", "embedded:clip"),)
    made = Segmenter(segmenter.predictor, replace(segmenter.settings, models=cards))
    with pytest.raises(ConfigError, match="careful"):
        made.with_names("dog, sky")
    reader = made.read_carefully().with_names("park bench, sky, dog")
    assert reader.careful.owners == (0, 3, 1)
    assert reader.careful.unseen == [1]
    again = reader.with_names(made.names)
    image = picture(40, 40)
    assert np.array_equal(again.segment(image).labels, made.read_carefully().segment(image).labels)
    assert reader.segment(image).labels.max() <= 3


def test_other_names__as_they_are_spelled_and_by_synonyms(segmenter: Segmenter, clip) -> None:
    known = Names(("dog", "park bench", "sofa"), synonyms=((), (), ("couch",)))
    asked = Names(("Sky", "Park_Bench", "couch", "hound"), synonyms=((), (), (), ("dog",)))
    reader = Careful(clip, asked, config=CarefulConfig(), known=known)
    assert reader.owners == (0, 4, 2, 3)
    assert (reader.seen, reader.unseen) == ([1, 2, 3], [0])


def test_other_names__are_nothing_that_can_be_kept(segmenter: Segmenter, tmp_path: Path) -> None:
    cards = (ModelCard("c", "embedded:clip"),)
    made = Segmenter(segmenter.predictor, replace(segmenter.settings, models=cards))
    reader = made.read_carefully()
    reader.save(tmp_path / "own")
    assert load_segmenter(tmp_path / "own", device="cpu").names == made.names
    asked = reader.with_names("park bench, sky, dog")
    for keep in (asked.save, asked.save_pretrained):
        with pytest.raises(ConfigError, match=r"park bench, sky, dog were asked for .* weights know"):
            keep(tmp_path / "asked")
    assert not (tmp_path / "asked").exists()
    again = asked.read_carefully(CarefulConfig(flip=False))
    assert again.careful is not None
    assert again.careful.owners == (0, 3, 1)
    with pytest.raises(ConfigError, match="one pass"):
        program_of(reader)


def test_cost__counted_exactly(segmenter: Segmenter, clip) -> None:
    reader = careful_of(segmenter, CarefulConfig(), clip)
    assert isinstance(segmenter.predictor, ClosedSet)
    calls = []
    segmenter.predictor.network.backbone.register_forward_hook(lambda _, x, __: calls.append(x[0].shape))
    reader.segment_many([picture(36, 36), picture(36, 36, 1), picture(36, 72)])
    spent = reader.careful.spent
    assert spent.images == 3
    assert spent.passes == sum(shape[0] for shape in calls) == 6
    pixels = sum(shape[0] * shape[2] * shape[3] for shape in calls) / (36 * 36 * 2 + 36 * 72)
    assert abs(spent.pixels - pixels) < 0.01
    assert spent.embedded == 4 + 4 + 2 * 5
    assert spent.dense == 0


def test_opened_with_the_clip_that_it_was_made_with(segmenter: Segmenter, tmp_path: Path) -> None:
    cards = (ModelCard("s", "embedded:saliency"), ModelCard("c", "embedded:clip"))
    made = Segmenter(segmenter.predictor, replace(segmenter.settings, models=cards))
    made.save(tmp_path / "segmenter")
    reader = load_segmenter(tmp_path, device="cpu").read_carefully()
    assert reader.careful is not None
    assert reader.careful.clip.card.source == "embedded:clip"
    assert reader.segment(picture(30, 30)).labels.shape == (30, 30)
    nothing = Segmenter(segmenter.predictor, replace(segmenter.settings, models=cards[:1]))
    with pytest.raises(ConfigError, match="is a CLIP"):
        nothing.read_carefully()


def test_what_cannot_be_read_carefully_is_refused(segmenter: Segmenter, clip) -> None:
    class Other:
        def predict(self, images, **size):
            return [None for _ in images] if size else []

        def weights(self):
            return {}

    settings = Settings("saliency_clip", segmenter.names)
    with pytest.raises(ConfigError, match="no logits"):
        Segmenter(Other(), settings, careful=Careful(clip, segmenter.names, config=CarefulConfig()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"scales": ()},
        {"scales": (0.0,)},
        {"window": 0.0},
        {"window_overlap": 1.0},
        {"window_overlap": 0.0},
        {"image_weight": -1.0},
    ],
)
def test_values_out_of_range(clip, wrong: dict) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Careful(clip, NAMES, config=replace(CarefulConfig(), **wrong))


def test_objects__an_option_and_of_the_names_asked_for(segmenter: Segmenter, clip) -> None:
    image = picture(48, 64)
    plain = careful_of(segmenter, CarefulConfig(), clip).segment(image)
    assert plain.instances is None
    found = careful_of(segmenter, CarefulConfig(objects=True), clip).segment(image)
    np.testing.assert_array_equal(found.labels, plain.labels)
    expected = map_objects(plain, image, segmenter.names)
    assert len(expected.labels) > 0
    np.testing.assert_array_equal(found.instances.masks, expected.masks)
    assert (found.instances.names, found.instances.scores) == (expected.names, expected.scores)


def test_open_vocabulary__objects_of_one_pass_and_other_names(query: Segmenter, tiny_clip: Path) -> None:
    image = picture(48, 40)
    reader = query.read_carefully()
    found, fast = reader.segment(image), query.segment(image)
    assert fast.instances is not None
    assert np.array_equal(found.instances.masks, fast.instances.masks)
    said = reader.careful.log_probabilities(query.predictor, [image])[0]
    texts = torch.from_numpy(embed(query.names, load_clip(str(tiny_clip), device="cpu")))
    assert torch.allclose(reader.careful.texts, texts)
    assert said.shape[0] == 3
    calls = reader.careful.spent.passes
    assert calls == 3  # two views, and one pass for the objects
    renamed = reader.with_names(["cat", "red", "park"])
    assert renamed.careful.names.names == ("cat", "red", "park")
    assert renamed.segment(image).labels.max() <= 3
    with pytest.raises(ConfigError, match="tiles"):
        Segmenter(query.predictor, query.settings, tile=16, careful=reader.careful)
