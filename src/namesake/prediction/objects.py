"""The objects of one image after another in, appended to `instances.jsonl`; those of any image out again."""

import json
from collections.abc import Collection, Iterator, KeysView
from os import SEEK_END
from pathlib import Path
from types import TracebackType
from typing import Any

from namesake.errors import WorkspaceError

LINES = "instances.jsonl"


class ObjectsFile:
    """`instances.jsonl`, one line an image in the order in which they were done. Use as a context.

    What an earlier, killed run left is kept, less a tail that is cut off or whose images are not `done`. Holds the
    place of each line in memory, not its content.

    Args:
        folder: Where the file lies.
        done: Images whose other files exist.
    """

    def __init__(self, folder: Path, *, done: Collection[str]) -> None:
        self._folder, self._done = folder, done
        self._places: dict[str, int] = {}

    def __enter__(self) -> "ObjectsFile":
        path = self._folder / LINES
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self._file = path.open("r+b")
        end = 0
        for place, line in _lines_with_places(self._file):
            image_id = _image_of(line)
            if image_id is None:
                break
            if image_id in self._done:
                self._places[image_id] = place
                end = place + len(line)
        self._file.truncate(end)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()

    @property
    def images(self) -> KeysView[str]:
        """The images that have a line."""
        return self._places.keys()

    def append(self, objects: dict[str, Any]) -> None:
        """Add the line of one more image: `image`, `height`, `width`, `kind`, `annotations`."""
        try:
            self._places[objects["image"]] = self._file.seek(0, SEEK_END)
            self._file.write(json.dumps(objects, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            reason = f"cannot write {self._folder / LINES}: {error.strerror}. Free space, then run the same again."
            raise WorkspaceError(reason) from error

    def read(self, image_id: str) -> dict[str, Any]:
        """The line of one image."""
        self._file.seek(self._places[image_id])
        return dict(json.loads(self._file.readline()))


def _lines_with_places(file: Any) -> Iterator[tuple[int, bytes]]:  # noqa: ANN401
    place = 0
    for line in file:
        yield place, line
        place += len(line)


def _image_of(line: bytes) -> str | None:
    """The image of a line; None where the line was cut off."""
    try:
        return str(json.loads(line)["image"]) if line.endswith(b"\n") else None
    except (ValueError, KeyError, TypeError):
        return None
