"""The matched losses against pixel-by-pixel forms, their gradients, edge cases and promises on memory and waiting."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from namesake.training import matching
from namesake.training.matching import (
    instance_targets,
    mask_loss,
    match,
    matched_queries,
    pair_costs,
    semantic_cross_entropy,
)

Step = tuple[Tensor, list[Tensor]]


@pytest.fixture
def step() -> Step:
    """Two images, two layers, four proposals on a 3 x 4 grid; two and three objects of 12 x 16 pixels, some overlap."""
    generator = torch.Generator().manual_seed(1)
    probs = torch.rand(2, 2, 4, 3, 4, generator=generator)
    probs[0, 0, 0] = 1.0
    probs[0, 1, 1] = 0.0
    targets = [torch.rand(count, 12, 16, generator=generator) > 0.6 for count in (2, 3)]
    return probs, targets


def upsampled(maps: Tensor) -> Tensor:
    return functional.interpolate(maps[None], size=(12, 16), mode="bilinear", align_corners=False)[0]


def pixel_cost(p: Tensor, g: Tensor) -> Tensor:
    dice = 1 - (2 * (p * g).sum() + 1) / (p.sum() + g.sum() + 1)
    return dice + functional.binary_cross_entropy(p, g)


def loss_by_trying_all(probs: Tensor, targets: list[Tensor]) -> Tensor:
    """Every assignment of every layer and image is tried; the cheapest is summed."""
    total = probs.new_zeros(())
    for layers, masks in zip(probs, targets, strict=True):
        for maps in layers:
            fine = upsampled(maps)
            costs = torch.stack([torch.stack([pixel_cost(p, g.to(p)) for g in masks]) for p in fine])
            choices = [
                costs[list(rows), range(len(masks))].sum() for rows in permutations(range(len(maps)), len(masks))
            ]
            total = total + torch.stack(choices).min()
    return total / len(probs)


def test_pair_costs__pixel_by_pixel(step: Step) -> None:
    probs, targets = step
    maps = probs[0].flatten(0, 1)
    expected = [[float(pixel_cost(p, g.float())) for g in targets[0]] for p in upsampled(maps)]
    assert np.allclose(pair_costs(maps, targets[0]), expected, rtol=1e-5, atol=1e-5)


def test_pair_costs__chunks_do_not_matter(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    probs, targets = step
    whole = pair_costs(probs[0].flatten(0, 1), targets[0])
    monkeypatch.setattr(matching, "CHUNK_BYTES", 4 * 12 * 16 * 3)
    assert torch.allclose(pair_costs(probs[0].flatten(0, 1), targets[0]), whole, atol=1e-6)


def test_mask_loss__cheapest_assignment(step: Step) -> None:
    probs, targets = step
    assert torch.isclose(mask_loss(probs, targets), loss_by_trying_all(probs, targets), rtol=1e-6)


@pytest.mark.parametrize("chunk", [2**20, 4 * 12 * 16])
def test_mask_loss__gradient_is_the_pixel_form_s(step: Step, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(matching, "CHUNK_BYTES", chunk)
    probs, targets = step
    probs = probs.clamp(0.01, 0.99)
    ours, exact = probs.clone().requires_grad_(), probs.double().requires_grad_()
    mask_loss(ours, targets).backward()
    loss_by_trying_all(exact, targets).backward()
    assert ours.grad is not None
    assert exact.grad is not None
    assert exact.grad.abs().max() > 0.1
    assert torch.allclose(ours.grad, exact.grad.float(), atol=1e-6)


def test_mask_loss__saturated_probabilities_have_finite_gradients(step: Step) -> None:
    _, targets = step
    probs = torch.tensor([0.0, 1.0]).view(1, 1, 2, 1, 1).expand(2, 2, 2, 3, 4).clone().requires_grad_()
    loss = mask_loss(probs, [masks[:2] for masks in targets])
    loss.backward()
    assert loss.isfinite()
    assert probs.grad is not None
    assert probs.grad.isfinite().all()


def test_mask_loss__unmatched_proposals_get_no_gradient(step: Step) -> None:
    probs, targets = step
    probs = probs.clone().requires_grad_()
    mask_loss(probs, targets).backward()
    assert probs.grad is not None
    touched = probs.grad.abs().sum(dim=(3, 4)) > 0
    assert touched.sum(dim=2).tolist() == [[2, 2], [3, 3]]


def test_mask_loss__hidden_object_is_matched_too(step: Step) -> None:
    """An all-False target costs its match, unlike no target."""
    probs, targets = step
    hidden = torch.zeros(1, 12, 16, dtype=torch.bool)
    with_hidden = [torch.cat([masks[:1], hidden]) for masks in targets]
    assert torch.isclose(mask_loss(probs, with_hidden), loss_by_trying_all(probs, with_hidden), rtol=1e-6)
    assert mask_loss(probs, with_hidden) > mask_loss(probs, [masks[:1] for masks in targets])


@pytest.mark.parametrize("count", [0, 2])
def test_mask_loss__image_without_visible_object_counts_in_the_mean(step: Step, count: int) -> None:
    probs, targets = step
    probs = probs.clone().requires_grad_()
    loss = mask_loss(probs, [targets[0], torch.zeros(count, 12, 16, dtype=torch.bool)])
    loss.backward()
    assert torch.isclose(loss, mask_loss(probs[:1], targets[:1]) / 2)
    assert probs.grad is not None
    assert not probs.grad[1].any()


def test_mask_loss__no_object_at_all(step: Step) -> None:
    probs, _ = step
    probs = probs.clone().requires_grad_()
    loss = mask_loss(probs, [torch.zeros(0, 12, 16, dtype=torch.bool)] * 2)
    loss.backward()
    assert loss == 0


def test_mask_loss__more_objects_than_proposals(step: Step) -> None:
    probs, targets = step
    many = [torch.cat([masks, masks.flip(1), masks.flip(2)]) for masks in targets]
    pairs = match([torch.rand(2, 4, len(masks)) for masks in many])
    assert [one.shape[1] for one in pairs] == [8, 8]
    assert mask_loss(probs, many).isfinite()


def test_mask_loss__autocast_changes_nothing(step: Step) -> None:
    probs, targets = step
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = mask_loss(probs, targets)
    assert torch.equal(mixed, mask_loss(probs, targets))


def test_mask_loss__diverged_proposals_give_nan_not_an_error(step: Step) -> None:
    probs, targets = step
    assert mask_loss(probs * float("nan"), targets).isnan()


def test_match__layers_and_images_alone() -> None:
    costs = torch.ones(2, 3, 2)
    costs[0, 2, 0] = costs[0, 0, 1] = costs[1, 1, 0] = costs[1, 2, 1] = 0
    first, second = match([costs, costs[:, :, :1]])
    assert dict(zip(*first.tolist(), strict=True)) == {2: 0, 0: 1, 4: 0, 5: 1}
    assert dict(zip(*second.tolist(), strict=True)) == {2: 0, 4: 0}


def test_mask_loss__no_array_of_proposals_objects_and_pixels(step: Step) -> None:
    """Nor does any operation but one bring values of the device to the host, or wait for them."""
    probs, targets = step
    largest, waits = 0, []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN202
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            if isinstance(result, Tensor):
                largest = max(largest, result.numel())
            name = str(function)
            if any(word in name for word in ("_local_scalar", "nonzero", "masked_select", "is_nonzero", "unique")):
                waits.append(name)
            if name.startswith("aten.index") and any(one.dtype == torch.bool for one in args[1] if one is not None):
                waits.append(name)
            return result

    probs = probs.clone().requires_grad_()
    with Watch():
        mask_loss(probs, targets).backward()
    assert not waits
    assert largest == 2 * 4 * 12 * 16  # one image's upsampled proposals: no factor for its objects


def test_semantic_cross_entropy__tokens_upsampled_first() -> None:
    generator = torch.Generator().manual_seed(2)
    tokens = functional.normalize(torch.randn(2, 3, 4, 6, generator=generator), dim=-1)
    texts = functional.normalize(torch.randn(5, 6, generator=generator), dim=-1)
    labels = torch.randint(0, 5, (2, 9, 8), generator=generator)
    labels[0, :3] = 255
    fine = functional.interpolate(tokens.permute(0, 3, 1, 2), size=(9, 8), mode="bilinear", align_corners=False)
    logits = torch.einsum("bdhw,nd->bnhw", fine, texts)
    expected = functional.cross_entropy(logits, labels, ignore_index=255)
    assert torch.isclose(semantic_cross_entropy(tokens, texts, labels), expected, rtol=1e-6)


def test_semantic_cross_entropy__everything_ignored() -> None:
    tokens, texts = torch.ones(1, 2, 2, 3), torch.ones(2, 3)
    labels = torch.full((1, 4, 4), 65_535)
    assert semantic_cross_entropy(tokens, texts, labels, ignore=65_535) == 0


def test_matched_queries__sum_of_its_parts(step: Step) -> None:
    probs, targets = step
    generator = torch.Generator().manual_seed(2)
    tokens, texts = torch.randn(2, 3, 4, 6, generator=generator), torch.randn(5, 6, generator=generator)
    labels = torch.randint(0, 5, (2, 12, 16), generator=generator)
    parts = matched_queries(probs, tokens, texts=texts, labels=labels, targets=targets, mask_weight=0.5)
    assert torch.equal(parts["semantic"], semantic_cross_entropy(tokens, texts, labels))
    assert torch.equal(parts["mask"], mask_loss(probs, targets))
    assert torch.isclose(parts["loss"], parts["semantic"] + 0.5 * parts["mask"])


def test_instance_targets__hidden_ones_stay() -> None:
    owners = torch.tensor([[[0, 1], [3, 3]], [[0, 0], [1, 0]]], dtype=torch.uint8)
    first, second = instance_targets(owners, [3, 1])
    assert first.tolist() == [[[False, True], [False, False]], [[False] * 2] * 2, [[False, False], [True, True]]]
    assert second.tolist() == [[[False, False], [True, False]]]


def test_semantic__labels_with_several_words_have_the_sum_of_their_probabilities() -> None:
    generator = torch.Generator().manual_seed(2)
    tokens = functional.normalize(torch.randn(2, 3, 4, 6, generator=generator), dim=-1)
    texts = functional.normalize(torch.randn(4, 6, generator=generator), dim=-1)
    labels = torch.randint(0, 3, (2, 12, 16), generator=generator)
    labels[0, :2] = 255
    found = semantic_cross_entropy(tokens, texts, labels, owners=(0, 1, 1, 2), logit_scale=7.0)
    cosines = torch.einsum("brcd,wd->bwrc", tokens, texts)
    words = (7 * functional.interpolate(cosines, size=(12, 16), mode="bilinear", align_corners=False)).softmax(dim=1)
    sums = torch.stack([words[:, 0], words[:, 1] + words[:, 2], words[:, 3]], dim=1)
    assert torch.allclose(found, functional.nll_loss(sums.log(), labels, ignore_index=255), atol=1e-6)
