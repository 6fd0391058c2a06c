"""Turn a published checkpoint into a run folder, as if it had been trained here.

`predict`, `evaluate` and `export` take the run; one of SelfMask holds a saliency network for other runs.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from namesake.encoders.cards import card_of, read_card
from namesake.encoders.download import digest_of
from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.weights import read_state
from namesake.errors import ConfigError, NamesError, unknown
from namesake.names import read_names
from namesake.networks import DeepLab, QuerySegmenter, SelfMask
from namesake.networks.selfmask import save_selfmask
from namesake.official.load import KINDS, Kind, load_official
from namesake.records import Artifact, ModelCard, Names
from namesake.segmenter import OpenVocabulary, Segmenter, SegmenterFolder, Settings, deeplab, open_segmenter, query
from namesake.segmenter.deeplab import ClosedSet
from namesake.segmenter.words import TextSide
from namesake.systems.record import claim, write_record
from namesake.systems.runs import Run
from namesake.training.selfmask import SaliencyModel, open_saliency
from namesake.workspace import Stage, Workspace, stage

NEVER = -1e4
"""Logit of background where a checkpoint has none; in float16 too it is a number."""
CLIP_OF_PATCH: Mapping[int, str] = MappingProxyType(
    {16: "openai/clip-vit-base-patch16", 32: "openai/clip-vit-base-patch32"}
)
TEACHERS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        "selfmask": ("facebook/dino-vits8",),
        "namedmask": ("openai/clip-vit-large-patch14-336", "selfmask_nq20.pt", "Ramos-Ramos/dino-resnet-50"),
        "zutis": ("openai/clip-vit-large-patch14-336", "selfmask_nq20.pt"),
    }
)
"""What the papers made the checkpoints from; their licences go with the run."""


@dataclass(frozen=True)
class Checkpoint:
    """A published file: its kind, where it lies, and the digest of its content."""

    kind: Kind
    path: str
    sha256: str


def convert(
    file: str | Path,
    *,
    kind: Kind,
    out: str | Path,
    names: Names | str | Path | None = None,
    clip: str | None = None,
    overwrite: bool = False,
) -> Run:
    """Turn a published checkpoint into a run.

    Args:
        file: Written by `torch.save`; see `load_official`.
        kind: "selfmask", "namedmask" (also its experts and ReCo+) or "zutis".
        out: The run folder.
        names: Names in label order, background left out; None for "selfmask" alone. A checkpoint with as many labels as
            names has no background: its first label is the first name, and no pixel becomes background (ReCo+).
        clip: For "zutis": the CLIP whose text side encodes the names; that of the published weights if None.
        overwrite: Replace a run made from something else.

    Raises:
        ConfigError: There is no such kind, or names or a CLIP are missing or of no use to it.
        NamesError: There are other than as many names as the checkpoint has labels.
        WeightsError: The checkpoint does not fit, or the CLIP is missing or does not fit.
        WorkspaceError: `out` holds something else.
    """
    if kind not in KINDS:
        raise ConfigError(unknown("kind of checkpoint", kind, KINDS))
    if (names is None) != (kind == "selfmask") or (clip is not None and kind != "zutis"):
        wants = {"selfmask": "no names", "namedmask": "names", "zutis": "names, and may take another CLIP"}[kind]
        raise ConfigError(f"a {kind} checkpoint takes {wants}; found names: {names}, CLIP: {clip}.")
    path, folder = Path(file), Path(out)
    words = Names(()) if names is None else read_names(names)
    keep: Stage[..., Artifact] = (
        _keep_saliency(path) if kind == "selfmask" else _keep_segmenter(path, kind, words, clip=clip)
    )
    checkpoint = Checkpoint(kind, str(path), digest_of(path))
    record = {
        "system": kind,
        "names": list(words.names),
        "preset": "published checkpoint",
        "config": asdict(checkpoint) | {"clip": clip},
        "images": "",
        "command": " ".join(sys.argv),
    }
    with Workspace(folder, overwrite=overwrite) as workspace:
        claim(folder, record, words, overwrite=overwrite)
        workspace.step(keep, checkpoint, words, clip=clip)
        write_record(folder, record, words)
    return Run(folder, workspace.stages)


def _keep_saliency(path: Path) -> Stage[..., SaliencyModel]:
    """The stage that writes a saliency network, which is loaded and checked already."""
    network = load_official("selfmask", path)
    assert isinstance(network, SelfMask)  # noqa: S101
    cards = _cards("selfmask", path)

    @stage("saliency", opens=open_saliency)
    def keep_saliency(out: Path, _checkpoint: Checkpoint, _names: Names, *, clip: None) -> SaliencyModel:  # noqa: ARG001
        save_selfmask(network, out)
        return SaliencyModel(out, counts={"queries": network.config.queries}, models=cards)

    return keep_saliency


def _keep_segmenter(path: Path, kind: Kind, names: Names, *, clip: str | None) -> Stage[..., SegmenterFolder]:
    """The stage that writes a segmenter, which is loaded and checked already."""
    build = _closed_set(path, names) if kind == "namedmask" else _open_vocabulary(path, names, clip=clip)

    @stage("segmenter", opens=open_segmenter)
    def keep_segmenter(out: Path, _checkpoint: Checkpoint, _names: Names, *, clip: str | None) -> SegmenterFolder:  # noqa: ARG001
        return build.save(out)

    return keep_segmenter


def _closed_set(path: Path, names: Names) -> Segmenter:
    state = read_state(path)
    network = load_official("namedmask", state)
    assert isinstance(network, DeepLab)  # noqa: S101
    if network.labels == len(names):
        network = load_official("namedmask", _with_background(state))
        assert isinstance(network, DeepLab)  # noqa: S101
    if network.labels != len(names) + 1:
        raise NamesError(
            f"{path} has {network.labels} labels, background among them, but there are {len(names)} names. Give "
            f"{network.labels - 1} names in the order of its labels (or {network.labels}, if it has no background)."
        )
    settings = Settings(
        deeplab.KIND, names, architecture=deeplab.architecture_of(network), models=_cards("namedmask", path)
    )
    return Segmenter(ClosedSet(network, preprocessing=IMAGENET, device=torch.device("cpu")), settings)


def _with_background(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same checkpoint with a label 0 that no pixel gets."""
    weight, bias = (state[f"classifier.classifier.3.{part}"] for part in ("weight", "bias"))
    return {
        **state,
        "classifier.classifier.3.weight": torch.cat([torch.zeros_like(weight[:1]), weight]),
        "classifier.classifier.3.bias": torch.cat([torch.full_like(bias[:1], NEVER), bias]),
    }


