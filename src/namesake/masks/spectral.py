"""Cluster patch features by spectral clustering into candidate masks.

Shin, Albanie, Xie, "Unsupervised Salient Object Detection with Spectral Cluster Voting" (SelfMask), CVPRW 2022,
https://arxiv.org/abs/2203.12614, section 3.2. For each image the generalised problem (D - W) v = lambda D v is solved
once, for as many eigenvectors as the largest number of clusters needs, instead of once for each number.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from namesake.tensors import PatchFeatures

BLOCK = 8  # vectors multiplied together
STEPS, STEPS_SHARP = 8, 12
"""How often: by the published affinity, which is at float32's noise after 5 or 6, and by exp((cosine - 1) /
temperature), whose eigenvalues lie closer together."""
NOISE = 1e-6
ROWS_AT_ONCE = 256
SMALLEST_RANGE = 1e-6
MOVING = 0.75
"""Share of k-means' runs that still move below which the others are left out."""

Multiply = Callable[[Float[Tensor, "batch nodes columns"]], Float[Tensor, "batch nodes columns"]]


def candidate_masks(
    features: PatchFeatures,
    *,
    clusters: Sequence[int] = (2, 3, 4),
    upsample: int = 2,
    temperature: float | None = None,
    starts: int = 10,
    seed: int = 0,
) -> Bool[Tensor, "batch candidates fine_rows fine_columns"]:
    """Cluster the patches of each image into 2, 3, 4 groups; every group is a candidate.

    Args:
        features: Features of any length; the masks lie on a grid finer by `upsample`.
        clusters: Numbers of clusters; there are as many candidates as their sum.
        upsample: Bilinear, corners aligned; published: 2.
        temperature: Temperature, see `affinity_product`.
        starts: k-means starts; published: 10.
        seed: Seed of the k-means starts, the same for every image.
    """
    fine = upsample_features(features, factor=upsample)
    rows, columns = fine.shape[1:3]
    vectors = eigenvectors(fine.flatten(1, 2), count=max(clusters), temperature=temperature)  # [batch, nodes, count]
    masks = []
    for count in clusters:
        labels = k_means(vectors[..., :count], clusters=count, starts=starts, seed=seed)
        # [batch, clusters, nodes]: the nodes of each cluster
        masks.append(labels[:, None] == torch.arange(count, device=labels.device)[None, :, None])
    return torch.cat(masks, dim=1).view(len(features), -1, rows, columns)


def upsample_features(features: PatchFeatures, *, factor: int) -> Float[Tensor, "batch fine_rows fine_columns dim"]:
    """Bilinear upsampling with corners aligned."""
    if factor == 1:
        return features
    channels_first = features.permute(0, 3, 1, 2)
    fine = functional.interpolate(channels_first, scale_factor=factor, mode="bilinear", align_corners=True)
    return fine.permute(0, 2, 3, 1)


def eigenvectors(
    features: Float[Tensor, "batch nodes dim"], *, count: int, temperature: float | None = None
) -> Float[Tensor, "batch nodes count"]:
    """Solutions of (D - W) v = lambda D v with the smallest lambda, in its order, the constant one first.

    With u = D^(1/2) v the problem is N u = (1 - lambda) u for N = D^(-1/2) W D^(-1/2): the same eigenvectors belong to
    the largest eigenvalues of a symmetric matrix. Their length is such that v D v = the mean degree.
    """
    multiply, degree = affinity_product(features, temperature=temperature)
    root = (degree / degree.mean(dim=1, keepdim=True)).sqrt()[..., None]  # [batch, nodes, 1]

    def normalised(vectors: Float[Tensor, "batch nodes columns"]) -> Float[Tensor, "batch nodes columns"]:
        return multiply(vectors / root) / root

    steps = STEPS if temperature is None else STEPS_SHARP
    return largest_eigenvectors(normalised, root, count=count, steps=steps) / root


