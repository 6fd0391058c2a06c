"""Every command of the README and the pages, tried as a new user types it: a table for LOG.md.

    python dev/transcript.py PHOTOS PLACE PAGE ... > table.md

PHOTOS is a folder of images; PLACE gets a folder for each page, with what its commands name: photos/, new_photos/,
labelled/, names.txt. Where a command means the published models, it is tried once as printed and once with `--preset
mini` and a handful of updates. All commands share one process; seconds are processor time, without the 3 that starting
the command takes. Other programs, and verbs that never end, take minutes or want a download, are left to a person.
"""

import contextlib
import io
import itertools
import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import typer.main

from namesake.cli import app
from namesake.errors import NamesakeError
from namesake.world import write_world

ROOT = Path(__file__).resolve().parents[1]
COMMAND = re.compile(r"^(?:\w+=\S+ )*namesake .*$", re.MULTILINE)
BLOCK = re.compile(r"^```(?:bash|text)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BY_HAND = ("serve", "demo", "convert", "reproduce")
UPDATES = ("training.iterations=4", "training.batch_size=2", "training.workers=0")
ARCHIVES = "archives.images_per_name=6"
EXPERTS = ("experts.iterations=2", "experts.batch_size=2", "experts.workers=0")
TINY = {
    "namedmask": (ARCHIVES, *EXPERTS, *UPDATES),
    "zutis": (ARCHIVES, *UPDATES),
    "selfmask": UPDATES,
    "fmbseg": ("alignment.iterations=4", "alignment.batch_size=2", "alignment.workers=0"),
}
SEEN = 110


def main() -> None:
    """Print a row a command."""
    photos, place, *pages = (Path(argument).resolve() for argument in sys.argv[1:])
    sys.stdout.write("| page | command | s | what was seen |\n|---|---|---:|---|\n")
    tried: set[str] = set()
    for page in pages:
        folder = place / page.stem
        furnish(folder, photos, place)
        os.chdir(folder)
        blocks = "".join(BLOCK.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
        for line in COMMAND.findall(blocks):
            for typed in ways(line.partition("  #")[0].strip()):
                if typed not in tried or "runs/" in typed:
                    code, seconds, seen = attempt(typed)
                    told = f"{seen} (exit {code})" if code else seen
                    sys.stdout.write(f"| {page.stem} | `{typed.replace('|', '/')}` | {seconds:.1f} | {told} |\n")
                    sys.stdout.flush()
                tried.add(typed)


def furnish(folder: Path, photos: Path, place: Path) -> None:
    """What the commands of a page take for granted."""
    pictures = sorted(path for path in photos.iterdir() if path.suffix in {".jpg", ".png"})
    for name, chosen in (("photos", pictures[:24]), ("new_photos", pictures[24:30]), ("my-cup", pictures[:2])):
        (folder / name).mkdir(parents=True)
        for path in chosen:
            shutil.copy(path, folder / name)
    (folder / "more").mkdir()
    shutil.copy(pictures[-1], folder / "more")
    (folder / "names.txt").write_text("dog\ncat\npark bench, bench\nbackground, sky, grass\n", encoding="utf-8")
    world = place / "labelled"
    if not world.is_dir():
        write_world("scenes", world, count=6, seed=3, workers=1)
    shutil.copytree(world, folder / "labelled")
    for run in (place / "README" / "runs").glob("*"):
        shutil.copytree(run, folder / "earlier" / run.name)


def ways(line: str) -> list[str]:
    """The line as printed; then, where that wants the published models, with the embedded ones."""
    words = shlex.split(line)
    verb = next(itertools.dropwhile(lambda word: "=" in word or word == "namesake", words))
    if verb in BY_HAND and not line.endswith("list"):
        return []
    takes = {opt for each in typer.main.get_command(app).commands[verb].params for opt in each.opts}  # type: ignore[attr-defined]
    if "--preset" not in takes or "--preset" in words or verb == "reproduce":
        return [line]
    system = words[2] if verb == "run" else words[words.index("--system") + 1] if "--system" in words else "namedmask"
    tiny = TINY.get(system, ()) if "--config" in takes else ()
    return [
        line,
        " ".join(
            [
                line,
                "--preset mini --overwrite" if "--overwrite" in takes else "--preset mini",
                *(f"--config {value}" for value in tiny),
            ]
        ),
    ]


def attempt(line: str) -> tuple[int, float, str]:
    """Exit code, seconds, and the last line on standard output, or the error."""
    words = shlex.split(line)
    while "=" in words[0]:
        key, _, value = words.pop(0).partition("=")
        os.environ[key] = value
    borrow(words)
    out, start = io.StringIO(), sum(os.times()[:4])
    code, error = 0, ""
    with contextlib.redirect_stdout(out):
        try:
            expanded = [
                found
                for word in words[1:]
                for found in (
                    sorted(map(str, Path().glob(word))) or [word] if "*" in word and "**" not in word else [word]
                )
            ]
            typer.main.get_command(app).main(expanded, standalone_mode=False)
        except NamesakeError as raised:
            code, error = 1, str(raised)
        except SystemExit as raised:
            code = int(raised.code or 0)
    told = error or (out.getvalue().strip().splitlines() or ["nothing"])[-1]
    with contextlib.suppress(ValueError):
        told = f"JSON with {len(json.loads(told))} keys"
    told = " ".join(told.split())
    return code, sum(os.times()[:4]) - start, (told[:SEEN] + "..." if len(told) > SEEN else told).replace("|", "/")


def borrow(words: list[str]) -> None:
    """A run that a page uses without making it comes from the README's."""
    for word in words[2:]:
        if word.startswith("runs/") and "--out" not in words[: words.index(word)] and not Path(word).exists():
            source = Path("earlier") / "pets"
            if source.is_dir():
                shutil.copytree(source, word)


if __name__ == "__main__":
    main()
