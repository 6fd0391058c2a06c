"""Command lines run in forks of one warm process, and the files that they leave."""

import hashlib
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

VOLATILE = {"manifest.json", "run.json", "names.json", ".lock"}
"""Files that hold seconds or the command line, or that carry no result."""


class Ended(NamedTuple):
    """How a command line ended: exit code (-9: killed), standard output and standard error."""

    code: int
    out: str
    err: str


class Runner:
    """Runs command lines in forks of one warm process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "runner.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str | Path, **fault: object) -> Ended:
        request = {"arguments": [str(argument) for argument in arguments], **fault}
        self._process.stdin.write(json.dumps(request, default=str) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that a run made, by relative path; what carries no result is left out."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in VOLATILE]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
