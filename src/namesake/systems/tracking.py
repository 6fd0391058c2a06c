"""Losses and predictions of a run's trainings in; TensorBoard, W&B or MLflow, through accelerate, out. Off by default.

Where it runs and what it is called do not enter any artifact, and a tracker that fails stops no training. TensorBoard
writes to `logs/` in the run; the others go where their own settings say.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

from PIL import Image

from namesake.encoders import pick_device
from namesake.encoders.loading import first_line
from namesake.errors import ConfigError, ImagesError, unknown
from namesake.images import evenly, read_image
from namesake.images.geometry import limit_longer_side
from namesake.prediction import contact_sheet
from namesake.progress import note
from namesake.records import Images
from namesake.segmenter import Segmenter
from namesake.shapes import ImageArray

TRACKERS = ("tensorboard", "wandb", "mlflow")
LOGS = "logs"
SHOWN, ACROSS, SIDE = 6, 3, 320
"""Pictures of a sheet, those in a row, and the side of each in pixels."""
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@final
class Tracking:
    """Watches the trainings of a run for trackers; see `training.watching`.

    Args:
        trackers: Trackers of TRACKERS.
        folder: The run's.
        images: Some of them are predicted for the sheets.
        every: Updates between two sheets.
        device: Device that the run computes on.

    Raises:
        ConfigError: A tracker is unknown or not installed, or `every` is no number of updates.
    """

    def __init__(self, trackers: Sequence[str], folder: Path, images: Images, *, every: int, device: str) -> None:
        for name in trackers:
            if name not in TRACKERS:
                raise ConfigError(unknown("tracker", name, TRACKERS))
            if find_spec(name) is None:
                raise ConfigError(f"log-with {name} needs {name}, which is not installed: pip install {name}.")
        if every < 1:
            raise ConfigError(f"sheet-every is {every}; expected 1 update or more.")
        self.every = every
        self._names, self._folder, self._device = list(trackers), folder, device
        self._paths = [images.path(image_id) for image_id in evenly(images.ids, SHOWN)]
        self._pictures: list[ImageArray] | None = None
        self._trackers: dict[str, Any] | None = None
        self._alone = False

    def __enter__(self) -> "Tracking":
        return self

    def __exit__(self, *_: object) -> None:
        if self._trackers is not None:
            self._each(lambda tracker: tracker.finish())
        if self._alone:
            from accelerate import PartialState

            PartialState._reset_state()

    def losses(self, what: str, iteration: int, values: Mapping[str, float]) -> None:
        """Log losses."""
        named = {f"{what}/{name}": value for name, value in values.items()}

        def log(tracker: Any) -> None:  # noqa: ANN401
            # several trainings of a run count from 1 each, and W&B takes no step that is lower than the last
            step = {"step": iteration} if tracker.name != "wandb" else {}
            tracker.log(named if step else named | {f"{what}/iteration": iteration}, **step)

        self._each(log)

    def look(self, what: str, iteration: int, segmenter: Segmenter) -> None:
        """Log a sheet of predictions."""
        pictures = self._read()
        if not pictures:
            return
        found = segmenter.segment_many(pictures)
        tiles = [(each.overlay(), path.name) for each, path in zip(found, self._paths, strict=True)]
        sheet = contact_sheet(tiles, columns=ACROSS, side=SIDE)
        self._each(lambda tracker: _log_picture(tracker, f"{what}/predictions", sheet, iteration))

    def _read(self) -> list[ImageArray]:
        if self._pictures is None:
            read = [(path, _readable(path)) for path in self._paths]
            self._paths = [path for path, image in read if image is not None]
            self._pictures = [image for _, image in read if image is not None]
        return self._pictures

    def _each(self, do: Callable[[Any], None]) -> None:
        """Let every tracker do something; one that fails is said, and left out from then on."""
        trackers = self._start()
        for name, tracker in list(trackers.items()):
            try:
                do(tracker)
            except Exception as error:  # whatever a server, a disk or a library of another says
                del trackers[name]
                note(f"{name} failed and logs no more of this run ({first_line(error)}); the training goes on.")

    def _start(self) -> dict[str, Any]:
        """The trackers, started when there is something to log: processes of a launch have met by then."""
        if self._trackers is None:
            from accelerate import PartialState

            self._alone = not PartialState._shared_state
            if self._alone:  # accelerate's trackers ask it where to log to
                PartialState(cpu=pick_device(self._device).type == "cpu")
            self._trackers = {name: _open(name, self._folder) for name in self._names}
            self._each(lambda tracker: tracker.start())
        return self._trackers


def _open(name: str, folder: Path) -> Any:  # noqa: ANN401
    from accelerate import tracking

    title = folder.resolve().name
    tracker: Any
    if name == "tensorboard":
        tracker = tracking.TensorBoardTracker(LOGS, folder)
    elif name == "wandb":
        tracker = tracking.WandBTracker("namesake", name=title, dir=str(folder))
    else:
        tracker = tracking.MLflowTracker("namesake", run_name=title)
    tracker.main_process_only = False  # only the first process of a launch has one
    return tracker


def _log_picture(tracker: Any, title: str, picture: ImageArray, iteration: int) -> None:  # noqa: ANN401
    if tracker.name == "tensorboard":
        tracker.log_images({title: picture[None]}, step=iteration, dataformats="NHWC")  # [1, height, width, 3]
    elif tracker.name == "wandb":
        tracker.log_images({title: [picture]})
    else:
        with tempfile.TemporaryDirectory() as place:
            file = Path(place) / f"{iteration:06d}.png"
            Image.fromarray(picture).save(file)
            tracker.log_artifact(str(file), title.replace(" ", "-"))


def _readable(path: Path) -> ImageArray | None:
    try:
        return limit_longer_side(read_image(path), side=2 * SIDE)
    except ImagesError:
        return None
