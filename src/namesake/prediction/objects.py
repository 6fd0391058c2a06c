"""The objects of one image after another in, appended to `instances.jsonl`; all of them out as `instances.json`."""

import json
from collections.abc import Collection, Iterator, KeysView, Sequence
from os import SEEK_END
from pathlib import Path
from types import TracebackType
from typing import Any

from namesake.errors import WorkspaceError
from namesake.prediction.export.coco import write_coco
from namesake.records import Names

LINES, COCO = "instances.jsonl", "instances.json"
SEGMENTS_INFO = (
    "The system finds no objects: each annotation is all pixels of one name in one image, with their mean confidence "
    "as its score. Do not count them as instances."
)
INFO = {"instances": "Each annotation is one object with the system's score.", "segments": SEGMENTS_INFO}


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

    def write_coco(self, ids: Sequence[str], names: Names) -> None:
        """Write `instances.json` with the objects of `ids`, in their order; the id of an image is its place there."""
        kinds = {self._read(image_id)["kind"] for image_id in ids if image_id in self.images}
        info = " ".join(text for kind, text in INFO.items() if kind in kinds)
        write_coco(
            self._folder / COCO,
            names=names,
            images=self._images(ids),
            annotations=self._annotations(ids),
            info={"description": info},
        )

    def _images(self, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        for number, image_id in enumerate(ids, start=1):
            if image_id in self.images:
                line = self._read(image_id)
                yield {"id": number, "file_name": image_id, "height": line["height"], "width": line["width"]}

    def _annotations(self, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        found = 0
        for number, image_id in enumerate(ids, start=1):
            for annotation in self._read(image_id)["annotations"] if image_id in self.images else ():
                found += 1
                yield {"id": found, "image_id": number, **annotation}

    def _read(self, image_id: str) -> dict[str, Any]:
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
