"""The words that pixels are compared with, each with its label and text embedding."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from namesake.encoders import Clip, load_clip
from namesake.errors import WeightsError
from namesake.names.words import SENTENCES, Prompts, words_of
from namesake.records import Names


class Words(NamedTuple):
    """Words and what they stand for: background words first, then each name followed by its synonyms.

    Attributes:
        words: Words as they are encoded.
        labels: Label of each word; 0 for background words.
        texts: L2-normalised embeddings.
    """

    words: tuple[str, ...]
    labels: tuple[int, ...]
    texts: Float[Tensor, "words joint"]


@final
class TextSide:
    """Encodes words with the text side of a CLIP, which is loaded when the first unknown word is asked for.

    Args:
        source: The CLIP: hub id, folder or `embedded:clip`.
        prompts: Sentences that a word is put into.
        joint: Length of the embeddings that are wanted.
        device: Device that computes.
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
        return Words(words, labels, self.texts_of(words))

    def texts_of(self, words: Sequence[str]) -> Float[Tensor, "words joint"]:
        """Embeddings of words; those that are not known yet are encoded.

        Raises:
            WeightsError: A word is new, and the CLIP cannot be loaded or its embeddings are of another length.
        """
        new = list(dict.fromkeys(word for word in words if word not in self._known))
        if new:
            self._known |= zip(new, self._encode(new), strict=True)
        return torch.stack([self._known[word] for word in words])

    def _encode(self, words: Sequence[str]) -> Float[Tensor, "words joint"]:
        if self._clip is None:
            self._clip = load_clip(self.source, device=self.device)
        if self._clip.dim != self.joint:
            raise WeightsError(
                f"{self.source} makes text embeddings of {self._clip.dim} values, the segmenter's tokens have "
                f"{self.joint}: it was trained with another CLIP. Name the CLIP that it was trained with."
            )
        return torch.from_numpy(self._clip.embed_names(words, SENTENCES[self.prompts]))
