"""Run folders in, a web page on this machine out: segment a picture, see what a run learned from, compare two runs.

`look` and `browse` say what is shown, `page` lays it out, `guard` decides what may be asked for, `serve` starts it.
"""

from namesake.app.serve import serve

__all__ = ["serve"]
