"""Segment every image of a folder, and print how much of each picture each name takes.

python examples/segment_folder.py runs/pets photos/ --out overlays/
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import namesake
from namesake.images import open_images, read_image
from namesake.prediction import overlay


def main() -> None:
    """Read, segment, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    segmenter = namesake.load(options.run)
    images = open_images(options.images)
    options.out.mkdir(parents=True, exist_ok=True)
    for number, image_id in enumerate(images.ids):
        image = read_image(images.path(image_id))
        labels = segmenter.segment(image).labels
        share = np.bincount(labels.ravel(), minlength=len(segmenter.names) + 1) / labels.size
        found = [f"{name} {part:.0%}" for name, part in zip(segmenter.names.names, share[1:], strict=False) if part]
        print(f"{image_id}: {', '.join(found) or 'background'}")
        Image.fromarray(overlay(image, labels, segmenter.names)).save(options.out / f"{number:06d}.jpg")


if __name__ == "__main__":
    main()
