"""A process that imports everything once and forks for each command line: a run starts at once and may be struck.

Requests are JSON lines on standard input, answers JSON lines on standard output: `{"code", "out", "err"}`; a run that
was killed has the code -9. A request holds `arguments`, perhaps `constants` of modules ("module:NAME" and a
value), and perhaps one fault:

- `seconds`: SIGKILL so long after the start.
- `appears`: SIGKILL when there is a file or folder of this name.
- `operation`: SIGKILL at the so-manieth file that Python opens for writing, renames, makes or deletes below `folder`.
  With `interrupt` it is SIGINT, what Ctrl-C sends.
- `stage` with `strike`: when `folder/stage` has just begun, "fill" the file system that it lies on, or "limit" files
  to no byte (both are: no space), or make its folders "read-only".
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}
FILLER = ".filler"
WARM = (
    "accelerate",
    "namesake.cli",
    "namesake.evaluation",
    "namesake.prediction",
    "namesake.segmenter",
    "namesake.systems.runs",
    "namesake.training",
    "pandas",
    "pillow_heif",
    "pyarrow.parquet",
    "scipy.optimize",
    "tokenizers",
    "torch.distributed.tensor",
    *(f"transformers.models.{model}.modeling_{model}" for model in ("clip", "dinov2", "resnet", "vit")),
    "transformers.models.auto.image_processing_auto",
    "transformers.models.auto.tokenization_auto",
)
"""What runs import sooner or later; together it takes ten seconds, which a fork need not spend again."""


def main() -> None:
    import torch

    torch.set_num_threads(1)
    for module in WARM:
        importlib.import_module(module)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        answers.write(json.dumps(fork(json.loads(line))) + "\n")
        answers.flush()


def fork(request: dict) -> dict:
    """Run one command line in a child and say how it ended."""
    pipes = [os.pipe(), os.pipe()]
    child = os.fork()
    if not child:
        run(request, pipes)
    for _, write in pipes:
        os.close(write)
    told = [b"", b""]
    readers = [threading.Thread(target=read, args=(pipe[0], told, which)) for which, pipe in enumerate(pipes)]
    for reader in readers:
        reader.start()
    _, status = os.waitpid(child, 0)
    for reader in readers:
        reader.join(timeout=0.2 if os.WIFSIGNALED(status) else 20)  # grandchildren may outlive a killed child
    out, err = (content.decode(errors="replace") for content in told)
    return {"code": os.waitstatus_to_exitcode(status), "out": out, "err": err}


def read(pipe: int, told: list[bytes], which: int) -> None:
    while content := os.read(pipe, 1 << 16):
        told[which] += content
    os.close(pipe)


def run(request: dict, pipes: list[tuple[int, int]]) -> None:
    from namesake.cli import main as command_line

    os.setpgid(0, 0)
    os.dup2(pipes[0][1], 1)
    os.dup2(pipes[1][1], 2)
    for pipe in pipes:
        for end in pipe:
            os.close(end)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for place, value in request.get("constants", {}).items():
        module, _, name = place.partition(":")
        setattr(importlib.import_module(module), name, value)
    prepare(request)
    sys.argv = ["namesake", *request["arguments"]]
    code = 0
    try:
        command_line()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def prepare(request: dict) -> None:
    """Set the trap that a request names."""
    folder = request.get("folder", "")
    if "interrupt" in request:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    if "seconds" in request:
        threading.Thread(target=die_after, args=(request["seconds"],), daemon=True).start()
    if "appears" in request:
        threading.Thread(target=die_when_there, args=(Path(request["appears"]),), daemon=True).start()
    if "operation" in request:
        left = [request["operation"]]

        def count(event: str, arguments: tuple) -> None:
            if changes(event, arguments, folder):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGINT if request.get("interrupt") else signal.SIGKILL)

        sys.addaudithook(count)
    if "stage" in request:
        if request["strike"] == "read-only":
            drop_capabilities()
        sys.addaudithook(trap(folder, request["stage"], request["strike"]))


def trap(folder: str, stage: str, strike: str) -> Callable[[str, tuple], None]:
    """A hook that strikes at the first event after the stage's `started.json` got its name."""
    started, state = f"{folder}/{stage}/started.json", ["waiting"]

    def hook(event: str, arguments: tuple) -> None:
        if state[0] == "waiting" and event == "os.rename" and str(arguments[1]) == started:
            state[0] = "armed"
        elif state[0] == "armed":
            state[0] = "struck"
            STRIKES[strike](Path(folder), stage)

    return hook


def fill(folder: Path, _stage: str) -> None:
    """Write zeros until there is no room left; unbuffered, in ever smaller pieces."""
    file = os.open(folder.parent / FILLER, os.O_WRONLY | os.O_CREAT)
    for size in (1 << 20, 1 << 12, 1):
        try:
            while os.write(file, b"0" * size):
                pass
        except OSError:
            continue
    os.close(file)


def limit(_folder: Path, _stage: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def make_read_only(folder: Path, stage: str) -> None:
    for path in [folder / stage, *(folder / stage).rglob("*")]:
        if path.is_dir():
            path.chmod(0o555)


STRIKES = {"fill": fill, "limit": limit, "read-only": make_read_only}


def changes(event: str, arguments: tuple, folder: str) -> bool:
    """Whether an audit event changes something below a folder."""
    writes = event == "open" and bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return (writes or event in CHANGES) and str(arguments[0]).startswith(folder)


def die_after(seconds: float) -> None:
    time.sleep(seconds)
    die()


def die_when_there(path: Path) -> None:
    while not path.exists():
        time.sleep(0.001)
    die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def drop_capabilities() -> None:
    """Give up root's right to write where permissions forbid it; nothing to give up for other users."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    ctypes.CDLL(None, use_errno=True).capset(header, (ctypes.c_uint32 * 6)())


if __name__ == "__main__":
    main()
