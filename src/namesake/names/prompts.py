"""Put each name into many sentences and average their text embeddings.

It does not know which encoder reads the sentences.
"""

from collections.abc import Sequence
from importlib.resources import files
from itertools import chain
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from namesake.errors import ConfigError
from namesake.records import Names

TEMPLATES = tuple(files(__package__).joinpath("templates.txt").read_text(encoding="utf-8").splitlines())
"""The 85 sentences of the published archives: CLIP's 80 for ImageNet, then five about a scene (official order)."""


@runtime_checkable
class TextEncoder(Protocol):
    """What `embed` needs of an encoder; `namesake.encoders.Clip` is one."""

    def embed_names(self, names: Sequence[str], templates: Sequence[str]) -> Float[ndarray, "names dim"]:
        """One unit vector a name, float32: the renormalised mean over its prompts' unit vectors."""
        ...


def fill(name: str, templates: Sequence[str] = TEMPLATES) -> list[str]:
    """Put a name into each template.

    Args:
        name: Any text; braces in it stay as they are.
        templates: Sentences with the place of the name marked `{}`.

    Returns:
        One prompt a template, in their order.

    Raises:
        ConfigError: No template, or one without `{}`.
    """
    if not templates:
        raise ConfigError('expected at least one prompt template, found none; use ["{}"] for bare names.')
    for template in templates:
        if "{}" not in template:
            raise ConfigError(f"the prompt template {template!r} has no {{}} where the name belongs; add it.")
    return [template.replace("{}", name) for template in templates]


def embed(names: Names, clip: TextEncoder, templates: Sequence[str] = TEMPLATES) -> Float[ndarray, "names dim"]:
    """Text embedding of each name: the renormalised mean over the name's and its synonyms' prompt ensembles.

    Averaging over templates follows CLIP (Radford et al. 2021, section 3.1.4) and the archives of ReCo, NamedMask and
    ZUTIS, which have no synonyms; a name without synonyms gets exactly their embedding.

    Args:
        names: The names, with or without synonyms; background words are not embedded.
        clip: A text encoder.
        templates: Sentences with `{}` for the name.

    Returns:
        float32 [names, dim], unit length, in label order.

    Raises:
        ConfigError: A template without `{}`, or none.
    """
    owner = [row for row, words in enumerate(names.words) for _ in words]
    words = list(chain.from_iterable(names.words))
    per_word = np.asarray(clip.embed_names(words, templates), dtype=np.float32)
    if len(words) == len(names):
        return per_word
    total = np.zeros((len(names), per_word.shape[1]), dtype=np.float64)
    np.add.at(total, owner, per_word)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(length, 1e-12), dtype=np.float32)
