"""Pictures of one very object and its name in, the images that show it out; nothing is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from namesake.encoders import embedded_notice
from namesake.engines import check_engine
from namesake.images import open_images
from namesake.notices import Notice, caution, collecting
from namesake.prediction.find import Match, find_object, find_shared, load_finder
from namesake.records import Images
from namesake.systems import fmbseg
from namesake.systems.choosing import choose_preset


class Found(NamedTuple):
    """What a search gave.

    Attributes:
        matches: One an image, in their order.
        threshold: Least cosine of an image that shows the object.
        notices: Warnings about the result.
    """

    matches: tuple[Match, ...]
    threshold: float
    notices: tuple[Notice, ...] = ()

    @property
    def shown(self) -> tuple[Match, ...]:
        """The images that show the object, in their order."""
        return tuple(match for match in self.matches if match.score is not None and match.score >= self.threshold)


def find(
    name: str,
    pictures: str | Path | Sequence[str | Path],
    images: Images | str | Path | Sequence[str | Path],
    *,
    threshold: float | None = None,
    preset: str = "auto",
    device: str = "auto",
    engine: str = "local",
) -> Found:
    """Find the images that show one very object: no training, a few pictures and a name.

    Args:
        name: Word for the object, as people say: "cup".
        pictures: Pictures of the object, or a folder of them.
        images: Images to look in, as `open_images` takes them.
        threshold: Least likeness, a cosine; that of the picture which is least like the others if None.
        preset: "paper", "modern", "laptop" or "mini"; "auto": as `choosing.choose_preset` has it.
        device: "auto", "cpu" or "cuda".
        engine: "local", "ray" or "ray:N" (N workers), which share the images out.

    Raises:
        NamesakeError: Errors of `open_images`, `load_finder` and `choose_preset`.

    Examples:
        >>> found = namesake.find("dog", "photos/images/000003.jpg", "photos/images", preset="mini")
        >>> [match.image_id for match in found.shown]
        ['000003.jpg']
    """
    check_engine(engine)
    folder = images if isinstance(images, Images) else open_images(images)
    shows = open_images(pictures)
    config = fmbseg.find_config(choose_preset("fmbseg", preset, device=device))
    with collecting() as notices:
        caution(embedded_notice((config.regions.clip, config.regions.mask_model, config.dense_encoder)), once=True)
        paths = [shows.path(each) for each in shows.ids]
        finder = load_finder(name, paths, config=config, device=device)
    if engine == "local":
        matches = tuple(find_object(finder, folder))
    else:
        matches = tuple(find_shared(engine, name, paths, folder, config=config, device=device))
    return Found(matches, finder.threshold() if threshold is None else threshold, tuple(notices))
