"""Where a run's artifacts lie, and when they count: a manifest, written last, makes a stage's folder exist.

A stage is a function `make(out, *inputs, **options) -> artifact` marked with `@stage(folder, opens=...)`. `run_now`
just calls it; `Workspace.step` first looks for the artifact that the same inputs and options made, and computes only
what is missing. Nothing here knows what a stage does.
"""

from namesake.workspace.atomic import (
    advice,
    finite,
    is_unnameable,
    write_array,
    write_atomically,
    write_bytes,
    write_json,
    write_parquet,
)
from namesake.workspace.fingerprint import describe
from namesake.workspace.inputs import by_path, read_inputs, write_inputs
from namesake.workspace.manifest import (
    MANIFEST,
    RECORD,
    STARTED,
    peak_rss_mb,
    read_facts,
    read_manifest,
    read_notices,
    read_record,
)
from namesake.workspace.stage import Stage, Step, run_now, stage
from namesake.workspace.workspace import LOCK, StoppedError, Workspace

__all__ = [
    "LOCK",
    "MANIFEST",
    "RECORD",
    "STARTED",
    "Stage",
    "Step",
    "StoppedError",
    "Workspace",
    "advice",
    "by_path",
    "describe",
    "finite",
    "is_unnameable",
    "peak_rss_mb",
    "read_facts",
    "read_inputs",
    "read_manifest",
    "read_notices",
    "read_record",
    "run_now",
    "stage",
    "write_array",
    "write_atomically",
    "write_bytes",
    "write_inputs",
    "write_json",
    "write_parquet",
]
