"""All papers, and our own system, with their titles and tables."""

from collections.abc import Mapping

from namesake.reproduce import consensus, fmbseg, namedmask, zutis
from namesake.reproduce.table import Table

PAPERS: dict[str, Mapping[str, Table]] = {
    "consensus": consensus.TABLES,
    "namedmask": namedmask.TABLES,
    "zutis": zutis.TABLES,
    "fmbseg": fmbseg.TABLES,
}
TITLES = {"consensus": "Consensus", "namedmask": "NamedMask", "zutis": "ZUTIS", "fmbseg": "FMbSeg"}
