"""Where a run's artifacts lie, and when they count: a manifest, written last, makes a stage's folder exist.

A stage is a function `stage(*inputs, out, **options) -> artifact` marked with `@stage(folder, opens=...)`. `run_now`
just calls it; `Workspace.step` first looks for the artifact that the same inputs and options made, and computes only
what is missing. Nothing here knows what a stage does.
"""

import dataclasses
import hashlib
import importlib.metadata
import inspect
import json
import math
import os
import platform
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from namesake.errors import WorkspaceError
from namesake.locks import hold, release
from namesake.processes import alone, joining, launched
from namesake.progress import note
from namesake.records import Artifact, Images

Made = TypeVar("Made", bound=Artifact)
MANIFEST = "manifest.json"
STARTED = "started.json"
LOCK = ".lock"
EXECUTION = frozenset({"device", "workers", "threads", "engine"})
"""Options that say how a stage is computed, not what: they may change between two runs of the same command."""
POLL_SECONDS = 0.2
VERSIONED = ("namesake", "torch", "transformers", "numpy")


def stage(
    folder: str, *, opens: Callable[[Path], Made], together: bool = False, grows: bool = False
) -> Callable[[Callable[..., Made]], Callable[..., Made]]:
    """Mark a function as a stage whose artifact lies in `folder` of a run and is read back by `opens(path)`.

    Args:
        folder: Relative to the run's.
        opens: Reads the artifact.
        together: All processes of a launch work on it; other stages are the first one's, and the rest wait.
        grows: What it made of some images is kept when more of them are there, and only the new ones are added.
    """

    def mark(function: Callable[..., Made]) -> Callable[..., Made]:
        function.folder = folder  # type: ignore[attr-defined]
        function.opens = opens  # type: ignore[attr-defined]
        function.together = together  # type: ignore[attr-defined]
        function.grows = grows  # type: ignore[attr-defined]
        return function

    return mark


def run_now(function: Callable[..., Made], *inputs: Any, **options: Any) -> Made:  # noqa: ANN401
    """Run a stage into a new temporary folder, without looking for anything done before."""
    out = Path(tempfile.mkdtemp(prefix=f"namesake-{function.folder.replace('/', '-')}-"))  # type: ignore[attr-defined]
    return function(*inputs, out=out, **options)


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on leaving without an error it takes the place of `path`.

    Of several processes launched together only the first one's files stay.

    Raises:
        WorkspaceError: The disk is full or the folder cannot be written; what lay at `path` before is still there.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        if launched()[0] == 0:
            unfinished.replace(path)
    except Exception as error:
        reason = _system_error(error)
        if not reason:
            raise
        raise WorkspaceError(_cannot_write(path, reason)) from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _system_error(error: BaseException | None) -> str:
    """What the operating system said, if an error comes from there; libraries wrap it in errors of their own."""
    while error is not None and not isinstance(error, OSError) and "os error" not in str(error):
        error = error.__cause__ or error.__context__
    return "" if error is None else getattr(error, "strerror", None) or str(error)


def _cannot_write(path: Path, reason: str) -> str:
    return (
        f"cannot write {path}: {reason}. Free space or choose another --out; what was finished before is kept, and the "
        "same command goes on from there."
    )


