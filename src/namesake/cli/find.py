"""The verb that finds one very object in a folder of images: `find`."""

from pathlib import Path
from typing import Annotated

import typer

from namesake.cli.app import DeviceOption, EngineOption, ImagesOption, PresetOption, say, verb


@verb
def find(
    more: Annotated[list[Path], typer.Argument(help="Further pictures of the object.")] = [],  # noqa: B006
    *,
    pictures: Annotated[list[Path], typer.Option("--object", help="Pictures of the object, or a folder of them.")],
    name: Annotated[str, typer.Option(help="What the object is: cup.")],
    images: ImagesOption,
    threshold: Annotated[
        float | None, typer.Option(help="Least likeness, a cosine; from the pictures if not given.")
    ] = None,
    shown: Annotated[Path | None, typer.Option(help="Ids of images that do show it: precision and recall.")] = None,
    preset: PresetOption = "auto",
    out: Annotated[Path | None, typer.Option("--out", help="JSON file to write the scores to.")] = None,
    device: DeviceOption = "auto",
    engine: EngineOption = "local",
) -> None:
    """Find the images that show one very object: no training, a few pictures and a name.

    Example: namesake find --object my-cup/*.jpg --name cup --images photos/
    """
    from namesake import systems
    from namesake.images import open_images
    from namesake.notices import as_record
    from namesake.prediction.find import quality, read_shown_ids
    from namesake.workspace import write_json

    folder = open_images(images)
    known = None if shown is None else read_shown_ids(shown, folder)
    made = systems.find(
        name, [*pictures, *more], folder, threshold=threshold, preset=preset, device=device, engine=engine
    )
    matches, found, least = made.matches, made.shown, made.threshold
    measured = {} if known is None else quality(matches, known, threshold=least)._asdict()
    result = {
        "images": len(matches),
        "skipped": sum(match.score is None for match in matches),
        "passed_over": folder.passed_over,
        "threshold": round(least, 4),
        "found": [{"image": match.image_id, "score": round(match.score or 0, 4)} for match in found],
        **measured,
        **as_record(made.notices),
    }
    if out is not None:
        write_json(out, result | {"scores": {match.image_id: match.score for match in matches}})
        result["out"] = out
    lines = [f"{match.score:6.3f}  {match.image_id}" for match in sorted(found, key=lambda each: -(each.score or 0))]
    lines += [f"{key} {value:.1f}" for key, value in measured.items() if value is not None]
    say(result, [*lines, f"{len(found)} of {len(matches)} images show it (threshold {least:.3f})"])
