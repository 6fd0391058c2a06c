"""SAM and SAM 2: draw class-agnostic masks at points, or all masks of an image, with SAM's estimate of their quality.

An image is embedded once and then asked any number of times: at points, or at a grid of points for all its masks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from namesake.config import option
from namesake.encoders.cards import read_card
from namesake.encoders.devices import Precision, arithmetic, pick_device
from namesake.encoders.loading import load_network, model_type
from namesake.encoders.sam_input import Frame, SamPreprocessing, read_sam_preprocessing
from namesake.encoders.sources import fetch
from namesake.records import ModelCard
from namesake.shapes import ImageArray

CLASSES = {"sam": "SamModel", "sam2": "Sam2Model", "sam2_video": "Sam2Model"}
POINTS_AT_ONCE = 64
"""Prompts in the decoder together."""
STABILITY_OFFSET = 1.0
"""How much stricter and laxer than 0 the two thresholds are, in logits."""
PIXELS_AT_ONCE = 8 * 2**20
"""Pixels of upsampled masks in memory at once (32 MiB of float32)."""


@dataclass(frozen=True)
class AutomaticConfig:
    """How all masks of an image are found; the defaults are those of SAM's published generator."""

    points_per_side: int = option(32, "The grid has its square of points.", at_least=1)
    pred_iou_thresh: float = option(0.88, "Masks that SAM itself expects to fit no better are dropped; FMbSeg: 0.97.")
    stability_score_thresh: float = option(
        0.95, "Masks are dropped whose IoU between a stricter and a laxer threshold is no higher.", at_least=0
    )
    box_nms_thresh: float = option(
        0.7, "Of two masks whose boxes have a higher IoU, the less sure is dropped.", at_least=0, at_most=1
    )


class SamView(NamedTuple):
    """An image that SAM has embedded: what `Sam.at_points` and `Sam.automatic` ask."""

    embedding: Any
    frame: Frame


class Masks(NamedTuple):
    """Masks of one image, at its size, with SAM's estimate of each one's IoU (about 0 to 1)."""

    masks: Bool[ndarray, "n height width"]
    scores: Float[ndarray, " n"]


