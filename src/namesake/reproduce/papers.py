"""All papers with their titles and tables."""

from collections.abc import Mapping

from namesake.reproduce import namedmask
from namesake.reproduce.table import Table

PAPERS: dict[str, Mapping[str, Table]] = {"namedmask": namedmask.TABLES}
TITLES = {"namedmask": "NamedMask"}
