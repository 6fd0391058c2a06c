"""A reader of label maps in, the same with several ids that do not count drawn as one, out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from namesake.shapes import LabelArray


@dataclass(frozen=True)
class Remapped:
    """Reads a label map and draws further ids that do not count as the one that does not.

    Attributes:
        read: Reads it.
        ignored: Further ids that do not count.
        ignore: Label that they become.
    """

    read: Callable[[str], LabelArray]
    ignored: tuple[int, ...]
    ignore: int

    def __call__(self, image_id: str) -> LabelArray:
        """The label map of one image."""
        labels = self.read(image_id)
        table = np.arange(max(int(labels.max(initial=0)), self.ignore, *self.ignored) + 1, dtype=labels.dtype)
        table[list(self.ignored)] = self.ignore
        return table[labels]
