"""Shape aliases of tensors: what a network takes and gives; those of arrays, which need no torch, are in `shapes`."""

from jaxtyping import Float, Int
from torch import Tensor

ImageBatch = Float[Tensor, "batch 3 height width"]
"""RGB images, already normalised by the network's own mean and standard deviation."""

LogitsBatch = Float[Tensor, "batch labels height width"]
LabelBatch = Int[Tensor, "batch height width"]
Embeddings = Float[Tensor, "batch dim"]
PatchFeatures = Float[Tensor, "batch rows columns dim"]
"""One vector a patch; rows x columns is the patch grid of the resized image."""
