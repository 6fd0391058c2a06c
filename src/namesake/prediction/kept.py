"""A folder of results and the images of now in; what the images of now did not make is removed, the rest stays.

A result belongs to the bytes that it was made of: `inputs.parquet` says which they were.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath

from namesake.errors import WorkspaceError
from namesake.images.identity import Known, identify, is_there, recall
from namesake.progress import note
from namesake.records import Images
from namesake.workspace import read_inputs, write_inputs

LONGEST = 255
"""Bytes of a file's name, on nearly all file systems."""
SHOWN = 3


def stems_of(ids: Sequence[str]) -> dict[str, str]:
    """For each image id, the path of what is written for it, without suffix unless that is all that tells two apart.

    No two are alike, whatever the suffixes; a name that would become too long for a file ends in a digest.
    """
    stems = {image_id: str(PurePosixPath(image_id).with_suffix("")) for image_id in ids}
    counts = Counter(stems.values())
    known = frozenset(ids)
    return {
        image_id: _fitting(stem if counts[stem] == 1 and stem not in known else image_id, image_id)
        for image_id, stem in stems.items()
    }


def _fitting(stem: str, image_id: str) -> str:
    path, suffix = PurePosixPath(stem), PurePosixPath(image_id).suffix
    name = os.fsencode(path.name)
    if len(name) + max(len(".png"), len(os.fsencode(suffix))) <= LONGEST:
        return stem
    cut = name[:200].decode(errors="ignore")
    return str(path.with_name(f"{cut}~{sha256(os.fsencode(image_id)).hexdigest()[:8]}"))


def keep_current(
    out: Path,
    images: Images,
    *,
    whole_folder: bool,
    remove: Callable[[str], None],
    made: Callable[[], Mapping[str, int]],
) -> None:
    """Remove the results of images that changed, are gone, or are called otherwise now; write what the images are.

    Args:
        out: The folder of the results.
        images: Images of now.
        whole_folder: The images are all those of their folder.
        remove: Removes the result of a stem.
        made: Made of results made by an earlier version, which did not write what the images were: each one's stem and
            time of change in nanoseconds. Those that are younger than their image are kept.

    Raises:
        WorkspaceError: The results are of other images, which are still there.
    """
    home, before = read_inputs(out)
    recall(before)
    now, stems = identify(images), stems_of(images.ids)
    if before:
        old = {path.removeprefix(f"{home}/"): known for path, known in before.items()}
        _refuse_others(out, images, old, now, home=home, whole_folder=whole_folder)
        old_stems = stems_of(list(old))
        stale = [
            image_id
            for image_id, known in old.items()
            if image_id not in now or now[image_id].digest != known.digest or stems[image_id] != old_stems[image_id]
        ]
        for image_id in stale:
            remove(old_stems[image_id])
        if stale:
            some = ", ".join(stale[:SHOWN])
            note(f"{out}: {len(stale)} images changed or are gone since it was written ({some}); theirs is made anew")
    else:
        image_of = {stem: now[image_id] for image_id, stem in stems.items()}
        for stem, time in made().items():
            known = image_of.get(stem)
            if known is None or time < max(known.modified_ns, known.changed_ns):
                remove(stem)
    present = {str(images.path(image_id)): known for image_id, known in now.items()}
    if present != before:
        write_inputs(out, present, home=str(images.folder))


def _refuse_others(
    out: Path, images: Images, old: Mapping[str, Known], now: Mapping[str, Known], *, home: str, whole_folder: bool
) -> None:
    """Refuse to mix results of two sets of images; a folder that was moved or copied is the same set."""
    if home != str(images.folder):
        others = [each for each, known in old.items() if each not in now or now[each].digest != known.digest]
    else:
        others = [] if whole_folder else [each for each in old if each not in now and is_there(images.path(each))]
    if others:
        raise WorkspaceError(
            f"{out} holds what was made of {len(old)} images in {home}, among them {others[0]}, which is not among the "
            f"{len(now)} that are given now from {images.folder}. Choose another --out, or give these together with "
            "the others."
        )
