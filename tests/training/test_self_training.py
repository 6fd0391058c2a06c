"""Objects that a segmenter finds on its own archives: the surest ones, from images that are not too large for it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.encoders import load_clip
from namesake.encoders.preprocess import IMAGENET
from namesake.images import open_images
from namesake.masks import rle
from namesake.masks.store import read_masks
from namesake.networks.zutis import QuerySegmenterConfig, query_segmenter_from
from namesake.records import Names
from namesake.segmenter.query import OpenVocabulary, QueryInference
from namesake.segmenter.words import TextSide
from namesake.training.self_training import find_own_objects
from tiny_models import write_clip


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> OpenVocabulary:
    """Random weights, in a CLIP of patches of 8 pixels."""
    folder = str(write_clip(tmp_path_factory.mktemp("models") / "clip"))
    clip = load_clip(folder, device="cpu")
    torch.manual_seed(9)
    sizes = QuerySegmenterConfig(queries=40, layers=1, heads=2, mlp_dim=16, hidden_dim=8)
    texts = TextSide(folder, prompts="bare", joint=10, device="cpu")
    return OpenVocabulary(
        query_segmenter_from(clip.model, config=sizes),
        Names(("cat", "dog", "red cat"), background=("park",)),
        texts=texts,
        preprocessing=IMAGENET,
        device=torch.device("cpu"),
        inference=QueryInference(nms=1.0),
    )


def write(folder: Path, name: str, height: int, width: int) -> None:
    coarse = np.random.default_rng(height).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    folder.mkdir(exist_ok=True)
    Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST).save(folder / name)


def test_own_objects__those_nearly_as_sure_as_the_surest(predictor: OpenVocabulary, tmp_path: Path) -> None:
    for number, (height, width) in enumerate(((40, 56), (64, 48))):
        write(tmp_path / "images", f"{number}.png", height, width)
    images = open_images(tmp_path / "images")
    found = list(
        read_masks(
            find_own_objects(predictor, images, out=tmp_path / "out", resize_longer=96, least_relative_score=0.97)
        )
    )
    expected = []
    for image_id in images.ids:
        image = np.asarray(Image.open(images.path(image_id)))
        (prediction,) = predictor.predict([image], height=image.shape[0], width=image.shape[1])
        objects = prediction.instances
        kept = [score >= 0.97 * objects.scores[0] for score in objects.scores]
        expected += [
            (image_id, label, mask.tobytes())
            for label, mask, keep in zip(objects.labels, objects.masks, kept, strict=True)
            if keep
        ]
    assert len(expected) > 0
    decoded = [(row.image_id, row.label, rle.decode(row.rle, row.height, row.width).tobytes()) for row in found]
    assert decoded == expected


def test_own_objects__large_images_are_shrunk_for_the_network(predictor: OpenVocabulary, tmp_path: Path) -> None:
    """As when the segmenter is used; a picture of 100 megapixels would not fit into memory."""
    write(tmp_path / "images", "long.png", 20, 900)
    seen: list[int] = []
    watched = predictor.network.encoder.conv1.register_forward_hook(
        lambda _, inputs, __: seen.append(inputs[0].shape[3])
    )
    made = find_own_objects(predictor, open_images(tmp_path / "images"), out=tmp_path / "out", resize_longer=320)
    watched.remove()
    assert seen == [320]
    assert all((row.height, row.width) == (20, 900) for row in read_masks(made))
