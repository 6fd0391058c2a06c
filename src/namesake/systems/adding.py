"""Add names to a run: find out which are new, and keep what was made for the others.

Names that join a run later get archives, masks and experts of their own; those of earlier names stay as they are. What
was made of all names together is kept in `earlier/N-names`, where a system may go on from it.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from namesake.archives import join_archives
from namesake.archives.join import ADDED
from namesake.errors import WorkspaceError
from namesake.masks.join import join_masks
from namesake.progress import note
from namesake.records import Archives, Names, PseudoMasks
from namesake.workspace import MANIFEST, Step
from namesake.workspace.stage import Made, P, Stage

EARLIER, FEATURES, JOINED = "earlier", "features", "joined"
SEGMENTER, TEACHER, LABELS = "segmenter", "teacher", "labels"


class Joined(NamedTuple):
    """Names that joined a run later.

    Attributes:
        names: The names.
        step: Makes artifacts of their own.
        earlier: Folder of what was made of the names before them: a segmenter, and in it `teacher` and `labels`, each
            as far as there was one.
    """

    names: Names
    step: Step
    earlier: Path | None = None


Added = Sequence[Joined]
"""Parts in the order in which they joined."""


def parts_of(found: dict[str, Any], wanted: Names) -> list[Names]:
    """Split the wanted names into the parts in which a run got them; new names are the last part.

    Args:
        found: Content of `run.json`: `names`, and with names added before `parts`, how many each part has.
        wanted: All names, in any order.

    Returns:
        A single part if the run has names that are not wanted: it cannot be extended then.
    """
    held, sizes = list(found.get("names", ())), list(found.get("parts", ()) or [len(found.get("names", ()))])
    if not held or not {*held} <= {*wanted.names} or sum(sizes) != len(held):
        return [wanted]
    new = [name for name in wanted.names if name not in held]
    starts = [sum(sizes[:part]) for part in range(len(sizes))]
    parts = [held[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    return [some_of(wanted, part) for part in (*parts, new) if part]


def label_parts(
    label: Callable[..., tuple[Archives, PseudoMasks]], names: Names, *, step: Step, added: Added
) -> tuple[Archives, PseudoMasks]:
    """Archives and masks of all names: those of each part, joined where there are several.

    Args:
        label: Makes them for a part, from its names, `step`, and `taken`, the archives of the parts before.
        names: The first part.
        step: Step of the run.
        added: Further parts.
    """
    parts = [label(names, step=step, taken=())]
    for each in added:
        parts.append(label(each.names, step=each.step, taken=tuple(archives for archives, _ in parts)))
    if not added:
        return parts[0]
    archives = step(join_archives, *(each for each, _ in parts))
    return archives, step(join_masks, archives, *(masks for _, masks in parts))


def before_joining(step: Step, do: Callable[[], None]) -> Step:
    """The same step, which does something once, before the first stage that puts earlier and later names together."""
    done: list[bool] = []

    def follow(stage: Stage[P, Made], /, *inputs: P.args, **options: P.kwargs) -> Made:
        if stage.folder.split("/")[0] == JOINED and not done:
            done.append(True)
            do()
        return step(stage, *inputs, **options)

    return follow


def make_room(folder: Path, found: dict[str, Any], parts: Sequence[Names]) -> None:
    """Where names are new, move what was made of the earlier ones together to `earlier/`, and say what will be kept.

    Raises:
        WorkspaceError: The folder cannot be written.
    """
    before = len(found.get("names", ()))
    if before == sum(map(len, parts)):
        return
    note(
        f"{folder}: {', '.join(parts[-1].names)} join {before} names, whose archives, masks and experts are kept; "
        f"a segmenter of all is trained now, the one before goes to {EARLIER}/{before}-names."
    )
    kept = earlier_folder(folder, before)
    try:
        shutil.rmtree(folder / JOINED, ignore_errors=True)
        (folder / FEATURES / MANIFEST).unlink(missing_ok=True)  # those of earlier images are kept
        for stage, place in ((SEGMENTER, kept), (TEACHER, kept / TEACHER), (LABELS, kept / LABELS)):
            if (folder / stage).exists():
                shutil.rmtree(place, ignore_errors=True)
                place.parent.mkdir(parents=True, exist_ok=True)
                (folder / stage).rename(place)
    except OSError as error:
        raise WorkspaceError(f"cannot write to {folder}: {error.strerror or error}.") from error


def forget_joined(folder: Path) -> None:
    """Delete what a run that is made anew had of names that joined it.

    Raises:
        WorkspaceError: It cannot be deleted.
    """
    try:
        for place in (folder / JOINED, folder / ADDED, folder / EARLIER):
            if place.exists():
                shutil.rmtree(place)
    except OSError as error:
        raise WorkspaceError(f"cannot write to {folder}: {error.strerror or error}.") from error


def earlier_folder(folder: Path, names: int) -> Path:
    """Where a run keeps what it made together of its first names, so many."""
    return folder / EARLIER / f"{names}-names"


def some_of(names: Names, chosen: Sequence[str]) -> Names:
    """These names with all that belongs to each."""
    places = [names.names.index(name) for name in chosen]
    return Names(
        tuple(chosen),
        synonyms=_rows(names.synonyms, places),
        background=names.background,
        against=_rows(names.against, places),
    )


def _rows(words: tuple[tuple[str, ...], ...], places: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    chosen = tuple(words[place] for place in places) if words else ()
    return chosen if any(chosen) else ()
