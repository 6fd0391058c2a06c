"""Stages that put a training-free segmenter together from names and encoders.

The baselines of NamedMask (section 4.3 and Tables 5 to 9): MaskCLIP, ReCo, and a saliency mask that CLIP names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from namesake.encoders import load_clip
from namesake.errors import ConfigError
from namesake.masks.references import References
from namesake.masks.region_labels import KINDS, PUBLISHED, Kind
from namesake.masks.regions import RegionsConfig, load_region_namer
from namesake.names.doubts import doubt
from namesake.names.prompts import TEMPLATES, embed
from namesake.names.words import words_of
from namesake.networks.selfmask import load_selfmask, read_saliency_card
from namesake.records import ModelCard, Names, Regime
from namesake.segmenter.maskclip import MASKCLIP, TEXTS
from namesake.segmenter.reco import REFERENCE_MAPS, VECTORS
from namesake.segmenter.regions import REGIONS
from namesake.segmenter.saliency_clip import SALIENCY_CLIP
from namesake.segmenter.settings import (
    SegmenterFolder,
    Settings,
    open_segmenter,
    write_settings,
    write_weights,
)
from namesake.workspace import stage


@stage("segmenter", opens=open_segmenter, assembles=True, models=lambda clip: (clip,))
def build_maskclip(
    out: Path,
    names: Names,
    *,
    clip: str,
    threshold: float | None = 0.25,
    logit_scale: float = 100.0,
    resize_shorter: int | None = None,
    prompt_denoising: float = 0.0,
    key_smoothing: float = 0.0,
    templates: Sequence[str] = TEMPLATES,
    device: str = "auto",
) -> SegmenterFolder:
    """Make a segmenter that compares CLIP's patch features with the names (MaskCLIP).

    Args:
        out: Folder of the segmenter.
        names: Names to segment.
        clip: Source of the encoder.
        threshold: Pixels whose highest probability is lower become background (NamedMask's comparison, tuned there on
            VOC2012's training set); None to give them to the names' background words instead (ZUTIS's comparison).
        logit_scale: Scale of the cosines in the softmax; the published CLIPs' is 100.
        resize_shorter: Shorter side that images are resized to; None keeps theirs.
        prompt_denoising: Leave out words that are nowhere in the image surer than this; 0 leaves none out.
        key_smoothing: Let patches that are no surer than this take over what like patches say; 0: none.
        templates: Prompts that a name's text embedding is averaged over.
        device: "auto", "cpu" or "cuda".

    Returns:
        The segmenter, with the count `names`.

    Raises:
        WeightsError: The encoder cannot be loaded.
    """
    encoder = load_clip(clip, device=device)
    texts, labels = embed(names, encoder, templates), list(range(1, len(names) + 1))
    doubt(names.names, texts, encoder, encoder=clip, templates=templates)
    if threshold is None:
        texts = np.concatenate([encoder.embed_names(names.background, templates), texts])
        labels = [0] * len(names.background) + labels
    facts = {
        "clip": clip,
        "labels": labels,
        "logit_scale": logit_scale,
        "threshold": threshold,
        "resize_shorter": resize_shorter,
    }
    facts |= {"prompt_denoising": prompt_denoising, "key_smoothing": key_smoothing}
    return _write(MASKCLIP, names, texts, facts, models=(encoder.card,), out=out)


@stage("segmenter", opens=open_segmenter, assembles=True, models=lambda clip, saliency: (clip, saliency))
def build_saliency_clip(
    out: Path,
    names: Names,
    *,
    clip: str,
    saliency: str,
    bilateral_solver: bool = True,
    logit_scale: float = 100.0,
    templates: Sequence[str] = TEMPLATES,
    device: str = "auto",
) -> SegmenterFolder:
    """Make a segmenter that finds the salient object and lets CLIP name it from the whole image.

    Args:
        out: Folder of the segmenter.
        names: Names to segment.
        clip: Source of the encoder.
        saliency: Source of the saliency network.
        bilateral_solver: Draw the masks to the image's edges.
        logit_scale: Scale of the cosines in the softmax that gives the confidence.
        templates: Prompts that a name's text embedding is averaged over.
        device: "auto", "cpu" or "cuda".

    Returns:
        The segmenter, with the count `names`.

    Raises:
        WeightsError: The encoder or the saliency network cannot be loaded.
    """
    encoder = load_clip(clip, device=device)
    load_selfmask(saliency, device="cpu")  # what is missing is said now, not at the first image
    facts = {
        "clip": clip,
        "saliency": saliency,
        "bilateral_solver": bilateral_solver,
        "logit_scale": logit_scale,
    }
    models, texts = (encoder.card, read_saliency_card(saliency)), embed(names, encoder, templates)
    doubt(names.names, texts, encoder, encoder=clip, templates=templates)
    return _write(SALIENCY_CLIP, names, texts, facts, models=models, out=out)


@stage("segmenter", opens=open_segmenter, assembles=True, models=lambda config: (config.clip, config.mask_model))
def build_named_regions(
    out: Path, names: Names, *, kind: Kind, config: RegionsConfig = PUBLISHED, device: str = "auto"
) -> SegmenterFolder:
    """Make a segmenter of FMbSeg's first stage.

    Args:
        out: Folder of the segmenter.
        names: Names to segment.
        kind: "prompted" (stage 1.1) or "automatic" (stage 1.2).
        config: How masks are named.
        device: "auto", "cpu" or "cuda".

    Raises:
        WeightsError: An encoder cannot be loaded.
        ConfigError: There is no such kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}.")
    words, labels = words_of(names)
    namer = load_region_namer(words, config, device=device)
    namer.doubt(labels, encoder=config.clip)
    facts = {"kind": kind, **asdict(config)}
    return _write(
        REGIONS, names, namer.texts.cpu().numpy(), facts, models=(namer.clip.card, namer.source.card), out=out
    )


@stage("segmenter", opens=open_segmenter, assembles=True, models=lambda clip: (clip,))
def build_reference_maps(
    out: Path,
    references: References,
    names: Names,
    *,
    clip: str,
    threshold: float | None = 0.9,
    logit_scale: float = 100.0,
    resize_shorter: int | None = None,
    language: bool = True,
    device: str = "auto",
) -> SegmenterFolder:
    """Make a segmenter that compares patches with what each name's images share (ReCo).

    Args:
        out: Folder of the segmenter.
        references: One a name.
        names: The same names.
        clip: Source of the CLIP that attends to the names.
        threshold: Pixels whose highest probability is lower become background; None for no background.
        logit_scale: Scale of the scores in the softmax that gives the probability.
        resize_shorter: Shorter side that images are resized to; None keeps theirs.
        language: Multiply the maps by how far CLIP takes each pixel for the name.
        device: "auto", "cpu" or "cuda".

    Raises:
        WeightsError: The CLIP cannot be loaded.
    """
    encoder = load_clip(clip, device=device)
    facts = {
        "dino": references.encoder,
        "block": references.block,
        "clip": clip if language else "",
        "threshold": threshold,
        "logit_scale": logit_scale,
        "resize_shorter": resize_shorter,
    }
    models = tuple(dict.fromkeys((*references.models, encoder.card)))
    weights = {VECTORS: torch.from_numpy(references.vectors)}
    texts = embed(names, encoder)
    return _write(REFERENCE_MAPS, names, texts, facts, models=models, out=out, regime=Regime.NAME_ONLY, weights=weights)


def _write(
    kind: str,
    names: Names,
    texts: Float[ndarray, "words dim"],
    facts: dict[str, Any],
    *,
    models: tuple[ModelCard, ...],
    out: Path,
    regime: str = Regime.ZERO_SHOT,
    weights: Mapping[str, Tensor] = MappingProxyType({}),
) -> SegmenterFolder:
    write_weights({TEXTS: torch.from_numpy(texts), **weights}, out)
    write_settings(Settings(kind, names, architecture=facts, preprocessing=None, models=models, regime=regime), out)
    return open_segmenter(out)
