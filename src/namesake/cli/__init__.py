"""The command line: a verb parses, calls one function and prints where the result lies.

Each file holds the verbs of one kind and registers them on `app`.
"""

from namesake.cli import convert, evaluate, export, find, label, predict, reproduce, serve, stages, world
from namesake.cli.app import app, main

__all__ = [
    "app",
    "convert",
    "evaluate",
    "export",
    "find",
    "label",
    "main",
    "predict",
    "reproduce",
    "serve",
    "stages",
    "world",
]
