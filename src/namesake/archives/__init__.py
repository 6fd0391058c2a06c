"""An index and names in, an archive of images for each name out, with contact sheets and notes on what to distrust.

Knows no masks: which pixels show the name is the next stage's question.
"""

from namesake.archives.join import join_archives
from namesake.archives.retrieve import ArchivesConfig, retrieve, write_archives
from namesake.archives.store import open_archives, rows, unique_images

__all__ = ["ArchivesConfig", "join_archives", "open_archives", "retrieve", "rows", "unique_images", "write_archives"]
