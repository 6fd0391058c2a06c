"""What a model is, and what may be done with it: its name, licence and tier."""

import re
from pathlib import Path

from namesake.encoders.files import kind_of
from namesake.encoders.presets import EMBEDDED
from namesake.encoders.sources import find, known_model
from namesake.records import ModelCard

SPDX = {"apache-2.0": "Apache-2.0", "mit": "MIT"}
WORDS_OF_LICENCE = {"Apache License": "Apache-2.0", "MIT License": "MIT"}


def read_card(source: str, *, folder: Path) -> ModelCard:
    """From the table of known models, else from the README or LICENSE beside the weights, else licence "unknown"."""
    tier = "M" if folder.is_dir() and kind_of(folder) == "sam" else "S"
    if source.startswith(EMBEDDED):
        return ModelCard(name=source, source=source, licence="Apache-2.0", tier=tier)
    known = known_model(source)
    if known is not None:
        return ModelCard(name=known.name, source=source, licence=known.licence, tier=known.tier)
    return ModelCard(name=Path(source).name, source=source, licence=stated_licence(folder), tier=tier)


def card_of(source: str) -> ModelCard:
    """`read_card` of a model wherever it lies on this machine."""
    return read_card(source, folder=find(source).path or Path(source))


def stated_licence(folder: Path) -> str:
    """The `license:` entry of a model folder's README, or the name of a well-known LICENSE text."""
    readme, licence = folder / "README.md", folder / "LICENSE"
    if readme.is_file():
        match = re.search(r"^license:\s*[\"']?([\w.+-]+)", readme.read_text(encoding="utf-8", errors="replace"), re.M)
        if match is not None:
            return SPDX.get(match[1].lower(), match[1])
    if licence.is_file():
        head = licence.read_text(encoding="utf-8", errors="replace")[:500]
        return next((name for words, name in WORDS_OF_LICENCE.items() if words in head), "unknown")
    return "unknown"
