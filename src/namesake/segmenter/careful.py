"""Images of one size and a predictor in, predictions read with care out: several passes, and a CLIP that has a say.

The network sees the image enlarged and mirrored, and its log probabilities are averaged. To those of the names, given
that a pixel is of one of them, are added log probabilities of a CLIP: of overlapping windows and, if asked for, of the
whole image (its prior, the same for every pixel) and of patches. So CLIP says which name, and the network where; how
far a pixel is background stays the network's opinion, less a bias. Names that the network never saw (stuff, for one
that learned things) share what it takes for background, as CLIP says. It trains nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, final, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from namesake.config import Rule, check, option
from namesake.encoders import Clip, load_clip
from namesake.encoders.sources import kind_of_source
from namesake.errors import ConfigError
from namesake.images.geometry import crop, resize
from namesake.masks.map_objects import map_objects
from namesake.names.prompts import TEMPLATES, embed
from namesake.names.spelling import match_names
from namesake.records import Names, Prediction
from namesake.segmenter.classify import compare, decide
from namesake.segmenter.windows import window_boxes, window_starts, window_weights
from namesake.shapes import ImageArray

SCALES = (4 / 3,)
"""For images that a segmenter sees at their own size; one that enlarges images reads them so with care, too."""
BACKGROUND_BIAS = 0.5
"""Off background, for segmenters that name at any probability; those with a threshold ask for doubt, not for less."""


@dataclass(frozen=True)
class CarefulConfig:
    """How images are read with care; the weights were chosen on a world of a seed that no table reports."""

    clip: str = option(
        "", 'CLIP that has a say: hub id, folder or `embedded:clip`; "" for the one that the segmenter was made with.'
    )
    scales: tuple[float, ...] | None = option(
        None,
        "Factors on the image's sides, each a pass of the network; none: 4/3, or 1 if the segmenter enlarges images.",
        above=0,
    )
    flip: bool = option(True, "See every image mirrored, too: test-time augmentation, as `scales` is.")
    image_weight: float = option(
        0.0, "Weight of the whole image's log probabilities of the names; 0 for none.", at_least=0
    )
    unseen_image_weight: float = option(
        0.5, "The same where background is shared out among names that the network never saw.", at_least=0
    )
    window_weight: float = option(0.5, "Weight of the windows' log probabilities of the names; 0 for none.", at_least=0)
    window: float = option(2 / 3, "Side of a window, as a share of the image's shorter side.", above=0, at_most=1)
    window_overlap: float = option(
        0.5, "Share of its side that a window has in common with the next, at least.", at_least=0.25, below=1
    )
    patch_weight: float = option(0.0, "Weight of the patches' log probabilities of the names; 0 for none.", at_least=0)
    unseen_patch_weight: float = option(
        1.0, "The same where background is shared out among names that the network never saw.", at_least=0
    )
    logit_scale: float | None = option(
        None, "Scale of CLIP's cosines in its softmax; none: the one that it was trained with.", above=0
    )
    background_bias: float | None = option(
        None,
        "Taken from the log probability of background; none: 0.5, or 0 if the segmenter names by a threshold.",
    )
    objects: bool = option(False, "Find objects, too: connected pieces of the map, drawn to the image's edges.")

    @property
    def windows(self) -> dict[str, float]:
        """What says where windows lie: `share` and `overlap` of `windows.window_starts`."""
        return {"share": self.window, "overlap": self.window_overlap}

    def rules(self) -> tuple[Rule, ...]:
        """What options have to be together."""
        return (("scales", self.scales is None or bool(self.scales), "one factor or more, or none for the default"),)


DEFAULTS = CarefulConfig()


class Cost(NamedTuple):
    """What reading with care took.

    Attributes:
        images: Images that were read.
        passes: Passes of the segmenter's network.
        pixels: Pixels that it saw, as a factor on those of a fast reading.
        embedded: Pictures that CLIP embedded: images and windows.
        dense: Passes of CLIP over whole images for their patches.
    """

    images: int = 0
    passes: int = 0
    pixels: float = 0.0
    embedded: int = 0
    dense: int = 0

    def __str__(self) -> str:
        each = max(self.images, 1)
        return (
            f"read carefully: {self.passes / each:.1f} passes an image over {self.pixels:.1f} times the pixels of a "
            f"fast reading, and {(self.embedded + self.dense) / each:.1f} pictures an image for CLIP"
        )


class Cosines(NamedTuple):
    """Of texts with what CLIP sees, None where that has no weight; `size` is images, rows and columns."""

    image: Float[Tensor, "batch texts 1 1"] | None
    windows: Float[Tensor, "batch texts rows columns"] | None
    patches: Float[Tensor, "batch texts rows columns"] | None
    size: tuple[int, int, int]


@runtime_checkable
class GivesLogits(Protocol):
    """What a kind provides that can be read with care."""

    @property
    def labels(self) -> Sequence[int]:
        """Label of each channel of its logits; several may share one."""
        ...

    @property
    def threshold(self) -> float | None:
        """Probability below which a name that it knows is background; None for no such."""
        ...

    @property
    def passes_to_complete(self) -> int:
        """Further passes of the network that `complete` takes for an image."""
        ...

    def logits(self, images: Sequence[ImageArray], *, scale: float = 1.0) -> Float[Tensor, "batch channels _ _"]:
        """Logits of images of one size, which are seen `scale` times as large, on a grid that stands for the whole."""
        ...

    def complete(self, images: Sequence[ImageArray], read: Sequence[Prediction]) -> list[Prediction]:
        """What was read of images of one size, with what else the kind finds: objects, or the borders of masks."""
        ...


@final
class Careful:
    """Reads any predictor that gives logits.

    Args:
        clip: Has a say.
        names: Names to segment; the label of the i-th is i, counted from 1.
        config: Settings of the reading.
        known: Names of the predictor's labels, where those are others.

    Attributes:
        spent: Cost of all images read so far.

    Raises:
        ConfigError: A value is out of range.
    """

    def __init__(self, clip: Clip, names: Names, *, config: CarefulConfig, known: Names | None = None) -> None:
        check(config)
        self.clip, self.names, self.config, self.known = clip, names, config, known
        self.scales = SCALES if config.scales is None else config.scales
        self.owners = (0, *(range(1, 1 + len(names)) if known is None else owners_among(names, known)))
        self.seen = [place for place in range(len(names)) if place + 1 in self.owners]
        self.unseen = [place for place in range(len(names)) if place + 1 not in self.owners]
        self.scale = clip.logit_scale if config.logit_scale is None else config.logit_scale
        texts = [embed(names, clip)]
        if self.unseen and names.background:
            texts.append(clip.embed_names(names.background, TEMPLATES))
        self.texts = torch.from_numpy(np.concatenate(texts)).to(clip.device)
        self.spent = Cost()

    def with_names(self, names: Names) -> "Careful":
        """The same with other names."""
        return Careful(self.clip, names, config=self.config, known=self.known)

    def cost(self, predictor: GivesLogits, *, height: int, width: int) -> Cost:
        """What one image of height x width takes."""
        config, views, extra = self.config, 2 if self.config.flip else 1, predictor.passes_to_complete
        windows = len(window_boxes(height, width, **config.windows)) if config.window_weight else 0
        return Cost(
            images=1,
            passes=views * len(self.scales) + extra,
            pixels=views * sum(scale**2 for scale in self.scales) + extra,
            embedded=windows + self._sees_images,
            dense=int(self._sees_patches),
        )

    @property
    def _sees_images(self) -> bool:
        return bool(self.config.image_weight or (self.unseen and self.config.unseen_image_weight))

    @property
    def _sees_patches(self) -> bool:
        return bool(self.config.patch_weight or (self.unseen and self.config.unseen_patch_weight))

    @torch.inference_mode()
    def predict(
        self, predictor: GivesLogits, images: Sequence[ImageArray], *, height: int, width: int
    ) -> list[Prediction]:
        """Labels and confidence of height x width."""
        self._count(self.cost(predictor, height=images[0].shape[0], width=images[0].shape[1]), images=len(images))
        said = self.log_probabilities(predictor, images)
        # names that the network never saw take nothing from background that is doubtful as a name
        least, known = predictor.threshold, {place + 1 for place in self.seen}
        thresholds = None if least is None else [least * (label in known) for label in range(1 + len(self.names))]
        read = [decide(each, height=height, width=width, threshold=thresholds) for each in said]
        read = predictor.complete(images, read)
        return [self._with_objects(*each) for each in zip(read, images, strict=True)] if self.config.objects else read

    def _with_objects(self, read: Prediction, image: ImageArray) -> Prediction:
        """What was read, with objects where the predictor's kind finds none of its own."""
        if read.instances is not None:
            return read
        height, width = read.labels.shape
        same = image if image.shape[:2] == (height, width) else resize(image, height=height, width=width)
        return replace(read, instances=map_objects(read, same, self.names))

    @torch.inference_mode()
    def log_probabilities(
        self, predictor: GivesLogits, images: Sequence[ImageArray]
    ) -> Float[Tensor, "batch labels rows columns"]:
        """What network and CLIP say together: log probabilities of background and of each name, on the finest grid.

        They sum to 1 but for the bias, which is taken from background's. Where the network knows no background, that
        has the probability 0.
        """
        labels, config = len(self.names) + 1, self.config
        # names that the network knows: its own opinion, and CLIP's of how they share what is no background
        owners = [self.owners[label] for label in predictor.labels]
        seen = look(predictor, images, owners=owners, labels=labels, scales=self.scales, flip=config.flip)
        cosines = self.cosines(images, rows=seen.shape[2], columns=seen.shape[3])
        weights = config.image_weight, config.window_weight, config.patch_weight
        said = self.opinion(cosines, self.seen, weights).to(seen.device)
        known = [0, *(place + 1 for place in self.seen)]
        # fused [batch, 1 + names, rows, columns]: at first a probability of 0 everywhere
        fused = seen.new_full(seen.shape, torch.finfo(seen.dtype).min)
        bias = config.background_bias
        if bias is None:
            bias = BACKGROUND_BIAS if predictor.threshold is None else 0.0
        fused[:, known] = fuse(seen[:, known], said, background_bias=bias)
        if self.unseen:
            # names new to the network: CLIP divides background among them and the background words
            others = [*range(len(self.names), len(self.texts)), *self.unseen]
            weights = config.unseen_image_weight, config.window_weight, config.unseen_patch_weight
            shares = self.opinion(cosines, others, weights).log_softmax(dim=1)
            shared = fused[:, :1] + shares.to(seen.device)  # [batch, words + new names, rows, columns]
            words = len(self.texts) - len(self.names)
            fused[:, [place + 1 for place in self.unseen]] = shared[:, words:]
            fused[:, 0] = shared[:, :words].logsumexp(dim=1) if words else torch.finfo(seen.dtype).min
        return fused

    def cosines(self, images: Sequence[ImageArray], *, rows: int, columns: int) -> "Cosines":
        """How near each text is to the images as a whole, to their windows, and to their patches."""
        config = self.config
        patches = None
        if self._sees_patches:
            # found [batch, texts, _, _] on CLIP's own grid
            found = compare(self.clip.dense(images), self.texts, logit_scale=1.0)
            patches = functional.interpolate(found, size=(rows, columns), mode="bilinear")
        return Cosines(
            image=(self._embed(images) @ self.texts.T)[:, :, None, None] if self._sees_images else None,
            windows=self._windows(images, rows, columns) if config.window_weight else None,
            patches=patches,
            size=(len(images), rows, columns),
        )

    def opinion(
        self, cosines: "Cosines", chosen: Sequence[int], weights: tuple[float, float, float]
    ) -> Float[Tensor, "batch chosen rows columns"]:
        """CLIP's log probabilities of some of its texts, by image, windows and patches, with a weight each, summed."""
        images, rows, columns = cosines.size
        said = torch.zeros(images, len(chosen), rows, columns, device=self.clip.device)
        for weight, each in zip(weights, cosines[:3], strict=True):
            if weight and each is not None:
                said += weight * (self.scale * each[:, list(chosen)]).log_softmax(dim=1)
        return said

    def _windows(
        self, images: Sequence[ImageArray], rows: int, columns: int
    ) -> Float[Tensor, "batch texts rows columns"]:
        """Cosines of the windows around each cell, weighted by how near their centres are.

        Windows lie on a grid and the weight of a window is a product of one along each axis, so the weighted mean is
        that of rows of windows, then of columns.
        """
        height, width = images[0].shape[:2]
        tops, lefts, (tall, wide) = window_starts(height, width, **self.config.windows)
        boxes = window_boxes(height, width, **self.config.windows)
        # cosines [batch, tops, lefts, texts]: of all windows, image by image and row by row
        pictures = [np.ascontiguousarray(crop(image, box)) for image in images for box in boxes]
        cosines = (self._embed(pictures) @ self.texts.T).reshape(len(images), len(tops), len(lefts), -1)
        # weights along each axis: down [tops, rows], across [lefts, columns]
        down = window_weights(tops, side=tall, length=height, cells=rows).to(cosines.device)
        across = window_weights(lefts, side=wide, length=width, cells=columns).to(cosines.device)
        return torch.einsum("bijn,ir,jc->bnrc", cosines, down, across)  # [batch, texts, rows, columns]

    def _count(self, each: Cost, *, images: int) -> None:
        before, after = self.spent, self.spent.images + images
        self.spent = Cost(
            images=after,
            passes=before.passes + images * each.passes,
            pixels=(before.images * before.pixels + images * each.pixels) / max(after, 1),
            embedded=before.embedded + images * each.embedded,
            dense=before.dense + images * each.dense,
        )

    def _embed(self, pictures: Sequence[ImageArray]) -> Float[Tensor, "n dim"]:
        return torch.from_numpy(self.clip.embed_images(pictures)).to(self.clip.device)


