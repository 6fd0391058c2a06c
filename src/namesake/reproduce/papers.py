"""All papers with their titles and tables."""

from collections.abc import Mapping

from namesake.reproduce import fmbseg, namedmask, zutis
from namesake.reproduce.table import Table

PAPERS: dict[str, Mapping[str, Table]] = {
    "namedmask": namedmask.TABLES,
    "zutis": zutis.TABLES,
    "fmbseg": fmbseg.TABLES,
}
TITLES = {"namedmask": "NamedMask", "zutis": "ZUTIS", "fmbseg": "FMbSeg"}
