"""The named families: how each is built and where it is usually met. Primitives out; no camera, no pixels."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from namesake.world.families import household, living, vehicles
from namesake.world.palette import Paint
from namesake.world.primitives import Primitive


@dataclass(frozen=True)
class Family:
    """A named kind of object.

    Attributes:
        build: random proportions -> primitives.
        yaw: largest turn from the best view, in degrees; 180 for round things.
        mirrored: also shown from behind (turned by 180 degrees).
        grounds: stuff on which it is met in about half of the pictures.
        colours: share of pictures in which it has a usual colour.
        aloft: share of pictures in which it floats above the ground.
        partner: name that often lies beside it.
        sink: part of its height under water, if the ground is water.
        size: apparent size relative to the others.
    """

    build: Callable[[np.random.Generator, Paint], list[Primitive]]
    yaw: float = 180.0
    mirrored: bool = False
    grounds: tuple[str, ...] = ()
    colours: dict[str, float] = field(default_factory=dict)
    aloft: float = 0.0
    partner: str | None = None
    sink: float = 0.0
    size: float = 1.0


INDOORS = ("wooden floor", "tiles")
FAMILIES: dict[str, Family] = {
    "mug": Family(household.mug, yaw=65, mirrored=True, grounds=INDOORS, partner="book"),
    "bottle": Family(household.bottle, grounds=INDOORS, partner="mug"),
    "chair": Family(household.chair, yaw=60, mirrored=False, grounds=INDOORS, colours={"brown": 0.2}, partner="lamp"),
    "lamp": Family(household.lamp, grounds=INDOORS, partner="book"),
    "car": Family(vehicles.car, yaw=60, mirrored=True, grounds=("road",), partner="house", size=1.1),
    "airplane": Family(vehicles.airplane, yaw=50, mirrored=True, grounds=("road", "grass"), aloft=0.7, size=1.15),
    "boat": Family(vehicles.boat, yaw=50, mirrored=True, grounds=("water",), partner="duck", sink=0.1),
    "house": Family(vehicles.house, yaw=50, grounds=("grass", "snow"), partner="tree"),
    "tree": Family(living.tree, grounds=("grass", "snow"), colours={"green": 0.5}, partner="house"),
    "mushroom": Family(living.mushroom, grounds=("grass",), colours={"red": 0.35}, partner="snail"),
    "fish": Family(living.fish, yaw=45, mirrored=True, grounds=("water",), partner="boat", sink=0.08),
    "duck": Family(
        living.duck, yaw=55, mirrored=True, grounds=("water",), colours={"yellow": 0.4}, partner="fish", sink=0.15
    ),
    "book": Family(household.book, yaw=25, grounds=INDOORS, partner="lamp"),
    "guitar": Family(household.guitar, yaw=40, grounds=INDOORS, colours={"brown": 0.25}, partner="chair", size=1.05),
    "umbrella": Family(household.umbrella, grounds=("sand", "road"), partner="bicycle"),
    "bicycle": Family(vehicles.bicycle, yaw=40, mirrored=True, grounds=("road",), partner="umbrella", size=1.15),
    "snowman": Family(living.snowman, yaw=45, grounds=("snow",), colours={"white": 0.6}, partner="tree"),
    "cactus": Family(living.cactus, yaw=50, mirrored=True, grounds=("sand",), colours={"green": 0.5}),
    "teapot": Family(household.teapot, yaw=50, mirrored=True, grounds=INDOORS, partner="mug"),
    "hammer": Family(household.hammer, yaw=40, mirrored=True, grounds=INDOORS, colours={"brown": 0.2}),
    "rocket": Family(vehicles.rocket, yaw=45, grounds=("sand", "road"), aloft=0.5),
    "windmill": Family(vehicles.windmill, yaw=35, grounds=("grass",), partner="house"),
    "snail": Family(living.snail, yaw=45, mirrored=True, grounds=("grass", "sand"), partner="mushroom"),
    "dog": Family(living.dog, yaw=50, mirrored=True, grounds=("grass", "road"), colours={"brown": 0.3}, partner="duck"),
}
NAMES: tuple[str, ...] = tuple(FAMILIES)
