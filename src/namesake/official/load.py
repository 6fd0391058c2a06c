"""Build the network that a published checkpoint belongs to, and load its weights.

Files are read with `weights_only=True`, so that nothing in them is executed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from namesake.encoders.weights import read_state
from namesake.errors import ConfigError, WeightsError, unknown
from namesake.networks import (
    DeepLab,
    QuerySegmenter,
    SelfMask,
    load_official_deeplab,
    load_official_selfmask,
    load_official_zutis,
)

Kind = Literal["selfmask", "namedmask", "zutis"]
"""Which published code wrote a checkpoint; experts and ReCo+ are written as "namedmask" is."""

KINDS: tuple[Kind, ...] = get_args(Kind)
MARKS: Mapping[str, Kind] = {
    "encoder.patch_embed.proj.weight": "selfmask",
    "classifier.classifier.3.weight": "namedmask",
    "encoder.positional_embedding": "zutis",
}
"""A key that checkpoints of one kind have and those of the others have not."""


def load_official(
    kind: Kind,
    path_or_state_dict: str | Path | Mapping[str, Tensor],
    *,
    text_embeddings: Float[Tensor, "words joint"] | Float[ndarray, "words joint"] | None = None,
) -> SelfMask | DeepLab | QuerySegmenter:
    """Build the network that a published checkpoint belongs to, and fill it; sizes are read from the checkpoint.

    Args:
        kind: "selfmask" (10 or 20 queries), "namedmask" (also its experts and ReCo+) or "zutis" (ViT-B/16, ViT-B/32).
        path_or_state_dict: A file written by `torch.save`, or its content: a state dict, flat or under "model" or
            "state_dict".
        text_embeddings: For "zutis" alone, which needs them and whose checkpoints hold none: of "background" and the
            names, in label order; the published ones are of bare names. They are L2-normalised here.

    Returns:
        The network in float32, in evaluation mode, on the CPU. Its input is float32 [batch, 3, height, width],
        normalised with ImageNet's mean and standard deviation. "selfmask" returns `mask_probs`
        [batch, queries, rows, columns] and `objectness` [batch, queries] (logits); "namedmask" logits
        [batch, labels, height, width]; "zutis" `mask_probs` and `tokens` [batch, rows, columns, joint].

    Raises:
        ConfigError: There is no such kind, or text embeddings are missing or given to a kind that takes none.
        WeightsError: The file is missing, damaged or holds more than weights; the checkpoint is of another kind; keys
            are missing, extra or of another shape (they are listed); or the text embeddings do not fit.

    Examples:
        >>> network = namesake.load_official("selfmask", "selfmask_nq20.pt")  # doctest: +SKIP
        >>> from safetensors.torch import load_file
        >>> try:
        ...     namesake.load_official("selfmask", load_file("runs/trained/segmenter/model.safetensors"))
        ... except namesake.NamesakeError as error:
        ...     print(error)
        expected a selfmask checkpoint, found one of the kind namedmask. Ask for that kind.
    """
    if kind not in KINDS:
        raise ConfigError(unknown("kind of checkpoint", kind, KINDS))
    if (kind == "zutis") != (text_embeddings is not None):
        takes = "needs the text embeddings of background and the names" if kind == "zutis" else "takes none"
        raise ConfigError(f"text_embeddings: {kind} {takes}. Only zutis compares its tokens with them.")
    state = read_state(path_or_state_dict)
    empty = [key for key, value in state.items() if not value.numel()]
    if empty or not state:
        what = f"tensors without a value: {', '.join(empty[:8])}" if empty else "no weights"
        raise WeightsError(f"expected a {kind} checkpoint, found {what}. Fetch the file again from its publisher.")
    found = kind_of(state)
    if found not in {kind, None}:
        raise WeightsError(f"expected a {kind} checkpoint, found one of the kind {found}. Ask for that kind.")
    if kind == "selfmask":
        return load_official_selfmask(state)
    if kind == "namedmask":
        return load_official_deeplab(state)
    return load_official_zutis(state, text_embeddings=torch.as_tensor(text_embeddings))


def kind_of(state: Mapping[str, Tensor]) -> Kind | None:
    """Which kind of checkpoint a flat state dict comes from; None where nothing tells."""
    return next((kind for key, kind in MARKS.items() if key in state), None)