@final
class Sam:
    """A frozen SAM or SAM 2 with its own preprocessing.

    Attributes:
        model: transformers' SamModel or Sam2Model, in evaluation mode, without gradients.
        preprocessing: Preprocessing that the weights' folder states.
        card: Name, source, licence and tier, which is M.
        device: Device that computes.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        *,
        preprocessing: SamPreprocessing,
        card: ModelCard,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.model = model.requires_grad_(False).to(device)
        self.preprocessing, self.card, self.device, self.precision = preprocessing, card, device, precision

    @torch.no_grad()
    def embed(self, image: ImageArray) -> SamView:
        """Embed one image of any size: the expensive part, done once."""
        x = self.preprocessing.canvas(image).to(self.device)
        with arithmetic(self.device, precision=self.precision):
            embedding = self.model.get_image_embeddings(x)
        return SamView(embedding, self.preprocessing.frame(image.shape[0], image.shape[1]))

    def at_points(self, view: SamView, points: Float[ndarray, "prompts points 2"]) -> Masks:
        """For each prompt, the surest of SAM's three masks.

        Segment Anything, https://arxiv.org/abs/2304.02643, section 3: three masks answer an ambiguous prompt.

        Args:
            view: View of the image.
            points: (x, y) in original pixels, from the left and from above; all of a prompt lie on one object.
        """
        chosen, scores = [], []
        for logits, iou in self._answers(view, points):
            best = iou.argmax(dim=1)
            rows = torch.arange(len(iou), device=iou.device)
            # logits of the surest: [some, rows, columns]
            chosen += [(some > 0).cpu().numpy() for some in self._upsampled(logits[rows, best], view.frame)]
            scores.append(iou[rows, best].cpu().numpy())
        empty = np.zeros((0, view.frame.height, view.frame.width), dtype=bool)
        return Masks(np.concatenate([empty, *chosen]), np.concatenate([np.zeros(0, np.float32), *scores]))

    def automatic(self, view: SamView, config: AutomaticConfig = AutomaticConfig()) -> Masks:
        """All masks of an image that SAM is sure of, each once, from the surest on.

        Segment Anything, section 5 and appendix B: a grid of points, filters by predicted IoU and by stability, then
        non-maximum suppression of boxes. Same results as transformers' mask-generation pipeline without extra crops.
        """
        frame = view.frame
        places = point_grid(config.points_per_side) * (frame.width, frame.height)
        packed, boxes, scores = [], [], []
        # one point a prompt: [prompts, 1, 2]
        for logits, iou in self._answers(view, places[:, None]):
            # masks that SAM is sure of, of all three answers; only they are brought to the image's size
            sure = iou.flatten() > config.pred_iou_thresh
            remaining = iou.flatten()[sure].cpu().numpy()
            for some in self._upsampled(logits.flatten(0, 1)[sure], frame):
                remaining, score = remaining[len(some) :], remaining[: len(some)]
                # of these the stable ones, held as bits, since there may be thousands
                kept = stability_scores(some, offset=STABILITY_OFFSET) > config.stability_score_thresh
                found = (some > 0)[kept].cpu().numpy()
                packed.append(np.packbits(found.reshape(len(found), frame.height * frame.width), axis=1))
                boxes.append(boxes_of(found))
                scores.append(score[kept.cpu().numpy()])
        if not packed:
            return Masks(np.zeros((0, frame.height, frame.width), dtype=bool), np.zeros(0, np.float32))
        score = np.concatenate(scores)
        # each thing once
        order = suppress_boxes(np.concatenate(boxes), score, overlap=config.box_nms_thresh)
        pixels = np.unpackbits(np.concatenate(packed)[order], axis=1, count=frame.height * frame.width)
        return Masks(pixels.view(np.bool_).reshape(len(order), frame.height, frame.width), score[order])

    @torch.no_grad()
    def _answers(
        self, view: SamView, points: Float[ndarray, "prompts points 2"]
    ) -> Iterator[tuple[Float[Tensor, "some 3 rows columns"], Float[Tensor, "some 3"]]]:
        """Mask logits on SAM's own grid and expected IoU, some prompts at a time."""
        for start in range(0, len(points), POINTS_AT_ONCE):
            placed = self.preprocessing.points(points[start : start + POINTS_AT_ONCE], view.frame).to(self.device)
            with arithmetic(self.device, precision=self.precision):
                output = self.model(
                    image_embeddings=view.embedding,
                    input_points=placed,
                    input_labels=torch.ones(placed.shape[:-1], dtype=torch.long, device=self.device),
                    multimask_output=True,
                )
            yield output.pred_masks[0].float(), output.iou_scores[0].float()

    def _upsampled(
        self, logits: Float[Tensor, "n rows columns"], frame: Frame
    ) -> Iterator[Float[Tensor, "some height width"]]:
        largest = max(frame.height * frame.width, self.preprocessing.side**2)
        for some in torch.split(logits, max(1, PIXELS_AT_ONCE // largest)) if len(logits) else ():
            yield self.preprocessing.upsample(some, frame)


def point_grid(per_side: int) -> Float[ndarray, "points 2"]:
    """The centres (x, y) of per_side x per_side equal cells of the unit square, row by row."""
    ticks = (np.arange(per_side) + 0.5) / per_side
    x, y = np.meshgrid(ticks, ticks)
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def stability_scores(logits: Float[Tensor, "n height width"], *, offset: float) -> Float[Tensor, " n"]:
    """IoU between the masks at threshold +offset and at -offset; NaN for a mask that is empty at both."""
    strict = (logits > offset).sum((1, 2), dtype=torch.float32)
    return strict / (logits > -offset).sum((1, 2), dtype=torch.float32)


def boxes_of(masks: Bool[ndarray, "n height width"]) -> Int[ndarray, "n 4"]:
    """First and last column and row that a mask covers, as (left, top, right, bottom); zeros for an empty mask."""
    columns: Bool[ndarray, "n width"] = np.asarray(masks.any(axis=1))
    rows: Bool[ndarray, "n height"] = np.asarray(masks.any(axis=2))
    left, top = columns.argmax(axis=1), rows.argmax(axis=1)
    # the last ones are the first from behind
    right = columns.shape[1] - 1 - columns[:, ::-1].argmax(axis=1)
    bottom = rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    boxes: Int[ndarray, "n 4"] = np.stack([left, top, right, bottom], axis=1) * np.any(rows, axis=1, keepdims=True)
    return boxes


def suppress_boxes(
    boxes: Int[ndarray, "n 4"], scores: Float[ndarray, " n"], *, overlap: float
) -> Int[ndarray, " kept"]:
    """Non-maximum suppression: indices of the boxes kept, from the surest on; equal scores in the order given.

    The area of (left, top, right, bottom) is (right - left) (bottom - top), as SAM's generator counts it.
    """
    order = np.argsort(-scores, kind="stable")
    sides = boxes.astype(np.float64)
    areas = (sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1])
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low, high = np.maximum(sides[best, :2], sides[order, :2]), np.minimum(sides[best, 2:], sides[order, 2:])
        common = np.prod(np.maximum(high - low, 0), axis=1)
        # IoU <= overlap, without dividing by a union that may be empty
        order = order[common <= overlap * (areas[best] + areas[order] - common)]
    return np.asarray(kept, dtype=np.int64)


def load_sam(source: str, *, device: str = "auto", precision: Precision = "no") -> Sam:
    """Load SAM or SAM 2 with its own preprocessing.

    Args:
        source: Hub id, folder, or `embedded:sam`.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, autocast to "bf16" or "fp16", or "int8"; see `Precision`.

    Raises:
        WeightsError: Files are missing, damaged, or of another model type.
        ConfigError: The device is not there.
    """
    where = pick_device(device)
    folder = fetch(source, kind="sam")
    kind = model_type(folder, source=source, expected=CLASSES)
    return Sam(
        load_network(CLASSES[kind], folder, source=source),
        preprocessing=read_sam_preprocessing(folder, keeps_proportions=kind == "sam"),
        card=read_card(source, folder=folder),
        device=where,
        precision=precision,
    )
