"""The overlays of the quickstart in, one sheet of them out: python docs/sheet.py masks/overlays docs/quickstart.jpg."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from namesake.prediction import contact_sheet

if __name__ == "__main__":
    paths = sorted(Path(sys.argv[1]).iterdir())
    tiles = [(np.array(Image.open(path)), path.stem) for path in paths]
    Image.fromarray(contact_sheet(tiles, columns=6, side=190)).save(sys.argv[2], quality=85)