def _open_vocabulary(path: Path, names: Names, *, clip: str | None) -> Segmenter:
    state = read_state(path)
    joint = state["encoder.proj"].shape[-1:] if "encoder.proj" in state else ()
    network = load_official("zutis", state, text_embeddings=torch.ones(1, *joint))
    assert isinstance(network, QuerySegmenter)  # noqa: S101
    sizes = network.config.encoder
    source = clip or CLIP_OF_PATCH.get(sizes.patch)
    if source is None:
        raise ConfigError(f"no CLIP with patches of {sizes.patch} pixels is known here; name the one that {path} has.")
    predictor = OpenVocabulary(
        network,
        names,
        texts=TextSide(source, prompts="bare", joint=sizes.joint, device="cpu"),
        preprocessing=IMAGENET,
        device=torch.device("cpu"),
    )
    facts = query.architecture_of(predictor, clip=source, prompts="bare")
    card = card_of(source)
    models = (*_cards("zutis", path), card)
    return Segmenter(predictor, Settings(query.KIND, names, architecture=facts, models=models))


def _cards(kind: Kind, path: Path) -> tuple[ModelCard, ...]:
    """The checkpoint itself, and what its paper made it from."""
    teachers = (read_card(source, folder=Path(source)) for source in TEACHERS[kind])
    return ModelCard(name=path.stem, source=path.name), *teachers
