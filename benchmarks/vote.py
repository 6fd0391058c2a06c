"""Speed of SelfMask's voting: candidate masks by spectral clustering, and the vote, against the usual form.

    OMP_NUM_THREADS=1 python benchmarks/vote.py

Features as a ViT-S/16 gives them for images of 224 x 224 (14 x 14 patches of 384 channels, upsampled twice), three
encoders: 27 candidates an image. The usual form works image by image: scipy's generalised eigensolver on the whole
affinity matrix, scikit-learn's k-means, and an IoU for every pair of candidates. The floor counts multiplications and
additions that any form has to do (products with the affinity for 4 vectors as often as ours takes them, one pass of
k-means a start, one product of all pairs of masks) at the rate of a large matrix product measured in the same run.
Times are processor time of one thread, the two forms in turn.
"""

import numpy as np
import torch
from scipy.linalg import eigh
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from torch.nn import functional

from claims import claim
from namesake.masks.spectral import STEPS, candidate_masks
from namesake.masks.vote import spectral_vote
from timing import fastest

IMAGES, GRID, DIM, ENCODERS, REPEATS = 4, 14, 384, 3, 3
CLUSTERS, STARTS = (2, 3, 4), 10


def ours(features: list[torch.Tensor]) -> torch.Tensor:
    """Candidates of all encoders and the index of each image's winner."""
    masks = torch.cat([candidate_masks(one, clusters=CLUSTERS, starts=STARTS) for one in features], dim=1)
    winner, _ = spectral_vote(masks)
    return masks[torch.arange(len(masks)), winner]


def usual(features: list[torch.Tensor]) -> np.ndarray:
    """The same, image by image."""
    return np.stack([usual_image([one[i] for one in features]) for i in range(IMAGES)])


def usual_image(features: list[torch.Tensor]) -> np.ndarray:
    """The mask that has the highest mean IoU with the other candidates of one image."""
    masks = [mask for one in features for mask in usual_candidates(one)]
    rows, columns = [[mask.any(axis=axis) for mask in masks] for axis in (1, 0)]
    spans = [(row[0] and row[-1]) or (column[0] and column[-1]) for row, column in zip(rows, columns, strict=True)]
    masks = [mask for mask, spanning in zip(masks, spans, strict=True) if not spanning] or masks
    table = [[(a & b).sum() / max((a | b).sum(), 1) for b in masks] for a in masks]
    return masks[int(np.argmax(np.sum(table, axis=1)))]


def usual_candidates(feature: torch.Tensor) -> list[np.ndarray]:
    """Clusters of one image's patches."""
    fine = functional.interpolate(feature.permute(2, 0, 1)[None], scale_factor=2, mode="bilinear", align_corners=True)
    x = functional.normalize(fine[0].flatten(1).T, dim=1).double().numpy()
    affinity = 1 - cdist(x, x, "cosine")
    affinity = (affinity - affinity.min()) / (affinity.max() - affinity.min())
    degree = np.diag(affinity.sum(axis=1))
    found = []
    for count in CLUSTERS:
        _, vectors = eigh(degree - affinity, degree, subset_by_index=[0, count - 1])
        labels = KMeans(count, n_init=STARTS, random_state=0).fit_predict(vectors)
        found += [(labels == k).reshape(2 * GRID, 2 * GRID) for k in range(count)]
    return found


def pictures() -> list[torch.Tensor]:
    """Features with an object: a disc whose patches point one way, the others another, and noise."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
    made = []
    for _ in range(ENCODERS):
        centres = 4 + 6 * torch.rand(IMAGES, 2, generator=generator)
        inside = (y - centres[:, :1, None]).square() + (x - centres[:, 1:, None]).square() < 16
        directions = torch.randn(2, DIM, generator=generator)
        made.append(directions[inside.long()] + torch.randn(IMAGES, GRID, GRID, DIM, generator=generator))
    return made


def main() -> None:
    """Measure and print one line."""
    torch.set_num_threads(1)
    features, square = pictures(), torch.randn(1024, 1024)
    works = (lambda: ours(features), lambda: usual(features), lambda: square @ square)
    seconds, plain, product = fastest(*works, repeats=REPEATS)
    nodes, candidates = (2 * GRID) ** 2, ENCODERS * sum(CLUSTERS)
    operations = (
        2
        * IMAGES
        * (
            ENCODERS * (STEPS * 4 * 2 * nodes * DIM + STARTS * nodes * sum(k * k for k in CLUSTERS))
            + candidates**2 * nodes
        )
    )
    floor = operations / (2 * 1024**3 / product)
    a, b = ours(features).numpy(), usual(features)
    both, either = (a & b).sum((1, 2)), (a | b).sum((1, 2))
    claim(
        f"vote, {ENCODERS} encoders, {2 * GRID} x {2 * GRID} patches",
        f"{seconds / IMAGES * 1000:.0f} CPU ms an image, IoU of the winners {(both / either).mean():.3f}",
        ratio=plain / seconds,
        to="times as fast as scipy and scikit-learn",
        floor=f"{floor / IMAGES * 1000:.2f} ms",
    )
    print(
        f"vote: {seconds / IMAGES * 1000:.1f} ms an image, usual form {plain / IMAGES * 1000:.1f} ms, "
        f"ratio {plain / seconds:.1f}, floor {floor / IMAGES * 1000:.2f} ms, "
        f"IoU of the winners {(both / either).mean():.3f}"
    )


if __name__ == "__main__":
    main()
