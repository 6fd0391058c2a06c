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
SEEN = 90


def main() -> None:
    """Print a row a command."""
    photos, place, *pages = (Path(argument).resolve() for argument in sys.argv[1:])
    sys.stdout.write("| page | command | s | as printed | with `--preset mini` |\n|---|---|---:|---|---|\n")
    tried: set[str] = set()
    for page in pages:
        for folder in ("as-printed", "mini"):
            furnish(place / page.stem / folder, photos, place)
        blocks = "".join(BLOCK.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
        for line in (found.partition("  #")[0].strip() for found in COMMAND.findall(blocks)):
            if line in tried and "runs/" not in line:
                continue
            tried.add(line)
            ways = ways_of(line)
            told, seconds = dict.fromkeys(ways, ""), 0.0
            for way, typed in ways.items():
                os.chdir(place / page.stem / way)
                took, told[way] = attempt(typed)
                seconds += took
            if ways:
                row = (
                    page.stem,
                    f"`{line.replace('|', '/')}`",
                    f"{seconds:.1f}",
                    told.get("as-printed", ""),
                    told["mini"],
                )
                sys.stdout.write(f"| {' | '.join(row)} |\n")
                sys.stdout.flush()


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
    for run in (place / "README" / "mini" / "runs").glob("*"):
        shutil.copytree(run, folder / "earlier" / run.name)


def ways_of(line: str) -> dict[str, str]:
    """Where to try a line, and how: as printed, and with the embedded models where it would take the published ones."""
    words = shlex.split(line)
    verb = next(itertools.dropwhile(lambda word: "=" in word or word == "namesake", words))
    if verb in BY_HAND and not line.endswith("list"):
        return {}
    takes = {opt for each in typer.main.get_command(app).commands[verb].params for opt in each.opts}  # type: ignore[attr-defined]
    if "--preset" not in takes or "--preset" in words or verb == "reproduce":
        return {"mini": line.replace("--device cuda", "--device auto")}
    system = words[2] if verb == "run" else words[words.index("--system") + 1] if "--system" in words else "namedmask"
    with_any_device = line.replace("--device cuda", "--device auto")
    tiny = [f"--config {value}" for value in TINY.get(system, ()) if "--config" in takes]
    return {"as-printed": line, "mini": " ".join([with_any_device, "--preset mini", *tiny])}


def attempt(line: str) -> tuple[float, str]:
    """Seconds, and the last line on standard output or the error with the exit code."""
    words = shlex.split(line)
    while "=" in words[0]:
        key, _, value = words.pop(0).partition("=")
        os.environ[key] = value
    borrow(words)
    out, start = io.StringIO(), sum(os.times()[:4])
    code, error = 0, ""
    with contextlib.redirect_stdout(out):
        try:
            arguments = [path for word in words[1:] for path in expanded(word)]
            typer.main.get_command(app).main(arguments, standalone_mode=False)
        except NamesakeError as raised:
            code, error = 1, str(raised)
        except SystemExit as raised:
            code = int(raised.code or 0)
    told = error or (out.getvalue().strip().splitlines() or ["nothing"])[-1]
    with contextlib.suppress(ValueError):
        told = f"JSON with {len(json.loads(told))} keys"
    told = " ".join(told.split()).replace("|", "/")
    told = told[:SEEN] + "..." if len(told) > SEEN else told
    return sum(os.times()[:4]) - start, f"exit {code}: {told}" if code else told


def expanded(word: str) -> list[str]:
    """What a shell makes of a word with a star."""
    return sorted(map(str, Path().glob(word))) or [word] if "*" in word and "**" not in word else [word]


def borrow(words: list[str]) -> None:
    """A run that a page uses without making it comes from the README's."""
    for word in words[2:]:
        if word.startswith("runs/") and "--out" not in words[: words.index(word)] and not Path(word).exists():
            source = Path("earlier", "pets")
            if source.is_dir():
                shutil.copytree(source, word)


if __name__ == "__main__":
    main()
