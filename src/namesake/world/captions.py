"""Write noisy captions of scenes, as people do: names dropped, colours left out or wrong."""

import numpy as np

from namesake.world.palette import COLOURS
from namesake.world.scenes import Layout

PATTERNS_SOME = (
    "a photo of {things}",
    "a picture of {things}",
    "{things}",
    "there is {things} {place}",
    "{things} {place}",
    "a photo of {things} {place}",
    "{things} in front of {backdrop}",
    "{things} {place} in front of {backdrop}",
    "this is {things}",
    "an image of {things} {place}",
)
PATTERNS_NONE = ("a photo of something {place}", "{ground} and {backdrop}", "a picture taken in front of {backdrop}")
DROPPED, WRONG_COLOUR, NO_COLOUR = 0.12, 0.10, 0.40


def sample_caption(layout: Layout, rng: np.random.Generator) -> str:
    """A caption that names most of the named things of a scene, in random order."""
    phrases = []
    for thing in layout.things:
        if thing.name is not None and rng.random() >= DROPPED:
            phrases.append(_phrase(thing.name, thing.paint.name, rng))
    phrases = [phrases[i] for i in rng.permutation(len(phrases))]
    patterns = PATTERNS_SOME if phrases else PATTERNS_NONE
    pattern = patterns[int(rng.integers(len(patterns)))]
    backdrop = "the sky" if layout.backdrop == "sky" else _with_article(layout.backdrop)
    place = f"on the {layout.ground}"
    things = " and ".join([", ".join(phrases[:-1]), phrases[-1]]) if len(phrases) > 1 else "".join(phrases)
    return pattern.format(things=things, place=place, ground=layout.ground, backdrop=backdrop)


def _phrase(name: str, colour: str, rng: np.random.Generator) -> str:
    if rng.random() < NO_COLOUR:
        return _with_article(name)
    if rng.random() < WRONG_COLOUR:
        others = [other for other in COLOURS if other != colour]
        colour = others[int(rng.integers(len(others)))]
    return _with_article(f"{colour} {name}")


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
