"""Pixels in: a folder becomes stable ids, a file becomes an RGB array, and arrays are resized and cropped.

Knows neither names nor networks; the sizes that a network wants are the caller's.
"""

from namesake.images.batches import evenly, read_ahead, work_ahead
from namesake.images.decode import read_image
from namesake.images.folder import open_images

__all__ = ["evenly", "open_images", "read_ahead", "read_image", "work_ahead"]
