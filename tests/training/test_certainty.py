"""Confidence from pseudo-labels: the temperature is the best one, thresholds leave out the share asked for."""

from types import SimpleNamespace

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional

from namesake.records import Names
from namesake.training import certainty
from namesake.training.certainty import fit_logit_scale


def test_temperature__as_scipy_finds_it() -> None:
    generator = torch.Generator().manual_seed(0)
    cosines = torch.rand(500, 4, generator=generator) * 2 - 1
    labels = torch.distributions.Categorical(logits=12 * cosines).sample()
    found = fit_logit_scale(cosines, labels, torch.arange(4))
    exact = cosines.double()
    best = minimize_scalar(
        lambda scale: float(functional.cross_entropy(scale * exact, labels)), bounds=(1, 200), method="bounded"
    )
    assert abs(found / best.x - 1) < 0.006  # three digits


def test_temperature__synonyms_share_a_label() -> None:
    generator = torch.Generator().manual_seed(0)
    cosines = torch.rand(500, 3, generator=generator) * 2 - 1
    words = torch.distributions.Categorical(logits=12 * cosines).sample()
    owners = torch.tensor([0, 1, 1])
    found = fit_logit_scale(cosines, owners[words], owners)

    def loss(scale: float) -> float:
        probabilities = (scale * cosines.double()).softmax(1)
        sums = torch.zeros(500, 2, dtype=torch.float64).index_add_(1, owners, probabilities)
        return float(functional.nll_loss(sums.log(), owners[words]))

    best = minimize_scalar(loss, bounds=(1, 200), method="bounded")
    assert abs(found / best.x - 1) < 0.006  # three digits


class Canned:
    """A predictor that is asked for its words alone."""

    def __init__(self, names: Names) -> None:
        from namesake.segmenter.words import Words, words_of

        self.words = Words(*words_of(names), torch.zeros(0, 1))


def test_thresholds__leave_out_the_share_of_agreeing_pixels(monkeypatch) -> None:
    generator = torch.Generator().manual_seed(1)
    cosines = torch.rand(6000, 4, generator=generator) * 2 - 1
    labels = torch.distributions.Categorical(logits=9 * cosines).sample()
    labels[labels == 3] = 0  # the last name was never seen
    monkeypatch.setattr(certainty, "_look", lambda *_, **__: (cosines, labels))
    predictor = Canned(Names(("dog", "cat", "bird")))
    found = certainty.find_certainty(predictor, None, unsure_fraction=0.1, resize_longer=2048)
    sure, chosen = (found.logit_scale * cosines).softmax(1).max(1)
    for label, word in enumerate(("background", "dog", "cat")):
        agreeing = sure[(chosen == labels) & (labels == label)]
        assert abs(float((agreeing < found.least[word]).float().mean()) - 0.1) < 0.01
    assert "bird" not in found.least
    assert found.least_elsewhere == np.median([found.least["dog"], found.least["cat"]])
    assert not certainty.find_certainty(predictor, None, unsure_fraction=0.0, resize_longer=2048).least


def test_looks__at_images_of_the_size_that_is_predicted(monkeypatch) -> None:
    sizes = []

    def network(batch):
        sizes.append(tuple(batch.shape[-2:]))
        return SimpleNamespace(tokens=torch.ones(1, 2, 3, 4))

    predictor = SimpleNamespace(
        network=network,
        texts=torch.ones(2, 4),
        input=lambda images, **_: torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2),
    )
    monkeypatch.setattr(certainty, "read_line", lambda *_: (np.zeros((30, 60, 3), np.uint8), np.zeros((30, 60), bool)))
    examples = SimpleNamespace(archive=np.zeros(1), label=np.ones(1))
    cosines, _ = certainty._look(predictor, examples, resize_longer=40, seed=0)
    assert sizes == [(20, 40)]
    assert cosines.shape == (6, 2)
