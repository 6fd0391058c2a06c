"""An index and names in, an archive of images for each name out, with contact sheets and notes on what to distrust.

Knows no masks: which pixels show the name is the next stage's question.

The route over LAION: fetch the images of a table of URLs with img2dataset, give its output folder as the images and, if
clip-retrieval embedded them, that folder as `embeddings` (`index.adopt_embeddings`). `ArchivesConfig` says what is then
left out: faces, small images, near copies by embedding or by perceptual hash. Homonyms are told apart in the names
file: synonyms after the name, and after a dash what it is not ("crane, crane bird, - tower crane").
"""

from namesake.archives.join import join_archives
from namesake.archives.retrieve import ArchivesConfig, retrieve, write_archives
from namesake.archives.store import open_archives, rows, unique_images

__all__ = ["ArchivesConfig", "join_archives", "open_archives", "retrieve", "rows", "unique_images", "write_archives"]
