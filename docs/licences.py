"""The licences of everything that an installation of the project brings, as a table: docs/licences.md."""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
PAGE = TREE / "docs" / "licences.md"
HEAD = """# Licences of the dependencies

What `constraints.txt` pins, as the packages declare it; written by `python docs/licences.py`.

| package | version | licence |
|---|---|---|
"""


def main() -> None:
    """Write the page and say how many packages of which licence there are."""
    lines = [line.split(";")[0].strip() for line in (TREE / "constraints.txt").read_text(encoding="utf-8").splitlines()]
    pins = [line.split("==") for line in lines if "==" in line]
    rows = [(name, version, licence(name)) for name, version in pins]
    PAGE.write_text(HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows), encoding="utf-8")
    unknown = [name for name, _, found in rows if found in {"not installed", "not declared"}]
    sys.stdout.write(f"{len(rows)} packages, without a licence here: {', '.join(unknown) or 'none'}; {PAGE}\n")


def licence(name: str) -> str:
    """What a package declares: its expression, else its classifiers, else the first line of its licence field."""
    try:
        facts = distribution(name)
    except PackageNotFoundError:
        return "not installed"
    fields = facts.metadata.json
    declared = fields.get("license_expression") or classified(facts) or fields.get("license") or ""
    return re.sub(r"\s+", " ", declared.strip().split("\n")[0])[:80].replace("|", "/") or "not declared"


def classified(facts: Distribution) -> str:
    """The licence classifiers."""
    found = [text for text in facts.metadata.get_all("Classifier") or [] if text.startswith("License ::")]
    return ", ".join(text.rpartition(" :: ")[2] for text in found if not text.endswith("OSI Approved"))


if __name__ == "__main__":
    main()
