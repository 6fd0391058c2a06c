"""Words in: a line, a file or JSON becomes `Names`; prompt templates turn names into text embeddings.

Knows neither images nor which encoder reads the prompts.
"""

from namesake.names.doubts import say_wording
from namesake.names.prompts import TEMPLATES, embed, fill
from namesake.names.table import table_of
from namesake.names.vocabulary import KEPT, read_kept_names, read_names, write_names

__all__ = [
    "KEPT",
    "TEMPLATES",
    "embed",
    "fill",
    "read_kept_names",
    "read_names",
    "say_wording",
    "table_of",
    "write_names",
]
