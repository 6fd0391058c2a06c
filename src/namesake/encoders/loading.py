"""Load a transformers model from a folder in float32, with every weight in place."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from namesake.encoders.files import read_json
from namesake.errors import WeightsError, listed


def model_type(folder: Path, *, source: str, expected: Collection[str]) -> str:
    """The folder's `model_type`, checked before anything is loaded.

    Raises:
        WeightsError: It is not one of `expected`.
    """
    found = str(read_json(folder / "config.json").get("model_type"))
    if found not in expected:
        raise WeightsError(
            f"{source}: expected a model of type {' or '.join(sorted(expected))}, found {found!r} in "
            f"{folder / 'config.json'}. Name another source for this part."
        )
    return found


def load_network(network: str, folder: Path, *, source: str, **options: bool) -> Any:  # noqa: ANN401
    """Load a network for evaluation, on the CPU, in float32 whatever the file stores.

    transformers keeps the stored type (float16 here and there) unless told otherwise, and fills absent weights with
    random numbers and a log line; both are undone here.

    Args:
        network: Name of transformers' class.
        folder: Its folder: config.json and weights.
        source: Source in the user's words, for messages.
        **options: Keyword arguments of the class itself, such as `add_pooling_layer`.

    Raises:
        WeightsError: The file is damaged, lacks weights, or they have other shapes than the configuration says.
    """
    import transformers

    load = getattr(transformers, network).from_pretrained
    rules = {"dtype": torch.float32, "local_files_only": True, "output_loading_info": True}
    with quiet():
        try:
            model, report = load(folder, **rules, **options)
        except Exception as error:  # each reader (JSON, safetensors, torch, the model itself) has its own
            raise WeightsError(f"{source}: {folder} cannot be loaded: {first_line(error)}. Fetch it again.") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise WeightsError(
            f"{source}: {folder} lacks the weights {listed(missing, most=5)} of {network}. "
            "The file is incomplete or belongs to another model; fetch it again from its publisher."
        )
    return model.eval()


@contextmanager
def quiet() -> Iterator[None]:
    """No bars and no load reports of transformers on the terminal; its settings are put back."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def first_line(error: Exception) -> str:
    """Kind of an error and the first line of its message, without torch's advice to open a file unsafely."""
    said = str(error)
    if "weights_only" in said:  # torch advises to run what is in the file
        refused = re.search(r"Unsupported [^.\n]*|Unsupported \S+", said)
        return f"{type(error).__name__}: {refused[0] if refused else 'it is no file of weights'}"
    lines = said.strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
