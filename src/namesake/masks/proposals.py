"""Class-agnostic masks at points, or of a whole image, from SAM, a saliency network or DINO's patches.

All kinds answer the same two questions about an image that they have seen once, so what uses masks need not know who
draws them. Masks of SAM are tier M; those of the others, which no human mask had a part in, are tier S.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from namesake.encoders import AutomaticConfig, Masks, Precision, Sam, arithmetic, load_sam
from namesake.encoders.dino import Dino, load_dino
from namesake.encoders.sources import find, kind_of_source
from namesake.images.geometry import limit_longer_side
from namesake.masks.detect import input_side, shrink
from namesake.masks.nms import suppress
from namesake.masks.spectral import candidate_masks
from namesake.networks.selfmask import SelfMask, load_selfmask, read_saliency_card
from namesake.records import ModelCard
from namesake.shapes import ImageArray

CLUSTERS = (2, 3, 4, 6, 8)
CLUSTERED_SIDE = 512
"""Longer side in pixels that images are shrunk to before their patches are clustered; SelfMask's voting has it."""


class Proposals(Protocol):
    """What may be asked about one image."""

    def at_points(self, points: Float[ndarray, "prompts points 2"]) -> Masks:
        """One mask a prompt, whose points (x, y) in pixels lie on one thing, and how sure it is."""
        ...

    def all(self) -> Masks:
        """All masks, from the surest on."""
        ...


class MaskSource(NamedTuple):
    """Draws masks.

    Attributes:
        card: Name, source, licence and tier.
        look: Sees an image of any size; masks are of that size.
    """

    card: ModelCard
    look: Callable[[ImageArray], Proposals]


@final
class SamProposals:
    """What SAM says of one image, which it embeds once."""

    def __init__(self, sam: Sam, config: AutomaticConfig, image: ImageArray) -> None:
        self.sam, self.config, self.view = sam, config, sam.embed(image)

    def at_points(self, points: Float[ndarray, "prompts points 2"]) -> Masks:
        """The surest of SAM's three masks for each prompt."""
        return self.sam.at_points(self.view, points)

    def all(self) -> Masks:
        """Masks from a grid of points."""
        return self.sam.automatic(self.view, self.config)


@final
class SaliencyProposals:
    """What a saliency network says of one image: a probability map and an objectness a query."""

    def __init__(
        self,
        probs: Float[Tensor, "queries rows columns"],
        objectness: Float[Tensor, " queries"],
        size: tuple[int, int],
        config: AutomaticConfig,
    ) -> None:
        self.config, self.objectness = config, objectness.cpu().numpy()
        fine = functional.interpolate(probs[None], size=size, mode="bilinear", align_corners=False)[0]
        self.probs = fine.cpu().numpy()  # [queries, height, width]

    def at_points(self, points: Float[ndarray, "prompts points 2"]) -> Masks:
        """For each prompt the query whose probability at its points, times its objectness, is highest."""
        score = _mean_at(points, self.probs) * self.objectness[:, None]  # query, prompt
        best = score.argmax(axis=0)
        return Masks(self.probs[best] > 0.5, score[best, np.arange(len(best))].astype(np.float32))

    def all(self) -> Masks:
        """The masks of all queries, from the most object-like on, each once."""
        order = np.argsort(-self.objectness, kind="stable")
        masks = self.probs[order] > 0.5
        # without the empty ones, and without what is alike; all are of one label
        full = np.flatnonzero(masks.any(axis=(1, 2)))
        scores, same = self.objectness[order][full], np.zeros(len(full), dtype=np.int64)
        kept = full[suppress(masks[full], scores, same, overlap=self.config.box_nms_thresh, least=-np.inf)]
        return Masks(masks[kept], self.objectness[order][kept].astype(np.float32))