def affinity_product(
    features: Float[Tensor, "batch nodes dim"], *, temperature: float | None = None
) -> tuple[Multiply, Float[Tensor, "batch nodes"]]:
    """The affinity W as the function x -> W x, and its row sums.

    Args:
        features: Features of any length.
        temperature: None for the published affinity: cosines, scaled per image so that the smallest is 0 and the
            largest 1; W has low rank then and is never built. Else exp((cosine - 1) / temperature).
    """
    unit = functional.normalize(features, dim=-1)
    ones = unit.new_ones(*unit.shape[:2], 1)
    if temperature is not None:
        # [batch, nodes, nodes]; baddbmm adds the -1 to the cosines without a second matrix
        dense = (torch.baddbmm(-torch.ones_like(unit[:, :1, :1]), unit, unit.mT) / temperature).exp_()
        return (lambda x: (x.mT @ dense).mT), dense.sum(dim=2)
    # W = scale (U U^T - low); `low` is set anew so that the largest entry is 1 even where all cosines are alike
    low, high = _extremes(unit)
    scale = 1 / (high - low).clamp_min(SMALLEST_RANGE)
    low = high - 1 / scale

    def multiply(x: Float[Tensor, "batch nodes columns"]) -> Float[Tensor, "batch nodes columns"]:
        # few rows times many columns: several times as fast as many rows times few columns
        return scale * (((x.mT @ unit) @ unit.mT).mT - low * x.sum(dim=1, keepdim=True))

    return multiply, multiply(ones)[..., 0]


def largest_eigenvectors(
    multiply: Multiply, first: Float[Tensor, "batch nodes 1"], *, count: int, steps: int = STEPS_SHARP
) -> Float[Tensor, "batch nodes count"]:
    """Eigenvectors of a symmetric matrix with the largest eigenvalues, largest first; of length 1.

    The best approximations within the space that repeated products of a block of fixed vectors span: block Lanczos
    (Golub and Van Loan, Matrix Computations, section 10.3) with full reorthogonalisation. Small problems, and those
    of the rank that the space has dimensions, are solved exactly.

    Args:
        multiply: x -> matrix x.
        first: Joined to the block: an approximation of the first eigenvector.
        count: Number of eigenvectors.
        steps: Products; the space has eight times as many dimensions.
    """
    batch, nodes = first.shape[:2]
    # a small problem: the space is everything
    if nodes <= BLOCK * steps:
        basis = torch.eye(nodes, dtype=first.dtype, device=first.device).expand(batch, -1, -1)
        products = multiply(basis)
    else:
        # basis of the space, and the matrix times it: block by block, each orthogonal to those before
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(steps, 1, nodes, BLOCK, generator=generator, dtype=first.dtype).to(first.device)
        basis, products = first[..., :0], first[..., :0]
        block = torch.cat([first, noise[0, ..., 1:].expand(batch, -1, -1)], dim=2)
        for step in range(steps):
            for _ in range(2):  # once more, against what rounding leaves
                block = torch.linalg.qr(block - basis @ (block.mT @ basis).mT)[0]
            basis, moved = torch.cat([basis, block], dim=2), multiply(block)
            products = torch.cat([products, moved], dim=2)
            block = moved + NOISE * noise[step]  # new directions when the matrix has no more
    # Rayleigh-Ritz: eigenvectors within the space; `eigh` puts the largest eigenvalues last
    small = basis.mT @ products
    _, weights = torch.linalg.eigh((small + small.mT) / 2)
    vectors: Tensor = basis @ weights[..., -count:].flip(-1)
    return vectors


def k_means(
    points: Float[Tensor, "batch n dim"], *, clusters: int, starts: int = 10, iterations: int = 300, seed: int = 0
) -> Int[Tensor, "batch n"]:
    """Lloyd's k-means from k-means++ starts, all images and all starts at once; the start of least inertia is kept.

    Args:
        points: One set an image; what it gives does not depend on the others.
        clusters: Number of clusters; a cluster that loses its points keeps its centre.
        starts: Number of starts.
        iterations: At most.
        seed: Seed of the starts, the same for every image.
    """
    # near the origin the squares in `_assign` lose fewer digits
    turned = (points - points.mean(dim=1, keepdim=True)).mT.contiguous()  # [batch, dim, n]
    # a run is a start of an image
    centres = _first_centres(turned, clusters=clusters, starts=starts, seed=seed).flatten(0, 1)  # [runs, clusters, dim]
    runs = turned.repeat_interleave(starts, dim=0)  # [runs, dim, n]
    squares = runs.square().sum(dim=(1, 2))
    members, inertia = _assign(runs, squares, centres)
    # only runs that still move are gone on with: which they are, and what they have come to
    moving, current, least = torch.arange(len(runs), device=points.device), members, inertia
    for _ in range(iterations):
        counts = current.sum(dim=2, keepdim=True)
        centres = torch.where(counts > 0, current @ runs.mT / counts.clamp_min(1), centres)
        reassigned, least = _assign(runs, squares, centres)
        changed = (reassigned - current).abs_().amax(dim=(1, 2)) > 0
        current = reassigned
        if not changed.any():
            break
        # a run that stands still gives the same again, so those are left out only when they are many
        if changed.sum() < MOVING * len(changed):
            members[moving], inertia[moving] = current, least
            moving, centres, current = moving[changed], centres[changed], current[changed]
            runs, squares, least = runs[changed], squares[changed], least[changed]
    members[moving], inertia[moving] = current, least
    best = inertia.view(-1, starts).argmin(dim=1)  # [batch]
    chosen = members[torch.arange(len(points), device=points.device) * starts + best]  # [batch, clusters, n]
    return chosen.argmax(dim=1)


