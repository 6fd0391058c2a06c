"""Pseudo-masks without labels: find the objects of archive or plain images, and refine their masks.

One file an operation: spectral clusters and their vote, the saliency network that learns from them, its detections and
the bilateral solver that draws them to the edges; and masks on disk as run-length codes. It opens no ground truth.
"""

from namesake.masks.bilateral import BilateralSolver
from namesake.masks.detect import detect
from namesake.masks.saliency import SaliencyConfig, saliency_masks
from namesake.masks.spectral_masks import VotingConfig, voted_masks
from namesake.masks.store import MaskLookup, MaskWriter, lookup, open_masks, read_masks

__all__ = [
    "BilateralSolver",
    "MaskLookup",
    "MaskWriter",
    "SaliencyConfig",
    "VotingConfig",
    "detect",
    "lookup",
    "open_masks",
    "read_masks",
    "saliency_masks",
    "voted_masks",
]
