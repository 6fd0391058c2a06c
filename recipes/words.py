"""Captions in, the words that say what is to be seen out, and the loss of guessing them; knows no network."""

import re

import numpy as np
import torch
from torch import Tensor

from namesake.names.prompts import TEMPLATES
from namesake.world import NAMES, STUFF
from namesake.world.palette import COLOURS

TOPICS = (*NAMES, *STUFF)
WORDS = (*TOPICS, *COLOURS)
PHRASE = re.compile(rf"(?:\b({'|'.join(COLOURS)}) )?\b({'|'.join(NAMES)})\b")
WORD = re.compile(rf"\b(?:{'|'.join(WORDS)})\b")
STUFF_PHRASE = re.compile(rf"\b({'|'.join(STUFF)})\b")


def rewrite(caption: str, rng: np.random.Generator) -> str:
    """The caption, or in half of the cases one phrase of it in a prompt template (stuff in one of ten)."""
    draw = rng.random()
    things = [match.group(0) for match in PHRASE.finditer(caption)]
    stuff = [match.group(0) for match in STUFF_PHRASE.finditer(caption)]
    phrases = things if draw < 0.5 else stuff if draw < 0.6 else []
    if not phrases:
        return caption
    template = TEMPLATES[int(rng.integers(len(TEMPLATES)))]
    return template.format(phrases[int(rng.integers(len(phrases)))])


def content(text: str) -> tuple[str, ...]:
    """The words of a text that say what is to be seen."""
    return tuple(sorted(set(WORD.findall(text))))


def _groups(values: Tensor) -> list[Tensor]:
    """The columns of names, of stuff and, if there are more, of colours."""
    sizes = [len(NAMES), len(STUFF), len(COLOURS)]
    return list(values.split(sizes if values.shape[1] == len(WORDS) else sizes[:2], dim=1))


def probabilities(logits: Tensor) -> Tensor:
    """Softmax of logits [n, words] within names, within stuff and within colours."""
    return torch.cat([group.softmax(1) for group in _groups(logits)], 1)


def said_most(logits: Tensor, said: Tensor) -> Tensor:
    """Cross entropy within names, plus three tenths of those within stuff and within colours.

    Args:
        logits: [n, words], or [n, topics] without the colours.
        said: Targets of the same shape, 0 or 1 or probabilities; a row counts in a group where it has any.
    """
    total = logits.new_zeros(())
    for group, target, weight in zip(_groups(logits), _groups(said), (1, 0.3, 0.3), strict=False):
        sums = target.sum(1)
        losses = -(target / sums.clamp(min=1e-6)[:, None] * group.log_softmax(1)).sum(1)
        total = total + weight * losses[sums > 0].sum() / (sums > 0).sum().clamp(min=1)
    return total
