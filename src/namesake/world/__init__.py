"""The embedded world: scenes rendered by our own code, with captions and exact ground truth."""

from namesake.world.draws import DRAWS, SEEN_NAMES, UNSEEN_NAMES, Scene, draw, render_scene, render_view
from namesake.world.families import NAMES
from namesake.world.stuff import STUFF
from namesake.world.write import write_world

__all__ = [
    "DRAWS",
    "NAMES",
    "SEEN_NAMES",
    "STUFF",
    "UNSEEN_NAMES",
    "Scene",
    "draw",
    "render_scene",
    "render_view",
    "write_world",
]
