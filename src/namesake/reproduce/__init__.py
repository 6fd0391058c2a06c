"""Tables of the papers, run on the embedded world: ours beside the published. It knows how to run what others made."""

from namesake.reproduce.papers import PAPERS
from namesake.reproduce.places import Scale
from namesake.reproduce.record import reproduce
from namesake.reproduce.run import tables_of

__all__ = ["PAPERS", "Scale", "reproduce", "tables_of"]
