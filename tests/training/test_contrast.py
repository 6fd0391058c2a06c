"""Every equation against a double loop in float64."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from namesake.errors import ConfigError
from namesake.training.contrast import contrast, log_sum_of_others


def others(z: Tensor, i: int, logit_scale: float) -> Tensor:
    return sum((logit_scale * z[i] @ z[j]).exp() for j in range(len(z)) if j != i) + z.new_zeros(())


def text_loss(z: Tensor, y: list[int], t: Tensor, i: int, logit_scale: float) -> Tensor:
    """Eq. 3."""
    all_texts = sum((logit_scale * z[i] @ t[k]).exp() for k in range(len(t)))
    return -logit_scale * z[i] @ t[y[i]] + (all_texts + others(z, i, logit_scale)).log()


def image_loss(z: Tensor, y: list[int], i: int, logit_scale: float) -> Tensor:
    """Eq. 4."""
    same = [m for m in range(len(z)) if y[m] == y[i]]
    return sum(-logit_scale * z[i] @ z[m] + others(z, i, logit_scale).log() for m in same) / len(same)


def naive(z: Tensor, y: list[int], t: Tensor, kind: str, logit_scale: float) -> Tensor:
    """Eq. 1 and its ablations."""
    of_text = [[text_loss(z, y, t, i, logit_scale) for i in range(len(z)) if y[i] == k] for k in range(len(t))]
    means = [sum(some) / len(some) for some in of_text if some]  # Eq. 2
    if kind == "prototype":
        return sum(means) / len(means)
    if kind == "supcon":
        every, owner = torch.cat([z, t]), [*y, *range(len(t))]
        return sum(image_loss(every, owner, i, logit_scale) for i in range(len(every))) / len(every)
    return (sum(means) + sum(image_loss(z, y, i, logit_scale) for i in range(len(z)))) / (len(z) + len(t))


def draw(patches: int = 14, words: int = 4, dim: int = 5, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = normalize(torch.randn(patches, dim, generator=generator, dtype=torch.float64), dim=1)
    t = normalize(torch.randn(words, dim, generator=generator, dtype=torch.float64), dim=1)
    return z, torch.randint(0, words - 1, (patches,), generator=generator), t  # the last word labels no patch


@pytest.mark.parametrize("kind", ["tsupcon", "supcon", "prototype"])
@pytest.mark.parametrize("logit_scale", [1.0, 10.0])
@pytest.mark.parametrize("block", [3, 64])
def test_contrast__value_and_gradient_of_the_equations(kind: str, logit_scale: float, block: int) -> None:
    z, y, t = draw()
    exact = z.clone().requires_grad_()
    wanted = naive(exact, y.tolist(), t, kind, logit_scale)
    wanted.backward()
    found = z.float().requires_grad_()
    loss = contrast(found, y, t.float(), kind=kind, logit_scale=logit_scale, block=block)["loss"]
    loss.backward()
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    torch.testing.assert_close(found.grad.double(), exact.grad, atol=1e-5, rtol=0)


def test_contrast__parts_add_up() -> None:
    z, y, t = draw()
    parts = contrast(z.float(), y, t.float())
    present = len(y.unique())
    assert parts["loss"] == pytest.approx((present * parts["text"] + 14 * parts["image"]).item() / 18, abs=1e-6)


def test_contrast__patches_without_a_label_take_no_part() -> None:
    z, y, t = draw()
    labels = y.clone()
    labels[3:6] = -1
    kept = labels >= 0
    for kind in ("tsupcon", "supcon", "prototype"):
        with_them = contrast(z.float(), labels, t.float(), kind=kind)["loss"]
        assert with_them == contrast(z[kept].float(), y[kept], t.float(), kind=kind)["loss"]


def test_contrast__no_label_at_all_is_zero_with_zero_gradient() -> None:
    z = draw()[0].float().requires_grad_()
    loss = contrast(z, torch.full((14,), -1), draw()[2].float())["loss"]
    loss.backward()
    assert loss.item() == 0
    assert not z.grad.any()


def test_contrast__a_single_patch_has_no_other() -> None:
    z, _, t = draw(1)
    patch = z.float().requires_grad_()
    loss = contrast(patch, torch.tensor([2]), t.float())["loss"]
    loss.backward()
    wanted = (-z[0] @ t[2] + (z[0] @ t.T).exp().sum().log() - 1) / 5  # Eq. 4 has its own similarity alone
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-6)
    assert patch.grad.isfinite().all()


def test_contrast__fewer_patches_than_names() -> None:
    z, y, t = draw(3, 40)
    assert contrast(z.float(), y, t.float())["loss"].isfinite()


def test_contrast__half_precision_features_are_compared_in_float32() -> None:
    z, y, t = draw()
    low = contrast(z.bfloat16(), y, t.float())["loss"]
    assert low.dtype == torch.float32
    assert low == contrast(z.bfloat16().float(), y, t.float())["loss"]


def test_contrast__unknown_kind() -> None:
    z, y, t = draw()
    with pytest.raises(ConfigError, match="tsupcon, supcon or prototype"):
        contrast(z.float(), y, t.float(), kind="triplet")


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9])
def test_log_sum_of_others__any_number_of_blocks(count: int) -> None:
    z = draw(count)[0]
    wanted = torch.stack([others(z, i, 2.0).log() for i in range(count)])
    torch.testing.assert_close(log_sum_of_others(z, 2.0, 4), wanted)


def test_log_sum_of_others__gradients_by_finite_differences() -> None:
    z = draw(7, seed=3)[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: log_sum_of_others(x, 1.5, 3), (z,))


def test_log_sum_of_others__large_similarities_do_not_overflow() -> None:
    z = (draw(6)[0].float() * 30).requires_grad_()
    found = log_sum_of_others(z, 10.0, 4)
    found.sum().backward()
    assert found.isfinite().all()
    assert z.grad.isfinite().all()


def test_log_sum_of_others__no_matrix_of_all_pairs_is_kept() -> None:
    saved: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor.numel())
        return tensor

    z = draw(60)[0].requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        log_sum_of_others(z, 1.0, 16)
    assert max(saved) == z.numel() < 60 * 60


def test_log_sum_of_others__symmetry() -> None:
    z = draw(9)[0]
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(log_sum_of_others(z[order], 1.0, 4), log_sum_of_others(z, 1.0, 4)[order])
