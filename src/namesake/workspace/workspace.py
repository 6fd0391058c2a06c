"""Run the stages of a run folder: open an artifact that the same inputs and options made, or make it."""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from namesake.errors import WorkspaceError
from namesake.images.identity import Known, recall
from namesake.locks import hold, release
from namesake.notices import as_record, collecting, notices_in, repeat
from namesake.processes import POLL_SECONDS, alone, joining, launched
from namesake.progress import enter_stage, note
from namesake.records import Images
from namesake.workspace.atomic import explain_writing, write_json
from namesake.workspace.fingerprint import (
    describe,
    difference,
    digest,
    only_images_differ,
    same_images,
    same_options,
)
from namesake.workspace.inputs import by_path, changes, read_inputs, write_inputs
from namesake.workspace.manifest import MANIFEST, STARTED, read_manifest, read_started, write_manifest
from namesake.workspace.stage import Made, P, Stage

Kept = TypeVar("Kept")

LOCK = ".lock"
UNFINISHED = ".*.part"
"""What `write_atomically` calls a file that it has not finished."""


class StoppedError(Exception):
    """The stage that `until` names is done; not an error."""


class Workspace:
    """A run folder. `step` resumes: what the same inputs and options made before is opened, not redone.

    Args:
        folder: The run folder; made if missing.
        overwrite: Replace stages made with other inputs or options, instead of refusing.
        until: Stop, with `stopped` set, before the first stage that comes after the stage folder of this name.
        beside: A folder of other runs; a stage that one of them made of the same inputs and options is linked in.
        engine: Engine of stages that can be cut into parts: "local", "ray" or "ray:N" (N workers).
        append: Keep what a growing stage made of fewer images; later stages of the same options but other inputs are
            replaced.
        curated: What stages are made of changed, by the choices of a person among archives and masks or by a training:
            stages of the same images whose options are the same but for these choices are replaced.

    Raises:
        WorkspaceError: Another process writes to the folder, or it is not a run's folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        overwrite: bool = False,
        until: str | None = None,
        beside: Path | None = None,
        engine: str = "local",
        append: bool = False,
        curated: bool = False,
    ) -> None:
        self.folder, self.overwrite, self.until, self.beside = folder, overwrite, until, beside
        self.engine, self.append, self.curated = engine, append, curated
        self.stages: list[dict[str, Any]] = []
        self._reached = False
        self._before: dict[str, Known] = {}

    def __enter__(self) -> "Workspace":
        if launched()[0]:
            return self  # the first process holds the folder
        _refuse_foreign(self.folder)
        self._lock = hold(self.folder / LOCK)
        _delete_unfinished(self.folder.glob(UNFINISHED))
        _, self._before = read_inputs(self.folder)
        recall(self._before)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not launched()[0]:
            release(self._lock)

    def step(self, stage: Stage[P, Made], /, *inputs: P.args, **options: P.kwargs) -> Made:
        """Open the stage's artifact if the same inputs and options made it, else make it (resuming what was begun).

        Raises:
            WorkspaceError: The folder holds this stage from other inputs or options, and `overwrite` is off.
            StoppedError: `until` names a stage that is done.
        """
        name = stage.folder
        if self._reached and name.split("/", maxsplit=1)[0] != self.until:
            raise StoppedError
        self._reached = self._reached or name.split("/", maxsplit=1)[0] == self.until
        out = self.folder / name
        given: dict[str, Any] = dict(options)
        if self.engine != "local" and stage.shared:
            given["engine"] = self.engine
        wanted = {"function": stage.name, "inputs": describe(inputs), "config": describe(given)}
        key, start = digest(wanted), time.monotonic()
        enter_stage(name)
        if launched()[0]:
            return at_home(_follow(lambda: stage.make(out, *inputs, **given), stage, out, key), inputs)
        pictures = [each for each in inputs if isinstance(each, Images)]
        _adopt(out, key, wanted, inputs)
        reused = self._is_done(out, key, wanted, pictures, grows=stage.grows) or self._borrow(out, name, key)
        self._record(pictures)
        if reused:
            made = at_home(stage.opens(out), inputs)
            repeat(notices_in(read_manifest(out)))
        else:
            _sweep(out)
            write_json(out / STARTED, {"key": key, **wanted})
            with collecting() as notices, alone(not stage.together), explain_writing(out):
                made = stage.make(out, *inputs, **given)
            head = {"stage": name, "key": key, "assembles": stage.assembles, **wanted, **as_record(notices)}
            write_manifest(out, head, made, time.monotonic() - start)
        seconds = time.monotonic() - start
        self.stages.append({"name": name, "seconds": round(seconds, 2), "reused": reused, "counts": dict(made.counts)})
        counts = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in made.counts.items())
        note(f"{name}: {'reused' if reused else f'{seconds:.1f} s'}  {counts}".rstrip())
        return made

    def _record(self, pictures: Iterable[Images]) -> None:
        """Keep what the images are now, for the next time."""
        now = {path: known for images in pictures for path, known in by_path(images).items()}
        homes = tuple(f"{images.folder}/" for images in pictures)
        _, written = read_inputs(self.folder)
        kept = {path: known for path, known in written.items() if not path.startswith(homes)}
        if now and written != kept | now:
            write_inputs(self.folder, kept | now)

    def _is_done(
        self, out: Path, key: str, wanted: Mapping[str, Any], pictures: Iterable[Images], *, grows: bool
    ) -> bool:
        """Whether `out` holds the finished stage; makes room when it holds another one that may be replaced."""
        manifest = read_manifest(out)
        if manifest is not None and manifest["key"] == key:
            if (out / STARTED).is_file():  # killed just after the manifest was written
                (out / STARTED).unlink()
            return True
        begun = manifest or read_started(out)
        if begun is None or begun["key"] == key:
            return False
        images_only = only_images_differ(begun, wanted)
        if (self.append or self.overwrite) and grows and images_only:
            (out / MANIFEST).unlink(missing_ok=True)
            return False
        grown = self.append and same_options(begun, wanted)
        chosen = self.curated and same_options(begun, wanted) and same_images(begun, wanted)
        if not self.overwrite and not grown and not chosen:
            differs = images_only and "; ".join(filter(None, (changes(self._before, each) for each in pictures)))
            raise WorkspaceError(
                f"{out} holds the same stage from other inputs or options: {differs or difference(begun, wanted)}. "
                "Use --overwrite to replace it, or another --out to keep both."
            )
        shutil.rmtree(out)
        return False

    def _borrow(self, out: Path, name: str, key: str) -> bool:
        """Link in the same stage as a run beside this one has finished it; whether there is one."""
        for manifest in sorted(self.beside.glob(f"*/{name}/{MANIFEST}")) if self.beside else ():
            if (read_manifest(manifest.parent) or {})["key"] == key:
                linked = out.with_name(f".{out.name}.part")
                shutil.rmtree(linked, ignore_errors=True)
                shutil.copytree(manifest.parent, linked, copy_function=os.link)
                shutil.rmtree(out, ignore_errors=True)
                linked.rename(out)
                return True
        return False


def at_home(made: Kept, inputs: Iterable[Any]) -> Kept:
    """What a stage made, with its images where they are now: a folder of images may have moved since."""
    images = getattr(made, "images", None)
    given = [each if isinstance(each, Images) else getattr(each, "images", None) for each in inputs]
    folder = next((each.folder for each in given if isinstance(each, Images)), None)
    if not isinstance(images, Images) or folder in {None, images.folder}:
        return made
    return replace(made, images=replace(images, folder=folder))  # type: ignore[type-var]


def _follow(join: Callable[[], Made], stage: Stage[P, Made], out: Path, key: str) -> Made:
    """In a further process of a launch: join in what all do together, wait for what the first does alone."""
    joined = not stage.together
    while (read_manifest(out) or {}).get("key") != key:
        if not joined and (read_started(out) or {}).get("key") == key:
            with joining():
                join()
            joined = True
        time.sleep(POLL_SECONDS)
    return stage.opens(out)


def _adopt(out: Path, key: str, wanted: Mapping[str, Any], inputs: Any) -> None:  # noqa: ANN401
    """Take a finished stage of an earlier version, which knew images by their files' sizes, for the same."""
    manifest = read_manifest(out)
    if manifest is None or manifest["key"] == key or wanted["inputs"] == describe(inputs, by_size=True):
        return
    if manifest["key"] == digest({**wanted, "inputs": describe(inputs, by_size=True)}):
        write_json(out / MANIFEST, {**manifest, "key": key, "artifact": manifest["key"], "inputs": wanted["inputs"]})


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise WorkspaceError(f"{folder} is a file; --out wants a folder that is new, empty or an earlier run.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / LOCK).exists():
        raise WorkspaceError(f"{folder} is not empty and is not a run of namesake; --out wants a new folder.")


def _sweep(out: Path) -> None:
    """Delete what killed processes had begun to write; the lock on the run says that none of them is alive."""
    shutil.rmtree(out.with_name(f".{out.name}.part"), ignore_errors=True)
    _delete_unfinished(out.rglob(UNFINISHED))


def _delete_unfinished(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_file():  # a folder of that name is a stage that was being borrowed; its step deletes it
            path.unlink(missing_ok=True)
