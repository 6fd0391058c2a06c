"""The models that a run will use in; nothing out, or one error that names all that cannot be had. It loads none."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from namesake.encoders.doctor import describe_source
from namesake.encoders.presets import EMBEDDED
from namesake.encoders.sources import ask_hub, cache_folder, find, hub_id, in_hub_cache
from namesake.errors import WeightsError


def lacking(sources: Iterable[str]) -> list[str]:
    """Those that would have to be fetched: neither embedded, nor a file or folder, nor whole in the hub's cache."""
    found = [find(source) for source in dict.fromkeys(sources) if not source.startswith(EMBEDDED)]
    return [each.source for each in found if each.missing and (each.path is None or in_hub_cache(each.path))]


def require(sources: Iterable[str]) -> None:
    """Ask the hub, all at a time and within seconds, for what is not on this machine; fetches nothing yet.

    Raises:
        WeightsError: The hub does not give some; says which, how large, from where and whereto.
    """
    from huggingface_hub import constants

    missing = lacking(sources)
    with ThreadPoolExecutor() as pool:
        refusals = dict(zip(missing, pool.map(_refusal, missing), strict=True))
    lost = {source: refusal for source, refusal in refusals.items() if refusal}
    if lost:
        models = "1 model that this run needs is" if len(lost) == 1 else f"{len(lost)} models that this run needs are"
        lines = [f"{models} missing; nothing was computed.", *(f"  {describe_source(source)}" for source in lost)]
        lines += dict.fromkeys(lost.values())
        lines += [
            f"Put those of the hub in {constants.HF_HUB_CACHE} (hf download ORG/NAME; HF_HOME moves it), files in "
            f"{cache_folder()} (NAMESAKE_CACHE_DIR moves it); or anywhere, and pass their paths by --config."
        ]
        raise WeightsError("\n".join(lines))


def _refusal(source: str) -> str:
    """Why the hub does not give a model, in one sentence; "" if it does."""
    repository = hub_id(source)
    return f"{source} is on no hub." if repository is None else ask_hub(repository)[1]
