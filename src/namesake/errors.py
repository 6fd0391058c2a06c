"""What can go wrong, as one base class and a handful of children.

A message says what was expected, what was found and what to do. The library raises; only the command line prints.
"""


class NamesakeError(Exception):
    """Base of every error that is a user's or an environment's to mend; the command line prints it without a trace."""


class NamesError(NamesakeError):
    """The list of names is empty, ambiguous or cannot be read."""


class ImagesError(NamesakeError):
    """The images are missing, or none of them can be read."""


class WeightsError(NamesakeError):
    """A model's weights are missing, or do not fit the network that they are meant for."""


class WorkspaceError(NamesakeError):
    """A run folder holds something else, is in use, or cannot be written."""


class DataError(NamesakeError):
    """Ground truth, predictions or a record on disk is malformed or does not fit its counterpart."""


class ConfigError(NamesakeError):
    """An option is unknown or its value is out of range."""
