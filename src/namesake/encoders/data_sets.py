"""A model's source in, the data that it was made from out, as its makers published it. Reads no weights."""

from namesake.encoders.presets import EMBEDDED
from namesake.encoders.sources import hub_id

MADE_FROM = {
    f"{EMBEDDED}clip": "captioned renders",
    f"{EMBEDDED}sam": "renders with object masks",
    EMBEDDED: "renders",
    "openai/clip-": "WebImageText",
    "timm/resnet50_clip.openai": "WebImageText",
    "timm/resnet50x16_clip.openai": "WebImageText",
    "google/siglip2-": "WebLI",
    "facebook/dino-": "ImageNet",
    "Ramos-Ramos/dino-resnet-50": "ImageNet",
    "dino_resnet50": "ImageNet",
    "facebook/dinov2-": "LVD-142M",
    "facebook/sam-": "SA-1B with its masks",
    "facebook/sam2": "SA-1B and SA-V with their masks",
    "selfmask_nq": "ImageNet, images of DUTS-TR",
}
"""By how the source begins; of several the first."""


def made_from(source: str) -> str:
    """Data sets of a model; "unknown" for a model of the user's own.

    Args:
        source: Hub id, folder, file or `embedded:NAME`.
    """
    names = (hub_id(source) or source, source.rpartition("/")[2])
    return next((data for start, data in MADE_FROM.items() if any(name.startswith(start) for name in names)), "unknown")