def owners_among(names: Names, known: Names) -> list[int]:
    """The label among `names` of each name that a network knows, as both are spelled or by synonyms; 0 for none."""
    asked = match_names(dict(enumerate(known.names)), names).labels
    told = match_names(dict(enumerate(names.names)), known).labels  # by place among the names, a label of the network
    other = {label: place + 1 for place, label in reversed(told.items())}
    return [asked[place] or other.get(place + 1, 0) for place in range(len(known))]


def open_careful(
    names: Names, *, made_with: Sequence[str], config: CarefulConfig, device: str, known: Names | None = None
) -> Careful:
    """Load the CLIP that has a say.

    Args:
        names: Names to segment.
        made_with: Sources of the models that the segmenter was made with; the first CLIP among them is taken where the
            configuration names none.
        config: Settings of the reading.
        device: "auto", "cpu" or "cuda".
        known: Names of the segmenter's labels, where those are others.

    Raises:
        ConfigError: None of the models is a CLIP, and the configuration names none.
        WeightsError: The CLIP cannot be loaded.
    """
    source = config.clip or next((each for each in made_with if kind_of_source(each) == "clip"), "")
    if not source:
        raise ConfigError(
            f"no model that the segmenter was made with is a CLIP ({', '.join(made_with) or 'none is known'}), so none "
            "has a say. Name one: --config clip=SOURCE."
        )
    return Careful(load_clip(source, device=device), names, config=config, known=known)


