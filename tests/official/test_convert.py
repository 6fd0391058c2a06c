"""A converted checkpoint is a run: what it predicts is what the published network says."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from typer.testing import CliRunner

import namesake
from namesake.app.browse import Browser
from namesake.app.curate import Curator
from namesake.cli import app
from namesake.config import override
from namesake.encoders import load_clip
from namesake.encoders.preprocess import IMAGENET
from namesake.errors import ConfigError, NamesError, WeightsError, WorkspaceError
from namesake.evaluation.report import write_report
from namesake.networks import load_selfmask
from namesake.official import convert, load_official
from namesake.records import Names
from namesake.shapes import ImageArray
from namesake.systems.namedmask import Config

from .conftest import namedmask_state, selfmask_state, zutis_state


def normalised(photo: ImageArray) -> Tensor:
    return IMAGENET.normalise([photo])


def command(*arguments: object) -> dict:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@torch.inference_mode()
def test_namedmask__predict_is_the_networks_argmax(tmp_path: Path, photo: ImageArray) -> None:
    run, masks = tmp_path / "run", tmp_path / "masks"
    torch.save(namedmask_state(3), tmp_path / "file.pt")
    made = command("convert", tmp_path / "file.pt", "--kind", "namedmask", "--names", "dog, cat", "--out", run)
    assert made["run"] == str(run)
    (tmp_path / "images").mkdir()
    Image.fromarray(photo).save(tmp_path / "images" / "a.png")
    command("predict", run, tmp_path / "images", "--out", masks, "--device", "cpu")
    logits = load_official("namedmask", tmp_path / "file.pt")(normalised(photo))[0]
    found = np.asarray(Image.open(masks / "labels" / "a.png"))
    assert len(np.unique(found)) > 1
    assert (found == logits.argmax(dim=0).numpy()).mean() > 0.999
    facts = json.loads((run / "run.json").read_text())
    assert (facts["system"], facts["names"]) == ("namedmask", ["dog", "cat"])


@torch.inference_mode()
def test_reco_plus__as_many_labels_as_names(tmp_path: Path, photo: ImageArray) -> None:
    torch.save(namedmask_state(3), tmp_path / "file.pt")
    convert(tmp_path / "file.pt", kind="namedmask", names="road, sky, dog", out=tmp_path / "run")
    logits = load_official("namedmask", tmp_path / "file.pt")(normalised(photo))[0]
    found = namesake.load(tmp_path / "run", device="cpu").segment(photo)
    assert (found.labels == logits.argmax(dim=0).numpy() + 1).mean() > 0.999
    assert np.allclose(found.confidence, logits.softmax(dim=0).amax(dim=0).numpy(), atol=1e-4)


@torch.inference_mode()
def test_zutis__labels_objects_and_new_names(tmp_path: Path, photo: ImageArray, tiny_clip: Path) -> None:
    torch.save({"model": zutis_state()}, tmp_path / "file.pt")
    convert(tmp_path / "file.pt", kind="zutis", names="dog, cat", out=tmp_path / "run", clip=str(tiny_clip))
    texts = load_clip(str(tiny_clip), device="cpu").embed_names(["background", "dog", "cat"], ["{}"])
    network = load_official("zutis", tmp_path / "file.pt", text_embeddings=texts)
    found = network(normalised(photo))
    cosines = torch.einsum("brcd,wd->bwrc", found.tokens, network.texts)
    fine = functional.interpolate(cosines, size=photo.shape[:2], mode="bilinear", align_corners=False)[0]
    segmenter = namesake.load(tmp_path / "run", device="cpu")
    made = segmenter.segment(photo)
    assert (made.labels == fine.argmax(dim=0).numpy()).mean() > 0.999
    assert made.instances is not None
    assert segmenter.with_names("park bench").names.names == ("park bench",)
    assert {"MIT", "unknown"} <= {card.licence for card in segmenter.settings.models}


@torch.inference_mode()
def test_selfmask__the_run_is_a_saliency_network(tmp_path: Path, photo: ImageArray) -> None:
    torch.save(selfmask_state(10), tmp_path / "file.pt")
    run = convert(tmp_path / "file.pt", kind="selfmask", out=tmp_path / "run")
    expected = load_official("selfmask", tmp_path / "file.pt")(normalised(photo[:32, :32]))
    source = override(Config(), [f"saliency.network={run.folder}"]).saliency.network
    network = load_selfmask(source, device="cpu")
    assert torch.equal(network(normalised(photo[:32, :32])).mask_probs, expected.mask_probs)
    assert expected.mask_probs.std() > 1e-4
    assert network.config.preprocessing.shorter_side == 512
    # a run without names has a report and pages, too
    assert write_report(run.folder).is_file()
    assert Browser(run.folder).names == ()
    assert Curator(run.folder, allowed=True).names == Names(())


def test_again__is_reused_and_another_is_refused(tmp_path: Path) -> None:
    torch.save(namedmask_state(2), tmp_path / "expert.pt")
    convert(tmp_path / "expert.pt", kind="namedmask", names="dog", out=tmp_path / "run")
    again = convert(tmp_path / "expert.pt", kind="namedmask", names="dog", out=tmp_path / "run")
    assert [stage["reused"] for stage in again.stages] == [True]
    torch.save(namedmask_state(2) | {"backbone.bn1.bias": torch.ones(8)}, tmp_path / "expert.pt")
    with pytest.raises(WorkspaceError, match="overwrite"):
        convert(tmp_path / "expert.pt", kind="namedmask", names="dog", out=tmp_path / "run")
    convert(tmp_path / "expert.pt", kind="namedmask", names="dog", out=tmp_path / "run", overwrite=True)
    weights = namesake.load(tmp_path / "run", device="cpu").predictor.weights()
    assert torch.equal(weights["backbone.bn1.bias"], torch.ones(8))


@pytest.mark.parametrize("names", ["dog", "dog, cat, park, bench, red, sky"])
def test_wrong_number_of_names__says_how_many_and_leaves_no_run(tmp_path: Path, names: str) -> None:
    torch.save(namedmask_state(5), tmp_path / "file.pt")
    with pytest.raises(NamesError, match="has 5 labels"):
        convert(tmp_path / "file.pt", kind="namedmask", names=names, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_zutis__a_clip_of_another_width(tmp_path: Path, tiny_clip: Path) -> None:
    torch.save(zutis_state() | {"encoder.proj": torch.zeros(64, 12)}, tmp_path / "file.pt")
    with pytest.raises(WeightsError, match="trained with another CLIP"):
        convert(tmp_path / "file.pt", kind="zutis", names="dog", out=tmp_path / "run", clip=str(tiny_clip))


def test_zutis__published_clip_is_missing_and_named(tmp_path: Path) -> None:
    torch.save(zutis_state(patch=16), tmp_path / "file.pt")
    with pytest.raises(WeightsError, match="openai/clip-vit-base-patch16"):
        convert(tmp_path / "file.pt", kind="zutis", names="dog", out=tmp_path / "run")


@pytest.mark.parametrize(
    ("kind", "options"), [("selfmask", {"names": "dog"}), ("zutis", {}), ("namedmask", {"names": "dog", "clip": "x"})]
)
def test_options_that_a_kind_does_not_take(tmp_path: Path, kind: str, options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="checkpoint takes"):
        convert(tmp_path / "file.pt", kind=kind, out=tmp_path / "run", **options)