@final
class ClusterProposals:
    """The clusters of one image; how sure a mask is: its mean IoU with the most like one of another cut."""

    def __init__(self, masks: Bool[ndarray, "n height width"], config: AutomaticConfig) -> None:
        self.masks, self.config = masks, config
        flat = masks.reshape(len(masks), -1).astype(np.float32)  # [n, pixels]
        common, areas = flat @ flat.T, flat.sum(axis=1)
        self.overlap = common / np.maximum(areas[:, None] + areas - common, 1)  # [n, n], IoU
        cut = np.repeat(np.arange(len(CLUSTERS)), CLUSTERS)  # [n], which cut a mask is of
        # [n, cuts]: the IoU with the most like mask of each cut, of which its own does not count
        other = np.stack([self.overlap[:, cut == each].max(axis=1) for each in range(len(CLUSTERS))], axis=1)
        other[np.arange(len(masks)), cut] = 0
        self.scores = (other.sum(axis=1) / (len(CLUSTERS) - 1)).astype(np.float32)

    def at_points(self, points: Float[ndarray, "prompts points 2"]) -> Masks:
        """For each prompt the mask with most of its points; of equals the surest."""
        within = _mean_at(points, self.masks)  # mask, prompt
        # the scores are so small here that they only decide between equals
        best = (within + self.scores[:, None] * 1e-3).argmax(axis=0)
        return Masks(self.masks[best], self.scores[best])

    def all(self) -> Masks:
        """All masks, from the surest on, each once."""
        kept: list[int] = []
        for i in np.argsort(-self.scores, kind="stable"):
            if self.masks[i].any() and (self.overlap[i, kept] <= self.config.box_nms_thresh).all():
                kept.append(int(i))
        return Masks(self.masks[kept], self.scores[kept])


def load_masks_from(
    source: str, config: AutomaticConfig, *, device: str = "auto", precision: Precision = "no"
) -> MaskSource:
    """Load what draws masks.

    Args:
        source: SAM or SAM 2 (hub id, folder, `embedded:sam`), or a saliency network (file, folder,
            `embedded:saliency`), or DINO (its patches are clustered).
        config: Settings of finding all masks of an image; without a SAM `box_nms_thresh` alone counts, of the masks
            themselves.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, "bf16", "fp16", or "int8" on the CPU; see `encoders.Precision`.

    Raises:
        WeightsError: Files are missing or damaged.
    """
    if draws_saliency(source):
        network = load_selfmask(source, device=device)
        return MaskSource(read_saliency_card(source), partial(_see_saliency, network, config, precision))
    if kind_of_source(source) == "dino":
        encoder = load_dino(source, device=device, precision=precision)
        return MaskSource(encoder.card, partial(_see_clusters, encoder, config))
    sam = load_sam(source, device=device, precision=precision)
    return MaskSource(sam.card, partial(SamProposals, sam, config))


@torch.inference_mode()
def _see_saliency(
    network: SelfMask, config: AutomaticConfig, precision: Precision, image: ImageArray
) -> SaliencyProposals:
    small = shrink(image, side=input_side(network))
    device = network.query_embed.device
    with arithmetic(device, precision=precision):
        found = network(network.config.preprocessing.normalise([small]).to(device))
    return SaliencyProposals(
        found.mask_probs[0].float(), found.objectness[0].float().sigmoid(), image.shape[:2], config
    )


@torch.inference_mode()
def _see_clusters(encoder: Dino, config: AutomaticConfig, image: ImageArray) -> ClusterProposals:
    """Clusters of patches: things and stuff, one beside the other.

    SelfMask, https://arxiv.org/abs/2203.12614, section 3.2, with more clusters: an image is cut into 2, 3, ... parts,
    and every part is a mask.
    """
    small = limit_longer_side(image, side=CLUSTERED_SIDE)
    x = encoder.preprocessing.fit_patches([small], patch=encoder.patch_size)
    features = encoder.patch_features(x.to(encoder.device))
    masks = candidate_masks(features, clusters=CLUSTERS)[0].float()[None]  # [1, n, fine_rows, fine_columns]
    fine = functional.interpolate(masks, size=image.shape[:2], mode="bilinear", align_corners=False)[0] > 0.5
    return ClusterProposals(fine.cpu().numpy(), config)


def _mean_at(
    points: Float[ndarray, "prompts points 2"], maps: Shaped[ndarray, "n height width"]
) -> Float[ndarray, "n prompts"]:
    """Mean of each map over the points (x, y) of each prompt; points outside count at the border."""
    height, width = maps.shape[1:]
    columns = np.clip(points[..., 0].astype(int), 0, width - 1)
    rows = np.clip(points[..., 1].astype(int), 0, height - 1)
    # [n, prompts, points] before the mean
    mean: Float[ndarray, "n prompts"] = maps[:, rows, columns].mean(axis=-1)
    return mean


def draws_saliency(source: str) -> bool:
    """Whether a source is a saliency network: by its name, its own configuration, or because it is one file."""
    path = find(source).path
    one_file = source.endswith((".pt", ".pth")) if path is None else path.is_file()
    return one_file or kind_of_source(source) == "saliency"
