"""Make a labelled dataset in every format from names and unlabelled images.

A system is run on the images, or a finished run is taken; it predicts the same images, and these become the dataset.
"""

from pathlib import Path
from typing import Any

from namesake.images import open_images
from namesake.names import read_names
from namesake.notices import repeat
from namesake.prediction import DatasetConfig, LabelledFolder, predict_images, refuse_foreign, write_dataset
from namesake.prediction.dataset import RUN
from namesake.processes import refuse_sharing
from namesake.records import Images, Names
from namesake.segmenter import CarefulConfig, Runtime, open_segmenter, worth_onnx
from namesake.systems.runs import run
from namesake.workspace import Workspace, read_notices

SETTINGS = DatasetConfig()


def label(
    system: str = "namedmask",
    *,
    names: Names | str | Path | None = None,
    images: Images | str | Path,
    out: str | Path,
    finished: str | Path | None = None,
    preset: str = "auto",
    config: tuple[str, ...] = (),
    dataset: DatasetConfig = SETTINGS,
    read: CarefulConfig | None = None,
    seed: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    engine: str = "local",
    runtime: Runtime = "auto",
) -> LabelledFolder:
    """Make a dataset; interrupted work goes on when it is asked for again.

    Args:
        system: A key of SYSTEMS; it is run in the folder `run/` of the dataset.
        names: Names as `run` takes them; with `finished`, the names to label instead of the run's own (open
            vocabulary).
        images: Unlabelled images, as `open_images` takes them: what is learned from, and what is labelled.
        out: The dataset's folder.
        finished: A run, or a segmenter, that labels as it is; nothing is trained, and `system` does not count.
        preset: Preset, see `run`.
        config: Options, see `run`.
        dataset: Settings of what becomes "not sure", and of the split.
        read: Read the images with care; None for one pass.
        seed: Seed of everything random in the run.
        device: "auto", "cpu" or "cuda".
        overwrite: Replace what other settings made.
        engine: Processes that share the images of the run and of the predictions; as `run` takes it.
        runtime: Runtime of the network that labels; see `Segmenter.on`.

    Raises:
        DataError: No image shows any of the names.
        ConfigError: Several processes were launched.
        NamesakeError: Errors of `run`, `predict_images` and `write_dataset`.

    Examples:
        >>> made = namesake.label(images="photos/images", out="dataset", finished="runs/first")
        >>> made.counts["labelled"], sorted(made.exports)
        (12, ['coco', 'confidence', 'index_png', 'label_studio', 'lightly_train', 'ultralytics', 'voc', 'yolo'])
    """
    refuse_sharing("making a dataset")
    folder, done = Path(out), None if finished is None else Path(finished)
    refuse_foreign(folder)
    pictures = images if isinstance(images, Images) else open_images(images)
    place = folder / RUN
    if done is None:
        run(
            system,
            names=names,
            images=pictures,
            out=place,
            preset=preset,
            config=config,
            seed=seed,
            device=device,
            overwrite=overwrite,
            engine=engine,
        )
    asked = read_names(names) if done is not None and names else None
    # a segmenter that was trained anew predicts anew
    with Workspace(place, overwrite=overwrite, engine=engine, curated=done is None) as workspace:
        segmenter = open_segmenter(done or place)
        count = len(pictures)
        onnx = runtime == "onnx" or (runtime == "auto" and worth_onnx(segmenter.folder, images=count, device=device))
        options: dict[str, Any] = ({} if read is None else {"read": read}) | ({"runtime": "onnx"} if onnx else {})
        predictions = workspace.step(predict_images, segmenter, pictures, names=asked, device=device, **options)
    notices = read_notices(done or place)
    repeat(notices)
    return write_dataset(predictions, pictures, out=folder, config=dataset, overwrite=overwrite, notices=notices)
