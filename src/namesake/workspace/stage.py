"""A function in, the same as a stage out: it knows where in a run its artifact lies and how that is read back."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from namesake.records import Artifact

Made = TypeVar("Made", bound=Artifact)


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
