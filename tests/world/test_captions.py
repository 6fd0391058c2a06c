"""Captions: noisy in the promised shares, and true otherwise."""

import numpy as np

from namesake.world.captions import sample_caption
from namesake.world.families import NAMES
from namesake.world.palette import COLOURS
from namesake.world.scenes import sample_layout


def test_caption__shares_of_names_and_colours():
    named, coloured, right, total = 0, 0, 0, 200
    for seed in range(total):
        rng = np.random.default_rng(seed)
        layout = sample_layout("unlabelled", rng, NAMES)
        things = [thing for thing in layout.things if thing.name]
        words = sample_caption(layout, rng).split()
        if len(things) == 1 and things[0].name in words:
            named += 1
            before = words[words.index(things[0].name) - 1]
            coloured += before in COLOURS
            right += before == things[0].paint.name
        elif len(things) != 1:
            total -= 1
    assert 0.78 < named / total < 0.97
    assert 0.48 < coloured / named < 0.72
    assert 0.80 < right / coloured < 0.97


def test_caption__articles():
    texts = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        texts.append(sample_caption(sample_layout("captioned", rng, NAMES), rng))
    text = " ".join(texts)
    assert " an orange " in text
    assert not any(f" a {word}" in text for word in ("orange", "umbrella", "airplane", "image"))
    assert "  " not in text
    assert len(set(texts)) > 80