def write_json(path: Path, content: Any) -> None:  # noqa: ANN401
    """Write JSON atomically, keys in the order given, null for what is not a number."""
    text = json.dumps(finite(content), indent=1, ensure_ascii=False, default=str, allow_nan=False)
    with write_atomically(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")


def finite(value: Any) -> Any:  # noqa: ANN401
    """The same with None for NaN and infinities, at any depth: JSON has no word for them."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def describe(value: Any) -> Any:  # noqa: ANN401
    """JSON form of an input or option, equal exactly when the value means the same to a stage.

    An artifact is its manifest's key, so what lies behind it counts and where it lies does not; a folder of images is
    its ids and file sizes.
    """
    if isinstance(value, Artifact):
        manifest = read_manifest(value.folder)
        return {"artifact": manifest["key"] if manifest else str(value.folder)}
    if isinstance(value, Images):
        listing = [[image_id, _size(value.path(image_id))] for image_id in value.ids]
        return {"images": _digest(listing), "count": len(value.ids)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items() if key not in EXECUTION}
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _size(path: Path) -> int:
    """Bytes of a file; of a path that leads through a file (a tar, a table), those of that file."""
    try:
        return path.stat().st_size
    except NotADirectoryError:
        return _size(path.parent)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished stage; None where there is none.

    Raises:
        WorkspaceError: The file is there but is not a manifest.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        manifest["key"], manifest["stage"]
    except (ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"{path} is damaged ({error}). Delete {folder} to compute that stage again.") from error
    return dict(manifest)


class Workspace:
    """A run folder. `step` resumes: what the same inputs and options made before is opened, not redone.

    Args:
        folder: The run folder; made if missing.
        overwrite: Replace stages made with other inputs or options, instead of refusing.
        until: Stop, with `stopped` set, before the first stage that comes after the stage folder of this name.
        beside: A folder of other runs; a stage that one of them made of the same inputs and options is linked in.
        engine: Where stages that can be cut into parts are computed: "local", "ray" or "ray:N" (N workers).
        append: Keep what a growing stage made of fewer images; later stages of other inputs are replaced.

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
    ) -> None:
        self.folder, self.overwrite, self.until, self.beside = folder, overwrite, until, beside
        self.engine, self.append = engine, append
        self.stages: list[dict[str, Any]] = []
        self._reached = False

    def __enter__(self) -> "Workspace":
        if launched()[0]:
            return self  # the first process holds the folder
        _refuse_foreign(self.folder)
        self._lock = hold(self.folder / LOCK)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if not launched()[0]:
            release(self._lock)

    def step(self, function: Callable[..., Made], *inputs: Any, **options: Any) -> Made:  # noqa: ANN401
        """Open the stage's artifact if the same inputs and options made it, else make it (resuming what was begun).

        Raises:
            WorkspaceError: The folder holds this stage from other inputs or options, and `overwrite` is off.
            StoppedError: `until` names a stage that is done.
        """
        name: str = function.folder  # type: ignore[attr-defined]
        if self._reached and name.split("/", maxsplit=1)[0] != self.until:
            raise StoppedError
        self._reached = self._reached or name.split("/", maxsplit=1)[0] == self.until
        out = self.folder / name
        if self.engine != "local" and "engine" in inspect.signature(function).parameters:
            options["engine"] = self.engine
        wanted = {"function": function.__name__, "inputs": describe(inputs), "config": describe(options)}
        key, start = _digest(wanted), time.monotonic()
        if launched()[0]:
            return _follow(lambda: function(*inputs, out=out, **options), function, out, key)
        grows: bool = function.grows  # type: ignore[attr-defined]
        reused = self._is_done(out, key, wanted, grows=grows) or self._borrow(out, name, key)
        if reused:
            made: Made = function.opens(out)  # type: ignore[attr-defined]
        else:
            _sweep(out)
            write_json(out / STARTED, {"key": key, **wanted})
            with alone(not function.together):  # type: ignore[attr-defined]
                made = function(*inputs, out=out, **options)
            _write_manifest(out, {"stage": name, "key": key, **wanted}, made, time.monotonic() - start)
        seconds = time.monotonic() - start
        self.stages.append({"name": name, "seconds": round(seconds, 2), "reused": reused, "counts": dict(made.counts)})
        note(f"{name}: {'reused' if reused else f'{seconds:.1f} s'}  {_counts_line(made.counts)}".rstrip())
        return made

    def _is_done(self, out: Path, key: str, wanted: Mapping[str, Any], *, grows: bool) -> bool:
        """Whether `out` holds the finished stage; makes room when it holds another one that may be replaced."""
        manifest = read_manifest(out)
        if manifest is not None and manifest["key"] == key:
            return True
        begun = manifest or _read_started(out)
        if begun is None or begun["key"] == key:
            return False
        if self.append and grows and all(begun.get(part) == wanted[part] for part in ("function", "config")):
            (out / MANIFEST).unlink(missing_ok=True)
            return False
        if not self.overwrite and not self.append:
            raise WorkspaceError(
                f"{out} holds the same stage from other inputs or options: {_difference(begun, wanted)}. "
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


def _follow(join: Callable[[], Made], function: Callable[..., Made], out: Path, key: str) -> Made:
    """In a further process of a launch: join in what all do together, wait for what the first does alone."""
    joined = not function.together  # type: ignore[attr-defined]
    while (read_manifest(out) or {}).get("key") != key:
        if not joined and (_read_started(out) or {}).get("key") == key:
            with joining():
                join()
            joined = True
        time.sleep(POLL_SECONDS)
    opened: Made = function.opens(out)  # type: ignore[attr-defined]
    return opened


class StoppedError(Exception):
    """The stage that `until` names is done; not an error."""


def peak_rss_mb() -> int:
    """Largest resident memory of this process and of any of its finished children so far, in MiB."""
    kilobytes = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(max(kilobytes) / 1024)


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise WorkspaceError(f"{folder} is a file; --out wants a folder that is new, empty or an earlier run.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / LOCK).exists():
        raise WorkspaceError(f"{folder} is not empty and is not a run of namesake; --out wants a new folder.")


def _sweep(out: Path) -> None:
    """Delete what killed processes had begun to write; the lock on the run says that none of them is alive."""
    shutil.rmtree(out.with_name(f".{out.name}.part"), ignore_errors=True)
    for unfinished in out.rglob(".*.part"):
        unfinished.unlink(missing_ok=True)


def _write_manifest(out: Path, head: Mapping[str, Any], made: Artifact, seconds: float) -> None:
    tier = "M" if any(card.tier == "M" for card in made.models) else "S"
    write_json(
        out / MANIFEST,
        {
            **head,
            "counts": dict(made.counts),
            "models": [dataclasses.asdict(card) for card in made.models],
            "tier": tier,
            "seconds": round(seconds, 2),
            "peak_rss_mb": peak_rss_mb(),
            "versions": {package: _version(package) for package in VERSIONED} | {"python": platform.python_version()},
        },
    )
    (out / STARTED).unlink(missing_ok=True)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "source"


def _read_started(out: Path) -> dict[str, Any] | None:
    try:
        started = json.loads((out / STARTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return started if isinstance(started, dict) and "key" in started else None


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The options that differ, as `name: found -> wanted`; inputs are named as such."""
    before, now = _flat(found.get("config", {})), _flat(wanted["config"])
    changed = [
        f"{name.removeprefix('config.')}: {before.get(name)} -> {now.get(name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    return "; ".join(changed) or "its inputs (names, images or an earlier stage) changed"


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(value, Mapping):
        return {prefix: value}
    return {
        name: leaf
        for key, item in value.items()
        for name, leaf in _flat(item, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def _digest(value: Any) -> str:  # noqa: ANN401
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _counts_line(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