def look(
    predictor: GivesLogits,
    images: Sequence[ImageArray],
    *,
    owners: Sequence[int],
    labels: int,
    scales: Sequence[float],
    flip: bool,
) -> Float[Tensor, "batch labels rows columns"]:
    """Mean log probability of each label over views of the images, on the grid of the largest view.

    Args:
        predictor: Sees them.
        images: Images of one size.
        owners: Label of each channel of its logits.
        labels: Background and names.
        scales: Factors on the images' sides.
        flip: Choice to see each view mirrored, too.
    """
    views: list[Tensor] = []
    for scale in sorted(scales, reverse=True):
        for turned in (False, True) if flip else (False,):
            shown = [np.ascontiguousarray(image[:, ::-1]) for image in images] if turned else images
            found = by_label(predictor.logits(shown, scale=scale).float(), owners, labels=labels)
            # mirrored back, and brought to the grid of the largest view, which comes first
            found = found.flip(3) if turned else found
            size = views[0].shape[2:] if views else found.shape[2:]
            same = found.shape[2:] == size
            views.append(found if same else functional.interpolate(found, size=size, mode="bilinear"))
    return torch.stack(views).mean(dim=0)


def by_label(
    logits: Float[Tensor, "batch channels rows columns"], owners: Sequence[int], *, labels: int
) -> Float[Tensor, "batch labels rows columns"]:
    """Log probability of each label: the channels with it together; a label without a channel has a tiny one."""
    said = logits.log_softmax(dim=1)
    if list(owners) == list(range(labels)):
        return said
    owner = torch.tensor(owners, device=said.device)
    # probabilities add up, their logarithms do not; at least the smallest number, whose logarithm is finite
    sums = said.new_zeros(said.shape[0], labels, *said.shape[2:]).index_add_(1, owner, said.exp())
    return sums.clamp(min=torch.finfo(sums.dtype).tiny).log()


def fuse(
    seen: Float[Tensor, "batch labels rows columns"],
    said: Float[Tensor, "batch names rows columns"],
    *,
    background_bias: float,
) -> Float[Tensor, "batch labels rows columns"]:
    """Log probabilities of labels, the names' shares among themselves multiplied by what is said of them.

    Args:
        seen: Log probabilities of background and names.
        said: Sum of weighted log probabilities of the names.
        background_bias: Taken from background's.
    """
    background, names = seen[:, :1], seen[:, 1:]
    together = names.logsumexp(dim=1, keepdim=True)  # [batch, 1, rows, columns], log P(no background)
    # names - together: log P(name | no background); the softmax makes them sum to 1 again
    shares = (names - together + said).log_softmax(dim=1)
    return torch.cat([background - background_bias, together + shares], dim=1)
