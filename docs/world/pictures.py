"""Draw docs/world/families.jpg and docs/world/scenes.jpg.

python docs/world/pictures.py
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt

from namesake.images.palette import palette
from namesake.world import NAMES, STUFF, Scene, draw, render_scene

HERE = Path(__file__).parent
SEED = 7
POSES, COLUMNS, TITLE = 6, 2, 92
PALETTE = palette()
FONT, SMALL = ImageFont.load_default(15), ImageFont.load_default(10)


def families(size: int = 88) -> Image.Image:
    """Every family in six poses, with its name."""
    wide, rows = TITLE + POSES * size, -(-len(NAMES) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * wide, rows * size), "white")
    pen = ImageDraw.Draw(sheet)
    for number, name in enumerate(NAMES):
        left, top = number // rows * wide, number % rows * size
        pen.text((left + 8, top + size // 2), name, fill="black", font=FONT, anchor="lm")
        for pose in range(POSES):
            # The index differs from family to family: equal indices would share ground and colours.
            scene = alone(name, first=1000 * number + 20 * pose, size=size)
            sheet.paste(Image.fromarray(scene.image), (left + TITLE + pose * size, top))
    return sheet


def alone(name: str, *, first: int, size: int) -> Scene:
    """The first scene from an index on that shows one object only."""
    for index in range(first, first + 20):
        scene = render_scene("captioned", index, seed=SEED, size=size, names=[name])
        if len(scene.instance_names) == 1 and not (scene.labels == 0).any():
            return scene
    return scene


def scenes(size: int = 144, columns: int = 3, count: int = 12) -> Image.Image:
    """Scenes beside their labels; a thing without a name is black."""
    sheet = Image.new("RGB", (columns * (2 * size + 6), count // columns * (size + 4)), "white")
    pen = ImageDraw.Draw(sheet)
    for number, scene in enumerate(draw("scenes", count=count, seed=SEED, start=40, size=size)):
        left, top = number % columns * (2 * size + 6), number // columns * (size + 4)
        sheet.paste(Image.fromarray(scene.image), (left, top))
        sheet.paste(Image.fromarray(PALETTE[scene.labels]), (left + size, top))
        for instance, name in enumerate(scene.instance_names, start=1):
            write_name(pen, scene.instances == instance, name, left + size, top)
        for label in np.unique(scene.labels[scene.labels > len(NAMES)]):
            write_name(pen, scene.labels == label, STUFF[label - len(NAMES) - 1], left + size, top)
    return sheet


def write_name(pen: ImageDraw.ImageDraw, mask: np.ndarray, name: str, left: int, top: int) -> None:
    """The name inside the picture, where a mask is widest."""
    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), mask.shape)
    half = 3 * len(name)
    at = (left + min(max(int(x), half), mask.shape[1] - half), top + min(max(int(y), 8), mask.shape[0] - 8))
    pen.text(at, name, fill="white", font=SMALL, anchor="mm", stroke_width=1, stroke_fill="black")


if __name__ == "__main__":
    families().save(HERE / "families.jpg", quality=80, optimize=True)
    scenes().save(HERE / "scenes.jpg", quality=86, optimize=True)
