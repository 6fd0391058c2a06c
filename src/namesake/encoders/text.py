"""Tokenise texts as a CLIP's text encoder was trained to read them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from torch import Tensor

from namesake.encoders.loading import first_line, quiet
from namesake.errors import WeightsError

# transformers' CLIPTextModel takes the sentence's vector at the end-of-text token, and finds that token in one of two
# ways. With `eos_token_id == 2` in the text configuration (every configuration published by OpenAI says so, wrongly)
# it takes the largest id of the sentence: right only where end-of-text is the last word of the vocabulary. With any
# other value it takes the first position that holds exactly that id, and position 0 when none does. Both fail without
# a word. So a CLIP made with another tokenizer must say text_config.eos_token_id = tokenizer.eos_token_id, which must
# not be 2, and the tokenizer must append that token to every text. `check_end_of_text` refuses anything else.
LEGACY_END_OF_TEXT = 2


@final
class Tokenizer:
    """Texts to token ids, padded and cut as the text encoder was trained.

    Args:
        tokenizer: transformers' tokenizer.
        length: Most tokens that the text encoder reads.
        fixed: Pad every text to `length` and give no attention mask, as SigLIP was trained (it reads the last
            position); else pad to the longest of the batch, with a mask. SigLIP 2 was trained on lower-case text.
    """

    def __init__(self, tokenizer: Any, *, length: int, fixed: bool) -> None:  # noqa: ANN401
        self.tokenizer, self.length, self.fixed = tokenizer, length, fixed
        self.tokenizer.padding_side = "right"  # as all of them were trained; Gemma's tokenizer class pads on the left

    def __call__(self, texts: Sequence[str]) -> Mapping[str, Tensor]:
        """`input_ids` [batch, tokens] and, unless `fixed`, `attention_mask` of the same shape; int64."""
        batch = self.tokenizer(
            [text.lower() for text in texts] if self.fixed else list(texts),
            padding="max_length" if self.fixed else "longest",
            max_length=self.length,
            truncation=True,
            return_tensors="pt",
        )
        return {key: batch[key] for key in (("input_ids",) if self.fixed else ("input_ids", "attention_mask"))}


def load_tokenizer(folder: Path, *, source: str, model_type: str, text_config: Any) -> Tokenizer:  # noqa: ANN401
    """Load and check a folder's tokenizer; the network is not asked.

    Raises:
        WeightsError: It cannot be read, or does not fit the text encoder.
    """
    from transformers import AutoTokenizer

    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # each tokenizer format has its own
            raise WeightsError(f"{source}: the tokenizer in {folder} cannot be read: {first_line(error)}.") from error
    if len(tokenizer) > text_config.vocab_size:
        raise WeightsError(
            f"{source}: the tokenizer in {folder} has {len(tokenizer)} words, but the text encoder only "
            f"{text_config.vocab_size}. They belong to different models; fetch both from one publisher."
        )
    if model_type == "clip":
        check_end_of_text(tokenizer, source=source, configured=int(text_config.eos_token_id))
    return Tokenizer(tokenizer, length=int(text_config.max_position_embeddings), fixed=model_type == "siglip")


def check_end_of_text(tokenizer: Any, *, source: str, configured: int) -> None:  # noqa: ANN401
    """Refuse a tokenizer whose end-of-text token CLIPTextModel would not find (see LEGACY_END_OF_TEXT).

    Raises:
        WeightsError: It would pool at another token.
    """
    ids = tokenizer("a")["input_ids"]
    legacy = configured == LEGACY_END_OF_TEXT
    wanted = max(ids) if legacy else configured
    fits = bool(ids) and ids[-1] == wanted == tokenizer.eos_token_id
    if legacy:
        fits = fits and tokenizer.eos_token_id == len(tokenizer) - 1
    if not fits:
        raise WeightsError(
            f"{source}: the text encoder looks for the end of a text at "
            f"{'the largest token id' if legacy else f'token id {configured}'} (text_config.eos_token_id is "
            f"{configured}), but the tokenizer ends texts with id {ids[-1] if ids else None} "
            f"(eos_token_id {tokenizer.eos_token_id}, {len(tokenizer)} words). "
            "Set text_config.eos_token_id in config.json to the tokenizer's, which must not be 2."
        )
