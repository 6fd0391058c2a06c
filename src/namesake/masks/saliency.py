"""Mask the salient object of every archive image with a saliency network.

NamedMask, https://arxiv.org/abs/2209.11228, section 3.2, "Mask generation". Reading, the network, the bilateral solver
and writing overlap; images of one size go through the network together. It knows labels, but no names.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from namesake.archives import unique_images
from namesake.config import check, option
from namesake.encoders import Precision, arithmetic
from namesake.errors import ImagesError
from namesake.images import read_image, work_ahead
from namesake.masks import rle
from namesake.masks.batches import in_windows
from namesake.masks.bilateral import PUBLISHED
from namesake.masks.detect import Detection, Shrunk, finish, input_side, propose_all, shrink
from namesake.masks.store import Draw, Outcome, count_masks, draw_masks, open_masks
from namesake.networks.selfmask import load_selfmask, read_saliency_card
from namesake.records import Archives, Images, PseudoMask, PseudoMasks
from namesake.workers import thread_pool
from namesake.workspace import stage

WINDOW = 64
"""Images that are sorted by size together."""


@dataclass(frozen=True)
class SaliencyConfig:
    """How archive images get their masks; the defaults are NamedMask's and ZUTIS's."""

    network: str = option("selfmask_nq20.pt", "Source of the saliency network.")
    bilateral_solver: bool = option(True, "Draw the masks to the images' edges.")
    batch_size: int = option(8, "Images a step of the network.", at_least=1)
    num_workers: int = option(2, "Threads that read images, and as many that solve.", at_least=1)


@stage("masks/saliency", opens=open_masks, models=lambda config: (config.network,), shared=True)
def saliency_masks(
    out: Path,
    archives: Archives,
    *,
    config: SaliencyConfig = SaliencyConfig(),
    device: str = "auto",
    precision: Precision = "no",
    engine: str = "local",
) -> PseudoMasks:
    """Find the salient object of every archive image, and give it the image's label.

    Args:
        out: The stage's folder; finished shards in it are kept.
        archives: The images and their labels; an image of several archives is masked once.
        config: Network, solver and sizes.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, "bf16", "fp16", or "int8" on the CPU; see `encoders.Precision`.
        engine: "local", "ray" or "ray:N"; see `engines.spread`.

    Returns:
        The masks in the order of image ids, with counts `masks`, `empty` (of these, without a pixel) and `skipped`
        (unreadable, listed with the reason in `skipped.json`); `score` is the network's objectness.

    Raises:
        ImagesError: Not one image can be read.
        WeightsError: The network is missing or does not fit.
        ConfigError: A size below 1.
    """
    check(config)
    labels = unique_images(archives)
    arguments = {"images": archives.images, "labels": labels, "config": config, "device": device}
    arguments |= {"precision": precision}
    draw_masks([out], list(labels), _open_drawer, arguments, what="saliency masks", engine=engine)
    counts = count_masks(out)
    if not counts["masks"]:
        raise ImagesError(f"none of the {len(labels)} archive images in {archives.images.folder} can be read.")
    return PseudoMasks(out, counts=counts, models=(read_saliency_card(config.network),))


def _open_drawer(
    *, images: Images, labels: Mapping[str, int], config: SaliencyConfig, device: str, precision: Precision
) -> Draw:
    """Load what masks images; the masks of one window are solved while the network sees the next."""
    network = load_selfmask(config.network, device=device)
    side, solver = input_side(network), PUBLISHED if config.bilateral_solver else None

    def read(image_id: str) -> Shrunk:
        image = read_image(images.path(image_id))
        return Shrunk(image_id, shrink(image, side=side), image.shape[0], image.shape[1])

    def solve(seen: Shrunk, found: Detection) -> PseudoMask:
        mask = finish(found.mask, seen.image, solver=solver, height=seen.height, width=seen.width)
        return PseudoMask(seen.image_id, labels[seen.image_id], found.score, seen.height, seen.width, rle.encode(mask))

    def draw(ids: Sequence[str]) -> Iterator[tuple[str, tuple[Outcome]]]:
        results = work_ahead(read, ids, workers=config.num_workers, ahead=WINDOW)
        waiting: deque[tuple[str, Future[PseudoMask] | ImagesError]] = deque()
        with thread_pool(config.num_workers, "solve") as pool:

            def look(some: list[Shrunk]) -> list[Future[PseudoMask]]:
                with arithmetic(network.query_embed.device, precision=precision):
                    found = propose_all(network, [seen.image for seen in some], batch_size=config.batch_size)
                return [pool.submit(solve, seen, each) for seen, each in zip(some, found, strict=True)]

            for each in in_windows(results, WINDOW, look):
                waiting.append(each)
                if len(waiting) > WINDOW:
                    yield _outcome(*waiting.popleft())
            while waiting:
                yield _outcome(*waiting.popleft())

    return draw


def _outcome(image_id: str, result: Future[PseudoMask] | ImagesError) -> tuple[str, tuple[Outcome]]:
    return image_id, (str(result) if isinstance(result, ImagesError) else [result.result()],)
