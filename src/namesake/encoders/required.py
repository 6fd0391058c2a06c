"""Check that every model a run needs can be had, and fetch those that are not on this machine.

It loads none.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from namesake.encoders.download import probe
from namesake.encoders.files import wanted_files
from namesake.encoders.hub import ask_hub, offline
from namesake.encoders.presets import EMBEDDED
from namesake.encoders.sources import (
    address,
    cache_folder,
    command,
    find,
    get,
    hub_id,
    known_model,
    may_be_fetched,
    missing_message,
)
from namesake.errors import WeightsError
from namesake.progress import note, readable

Status = Literal["present", "to fetch", "unavailable", "missing"]


@dataclass(frozen=True)
class Needed:
    """A model that a run needs.

    Attributes:
        source: Source, as the configuration has it.
        status: "present"; "to fetch", where the network gives it; "unavailable"; or "missing", where nobody was asked.
        bytes: Size of all its files; None where unknown.
        path: Its folder or file; None when there is none yet.
        url: Address of publication; "" where unknown.
        licence: SPDX id, or "unknown".
        files: Names of those that are wanted, where they are known.
        reason: Why it is unavailable.
        options: Dotted paths of the options that name it.
    """

    source: str
    status: Status
    bytes: int | None
    path: Path | None
    url: str
    licence: str
    files: tuple[str, ...] = ()
    reason: str = ""
    options: tuple[str, ...] = ()


def present(source: str) -> bool:
    """Whether nothing has to be fetched; what a folder of the user's own lacks, its reader says."""
    return look(source, ask=False).status == "present"


def look(source: str, *, options: tuple[str, ...] = (), ask: bool = True) -> Needed:
    """What a model takes, and whether it is here or can be had.

    Args:
        source: Hub id, folder, file or `embedded:NAME`.
        options: Options that name it.
        ask: Whether the hub is asked for what is not here, within seconds; nothing is fetched.
    """
    found, known = find(source), known_model(source)
    licence = "Apache-2.0" if source.startswith(EMBEDDED) else "unknown" if known is None else known.licence
    # what a user's own folder lacks, its reader says
    here = found.status == "found" or (found.path is not None and not may_be_fetched(found))
    size = found.bytes if here else None if known is None else known.bytes
    names = () if here or known is None else tuple(known.files)
    status: Status = "present" if here else "missing"
    reason = ""
    if not here and not may_be_fetched(found):
        status, reason = "unavailable", missing_message(found).splitlines()[-1]
    elif not here and ask:
        names, size, reason = _ask(source, names, size)
        status = "unavailable" if reason else "to fetch"
    return Needed(source, status, size, found.path, address(source), licence, names, reason, options)


def look_at_all(sources: Mapping[str, str], *, ask: bool = True) -> list[Needed]:
    """The same for many, all at a time; each model once.

    Args:
        sources: By the dotted path of the option that names them.
        ask: Whether the hub is asked for what is not here, see `look`.
    """
    options: dict[str, list[str]] = {}
    for option, source in sources.items():
        options.setdefault(source, []).append(option)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda source: look(source, options=tuple(options[source]), ask=ask), options))


def require(sources: Mapping[str, str]) -> None:
    """Have all models on this machine before anything is computed: say how much is to come, and fetch it.

    Args:
        sources: By the dotted path of the option that names them.

    Raises:
        WeightsError: Some cannot be had; says which, how large, and the lines that fetch them by hand. Nothing was
            fetched then, unless it is a download that broke off.
    """
    needed = look_at_all(sources)
    refuse_unavailable(needed)
    fetch_all(needed)


def fetch_all(needed: Iterable[Needed]) -> None:
    """Download what is to be fetched.

    Raises:
        WeightsError: A download broke off, or brought something else than was published.
    """
    missing = [each for each in needed if each.status == "to fetch"]
    if missing:
        note(f"fetching {_models(len(missing))}, {total(missing)}; an interrupted download goes on where it was")
    for each in missing:
        known = known_model(each.source)
        reason = get(each.source, kind=None if known is None else known.kind)
        found = find(each.source)
        if found.missing and reason:
            raise WeightsError(missing_message(found, reason=reason))


def refuse_unavailable(needed: Iterable[Needed]) -> None:
    """Raise one error that names every model which cannot be had.

    Raises:
        WeightsError: There is one.
    """
    lost = [each for each in needed if each.status == "unavailable"]
    if not lost:
        return
    lines = [f"{_models(len(lost))} that this run needs cannot be had ({total(lost)}); nothing was computed."]
    lines += [f"  {describe(each)}" for each in lost]
    lines += dict.fromkeys(each.reason for each in lost)
    if by_hand := [line for each in lost if (line := command(each.source, each.files))]:
        lines += ["By hand, each line as it is:", *(f"  {line}" for line in by_hand)]
        lines += [
            f"On another machine too; then copy what came to {cache_folder()} here (NAMESAKE_CACHE_DIR moves it)."
        ]
    keys = [f"--config {option.partition('[')[0]}=PATH" for each in lost for option in each.options]
    lines += ["Or point to what you have elsewhere: " + " ".join(dict.fromkeys(keys))] if keys else []
    raise WeightsError("\n".join(lines))


def describe(needed: Needed) -> str:
    """One line on a model: whether it is here, how large, its licence, where from."""
    known, size = known_model(needed.source), readable(needed.bytes)
    name = needed.source if known is None else f"{needed.source} ({known.name})"
    if needed.status == "present":
        return f"{name}: present, {size} in {needed.path}"
    lacks = f", incomplete in {needed.path}" if needed.path else ""
    return f"{name}: {needed.status}, {size}{lacks}, licence {needed.licence}, {needed.url}".rstrip(", ")


def total(needed: Iterable[Needed]) -> str:
    """Bytes of all together, for people; says so where some are unknown."""
    sizes = [each.bytes for each in needed]
    known = [size for size in sizes if size is not None]
    more = f" and {len(sizes) - len(known)} of unknown size" if len(known) < len(sizes) else ""
    return f"{readable(sum(known))} in all{more}"


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def _ask(source: str, names: tuple[str, ...], size: int | None) -> tuple[tuple[str, ...], int | None, str]:
    """Names and bytes of what is wanted of a model as the network has it, or those known, and why it has it not."""
    known, repository = known_model(source), hub_id(source)
    if known is not None and known.url:
        there, reason = (None, offline()) if offline() else probe(known.url)
        return names, there or size, reason
    published, reason = ask_hub(repository or "")
    if reason or known is None:
        return names, size, reason
    wanted = wanted_files(published, kind=known.kind)
    sizes = [published[name] for name in wanted]
    return tuple(wanted), sum(part or 0 for part in sizes) if all(sizes) else size, ""
