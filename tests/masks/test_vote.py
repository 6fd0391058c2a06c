import numpy as np
import torch

from namesake.masks.vote import framed, pairwise_iou, spectral_vote


def boxes(*corners: tuple[int, int, int, int], size: int = 12) -> torch.Tensor:
    """Candidate masks [1, n, size, size] of (top, bottom, left, right) rectangles."""
    masks = torch.zeros(1, len(corners), size, size, dtype=torch.bool)
    for mask, (top, bottom, left, right) in zip(masks[0], corners, strict=True):
        mask[top:bottom, left:right] = True
    return masks


def test_pairwise_iou_equals_counting():
    masks = torch.from_numpy(np.random.default_rng(0).random((2, 5, 7, 9)) < 0.4)
    found = pairwise_iou(masks)
    for image in range(2):
        for i in range(5):
            for j in range(5):
                a, b = masks[image, i].numpy(), masks[image, j].numpy()
                assert abs(found[image, i, j] - (a & b).sum() / (a | b).sum()) < 1e-6


def test_pairwise_iou__empty_masks():
    masks = boxes((0, 0, 0, 0), (0, 0, 0, 0), (2, 4, 2, 4))
    assert torch.equal(pairwise_iou(masks)[0], torch.diag(torch.tensor([0.0, 0.0, 1.0])))


def test_vote_takes_the_mask_that_the_others_agree_with():
    masks = boxes((2, 8, 2, 8), (2, 8, 2, 7), (3, 8, 2, 8), (9, 11, 9, 11))
    winner, agreement = spectral_vote(masks)
    iou = pairwise_iou(masks)[0]
    assert winner.tolist() == [0]
    assert torch.isclose(agreement[0], (iou[0].sum() - 1) / 3)


def test_vote__masks_that_span_height_or_width_are_left_out():
    wide, tall = (0, 6, 0, 12), (0, 12, 0, 6)
    masks = boxes(wide, wide, wide, tall, (2, 6, 2, 6), (3, 6, 2, 6))
    assert framed(masks).tolist() == [[False, False, False, False, True, True]]
    winner, agreement = spectral_vote(masks)
    assert winner.tolist() == [4]
    assert torch.isclose(agreement[0], torch.tensor(12 / 16))


def test_vote__separate_parts_on_both_borders_span_the_image():
    masks = boxes((0, 1, 0, 1))
    masks[0, 0, -1, 5] = True
    assert framed(masks).tolist() == [[False]]


def test_vote__all_span_so_all_are_kept():
    masks = boxes((0, 6, 0, 12), (0, 5, 0, 12), (9, 12, 0, 12))
    assert not framed(masks).any()
    assert spectral_vote(masks)[0].tolist() == [0]


def test_vote__one_left_is_sure_of_itself():
    winner, agreement = spectral_vote(boxes((0, 6, 0, 12), (3, 5, 3, 5)))
    assert (winner.tolist(), agreement.tolist()) == ([1], [1.0])


def test_vote__empty_candidates_lose():
    winner, _ = spectral_vote(boxes((0, 0, 0, 0), (0, 0, 0, 0), (3, 5, 3, 5)))
    assert winner.tolist() == [2]


def test_vote__tie_takes_the_first():
    assert spectral_vote(boxes((2, 4, 2, 4), (6, 8, 6, 8)))[0].tolist() == [0]


def test_vote_of_a_batch_is_that_of_each():
    masks = torch.from_numpy(np.random.default_rng(1).random((4, 6, 10, 10)) < 0.3)
    masks[:2, :, 0] = masks[:2, :, :, 0] = False
    winners, agreements = spectral_vote(masks)
    alone = [spectral_vote(masks[number : number + 1]) for number in range(4)]
    assert winners.tolist() == [winner.item() for winner, _ in alone]
    assert torch.allclose(agreements, torch.cat([agreement for _, agreement in alone]))
