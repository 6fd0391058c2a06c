"""The objects of one image after another in, appended to `instances.jsonl`; those of any image out again."""

import json
from collections.abc import Collection, Iterator, KeysView, Sequence
from itertools import accumulate
from os import SEEK_END
from pathlib import Path
from types import TracebackType
from typing import Any

from namesake.errors import WorkspaceError
from namesake.workspace import advice, write_bytes

LINES = "instances.jsonl"


class ObjectsFile:
    """`instances.jsonl`, one line an image in the order in which they were done. Use as a context.

    What an earlier, killed run left is kept, less a tail that is cut off or whose images are not `done`. Holds the
    place of each line in memory, not its content.

    Args:
        folder: Folder of the file.
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

    def arrange(self, ids: Sequence[str]) -> None:
        """Bring the lines into the order of these images, which all have one, and drop those of all others."""
        lines = [self._line(image_id) for image_id in ids]
        self._file.seek(0)
        if self._file.read() == b"".join(lines):
            return
        write_bytes(self._folder / LINES, b"".join(lines))
        self._file.close()
        self._file = (self._folder / LINES).open("r+b")
        ends = accumulate(map(len, lines), initial=0)
        self._places = dict(zip(ids, ends, strict=False))

    def _line(self, image_id: str) -> bytes:
        self._file.seek(self._places[image_id])
        return bytes(self._file.readline())

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
            reason = f"cannot write {self._folder / LINES}: {error.strerror}. {advice(error.errno)}"
            raise WorkspaceError(f"{reason}, then run the same again.") from error

    def read(self, image_id: str) -> dict[str, Any]:
        """The line of one image."""
        return dict(json.loads(self._line(image_id)))


def read_lines(folder: Path) -> dict[str, dict[str, Any]]:
    """The last line of each image in a folder's file, whole or not; without the annotations."""
    try:
        with (folder / LINES).open("rb") as file:
            lines = [json.loads(line) for _, line in _lines_with_places(file) if _image_of(line) is not None]
    except OSError:
        return {}
    return {line["image"]: {key: value for key, value in line.items() if key != "annotations"} for line in lines}


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