def _first_centres(
    turned: Float[Tensor, "batch dim n"], *, clusters: int, starts: int, seed: int
) -> Float[Tensor, "batch starts clusters dim"]:
    """k-means++ (Arthur and Vassilvitskii, 2007): each further centre is a point drawn by squared distance."""
    batch, dim, n = turned.shape
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(starts, clusters, generator=generator, dtype=torch.float64).to(turned.device)
    each = torch.arange(batch, device=turned.device)[:, None]
    chosen = (draws[:, 0] * n).long().expand(batch, starts)
    centres = [turned[each, :, chosen]]  # each [batch, starts, dim]
    nearest = turned.new_full((batch, starts, n), math.inf)
    for number in range(1, clusters):
        # coordinate by coordinate, which are few: [batch, starts, n]
        away = [(turned[:, None, i] - centres[-1][:, :, i, None]).square_() for i in range(dim)]
        nearest = torch.minimum(nearest, sum(away[1:], start=away[0]))
        # draw by squared distance: the point at which the running sum passes a share of the whole
        heights = nearest.double().cumsum(dim=2)
        wanted = draws[None, :, number, None] * heights[..., -1:]
        chosen = torch.searchsorted(heights, wanted, right=True).clamp_max(n - 1)[..., 0]
        centres.append(turned[each, :, chosen])
    return torch.stack(centres, dim=2)


def _assign(
    runs: Float[Tensor, "runs dim n"], squares: Float[Tensor, " runs"], centres: Float[Tensor, "runs clusters dim"]
) -> tuple[Float[Tensor, "runs clusters n"], Float[Tensor, " runs"]]:
    """The nearest centre of each point as ones among zeros, and the sum of squared distances to it.

    `squares` are the sums of the points' squares. Comparing into floats is what torch does fast; indices of least
    values are several times as slow.
    """
    # |c - p|^2 = |c|^2 - 2 c p + |p|^2, halved and less the point's own square: [runs, clusters, n]
    beyond = torch.baddbmm(centres.square().sum(dim=2, keepdim=True) / 2, centres, runs, alpha=-1)
    least = beyond.amin(dim=1, keepdim=True)
    members = torch.eq(beyond, least, out=torch.empty_like(beyond))
    # centres at one place: the first of them has the points
    if (members.sum(dim=(1, 2)) != members.shape[2]).any():
        members *= members.cumsum(dim=1) == 1
    return members, 2 * least.sum(dim=(1, 2)) + squares


def _extremes(unit: Float[Tensor, "batch nodes dim"]) -> tuple[Float[Tensor, "batch 1 1"], Float[Tensor, "batch 1 1"]]:
    """Smallest and largest cosine of any two nodes of an image, without all cosines in memory at once."""
    least, most = [], []
    for start in range(0, unit.shape[1], ROWS_AT_ONCE):
        # [batch, some nodes, nodes from there on]; those before have had their cosines with these
        cosines = unit[:, start : start + ROWS_AT_ONCE] @ unit[:, start:].mT
        least.append(cosines.amin(dim=(1, 2)))
        most.append(cosines.amax(dim=(1, 2)))
    return torch.stack(least).amin(dim=0)[:, None, None], torch.stack(most).amax(dim=0)[:, None, None]
