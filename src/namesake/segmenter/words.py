"""Names in, the words that pixels are compared with out, each with its label and text embedding; it knows no image."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from namesake.encoders import Clip, load_clip
from namesake.errors import NamesError, WeightsError
from namesake.names.prompts import TEMPLATES
from namesake.records import Names

Prompts = Literal["bare", "templates"]
"""What a word is put into before it is encoded: nothing (ZUTIS's published code), or the 85 templates (its paper)."""

BARE = ("{}",)


class Words(NamedTuple):
    """Words and what they stand for: background words first, then each name followed by its synonyms.

    Attributes:
        words: As they are encoded.
        labels: Of each word; 0 for background words.
        texts: L2-normalised embeddings.
    """

    words: tuple[str, ...]
    labels: tuple[int, ...]
    texts: Float[Tensor, "words joint"]


def words_of(names: Names) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The words of some names, and the label of each.

    Raises:
        NamesError: There is no name.
    """
    if not len(names):
        raise NamesError("expected at least one name to segment, found none. Give names, such as: dog, cat.")
    background = names.background or ("background",)
    synonyms = names.synonyms or ((),) * len(names)
    each = [(name, *others) for name, others in zip(names.names, synonyms, strict=True)]
    labels = [label for label, some in enumerate(each, start=1) for _ in some]
    return (*background, *(word for some in each for word in some)), (*((0,) * len(background)), *labels)


@final
class TextSide:
    """Encodes words with the text side of a CLIP, which is loaded when the first unknown word is asked for.

    Args:
        source: The CLIP: hub id, folder or `embedded:clip`.
        prompts: What a word is put into.
        joint: Length of the embeddings that are wanted.
        device: Where it computes.
        known: Embeddings that are at hand; those of further words join them.
        clip: The CLIP itself, where it is loaded already.
    """

    def __init__(
        self,
        source: str,
        *,
        prompts: Prompts,
        joint: int,
        device: str = "auto",
        known: Mapping[str, Tensor] = MappingProxyType({}),
        clip: Clip | None = None,
    ) -> None:
        self.source, self.prompts, self.joint, self.device = source, prompts, joint, device
        self._known, self._clip = dict(known), clip

    def words(self, names: Names) -> Words:
        """The words of some names with their embeddings, on the CPU; each word is encoded once.

        Raises:
            NamesError: There is no name.
            WeightsError: A word is new, and the CLIP cannot be loaded or its embeddings are of another length.
        """
        words, labels = words_of(names)
        new = list(dict.fromkeys(word for word in words if word not in self._known))
        if new:
            self._known |= zip(new, self._encode(new), strict=True)
        return Words(words, labels, torch.stack([self._known[word] for word in words]))

    def _encode(self, words: Sequence[str]) -> Float[Tensor, "words joint"]:
        if self._clip is None:
            self._clip = load_clip(self.source, device=self.device)
        if self._clip.dim != self.joint:
            raise WeightsError(
                f"{self.source} makes text embeddings of {self._clip.dim} values, the segmenter's tokens have "
                f"{self.joint}: it was trained with another CLIP. Name the CLIP that it was trained with."
            )
        templates = BARE if self.prompts == "bare" else TEMPLATES
        return torch.from_numpy(self._clip.embed_names(words, templates))
