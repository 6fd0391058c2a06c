"""Published checkpoints in; our networks, or run folders that every verb takes, out.

What the authors of SelfMask, NamedMask (with its experts and ReCo+) and ZUTIS published, in their own layouts. How a
network computes is its own folder's matter; here files are told apart, checked and given names.
"""

from namesake.official.convert import convert
from namesake.official.load import load_official

__all__ = ["convert", "load_official"]
