"""The systems by name, each with its configuration for every preset."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from namesake.records import Artifact
from namesake.systems import consensus, fmbseg, maskclip, namedmask, reco, saliency_clip, selfmask, zutis


class System(NamedTuple):
    """A system's function, its configuration by preset, whether it wants names, and whether more may join later."""

    function: Callable[..., Artifact]
    presets: Mapping[str, Any]
    named: bool = True
    adds: bool = False


SYSTEMS: dict[str, System] = {
    "consensus": System(consensus.consensus, consensus.PRESETS, adds=True),
    "namedmask": System(namedmask.namedmask, namedmask.PRESETS, adds=True),
    "zutis": System(zutis.zutis, zutis.PRESETS, adds=True),
    "fmbseg": System(fmbseg.fmbseg, fmbseg.PRESETS),
    "selfmask": System(selfmask.selfmask, selfmask.PRESETS, named=False),
    "saliency+clip": System(saliency_clip.saliency_clip, saliency_clip.PRESETS),
    "maskclip": System(maskclip.maskclip, maskclip.PRESETS),
    "reco": System(reco.reco, reco.PRESETS),
}
