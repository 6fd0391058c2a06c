"""Mark a function as a stage of a run, and call stages with checked types."""

import functools
import inspect
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, Generic, ParamSpec, Protocol, TypeVar, final

from namesake.records import Artifact

P = ParamSpec("P")
Made = TypeVar("Made", bound=Artifact, covariant=True)  # noqa: PLC0105 - a stage of saliency networks is one of artifacts


@final
@dataclass(eq=False)
class Stage(Generic[P, Made]):
    """A function `make(out, *inputs, **options)` whose artifact lies in a folder of a run. `stage` makes it.

    Attributes:
        make: The function; `out` is the folder that it writes.
        name: The function's.
        folder: The artifact's, relative to the run's.
        opens: Reads the artifact.
        sources: Sources of the models that it loads, as a function of some of its inputs and options.
        assembles: It puts a segmenter together from what it is given, and learns nothing from it.
        shared: It has an option `engine`, and its work can be shared out among the machines of one.
        together: All processes of a launch work on it; other stages are the first one's, and the rest wait.
        grows: Results of some images are kept when more of them are there, and only the new ones are added.
    """

    make: Callable[..., Made]
    folder: str
    opens: Callable[[Path], Made]
    sources: Callable[..., Iterable[str]]
    assembles: bool
    shared: bool
    together: bool
    grows: bool

    def __post_init__(self) -> None:
        self.name = self.make.__name__
        functools.update_wrapper(self, self.make)

    def __call__(self, out: Path, /, *inputs: P.args, **options: P.kwargs) -> Made:
        """Make the artifact in the folder `out`."""
        return self.make(out, *inputs, **options)

    def models(self, *inputs: P.args, **options: P.kwargs) -> tuple[str, ...]:
        """Sources of the models that the stage loads when it is given these inputs and options."""
        bound = inspect.signature(self.make).bind(Path(), *inputs, **options)
        bound.apply_defaults()
        asked = inspect.signature(self.sources).parameters
        found = self.sources(**{name: bound.arguments[name] for name in asked})
        return tuple(source for source in found if source)


class Step(Protocol):
    """How a system calls a stage: `step(stage, *inputs, **options)` gives the stage's artifact."""

    def __call__(self, stage: Stage[P, Made], /, *inputs: P.args, **options: P.kwargs) -> Made:
        """The artifact, made or opened."""
        ...


def stage(
    folder: str,
    *,
    opens: Callable[[Path], Made],
    models: Callable[..., Iterable[str]] = lambda: (),
    assembles: bool = False,
    shared: bool = False,
    together: bool = False,
    grows: bool = False,
) -> Callable[[Callable[Concatenate[Path, P], Made]], Stage[P, Made]]:
    """Mark a function as a stage whose artifact lies in `folder` of a run and is read back by `opens(path)`.

    `models` gives the sources of the models that the stage loads, as a function of those inputs and options of the
    stage that it names itself: `lambda config: (config.clip,)`; an empty source is none. For the rest see `Stage`.
    """

    def mark(make: Callable[Concatenate[Path, P], Made]) -> Stage[P, Made]:
        return Stage(make, folder, opens, models, assembles, shared, together, grows)

    return mark


def run_now(stage: Stage[P, Made], /, *inputs: P.args, **options: P.kwargs) -> Made:
    """Run a stage into a new temporary folder, without looking for anything done before."""
    out = Path(tempfile.mkdtemp(prefix=f"namesake-{stage.folder.replace('/', '-')}-"))
    return stage(out, *inputs, **options)
