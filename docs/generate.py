"""Write the pages that are read off the code: `cli.md` from the command line, `models.md` from the known models."""

import inspect
from pathlib import Path
from typing import Any

import typer.main

from namesake.cli import app
from namesake.config import SYNONYMS, options
from namesake.encoders.presets import KNOWN, PRESETS
from namesake.encoders.sources import hub_id
from namesake.progress import readable
from namesake.systems import SYSTEMS

DOCS = Path(__file__).parent
EXIT_CODES = {
    0: "done",
    1: "an error; the last lines on standard error say what was expected, what was found and what to do",
    2: "wrong usage: no such verb or option, or one is missing; the nearest is suggested",
    130: "interrupted by Ctrl-C; the same command goes on where it was",
}


def cli_page() -> str:
    """Every verb with its example, arguments and options."""
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    head = f"""# Command line

Written by `python docs/generate.py` from the command line itself.

`namesake --help` lists the verbs, `namesake VERB --help` says what each takes. Every verb has `--json` (one object on
standard output, for programs) and `--quiet` (no progress). Progress and news go to standard error: a bar on a terminal,
a line every 15 seconds in a log file. `NO_COLOR=1` takes the colours away.

| exit code | meaning |
|---:|---|
{codes}

**Completion.** `namesake --install-completion` adds it to your shell (bash, zsh, fish, PowerShell);
`namesake --show-completion` prints what would be added.
"""
    return head + "".join(_verb(name, verb) for name, verb in verbs.items())


def _verb(name: str, verb: Any) -> str:  # noqa: ANN401
    told, _, example = " ".join(inspect.cleandoc(verb.help).replace("\\[", "[").split()).partition("Example: ")
    rows = "\n".join(_row(parameter) for parameter in verb.params if parameter.name != "help")
    return (
        f"\n## {name}\n\n{told.strip()}\n\n```text\n{example}\n```\n\n"
        f"| argument or option | default | what it is |\n|---|---|---|\n{rows}\n"
    )


def _row(parameter: Any) -> str:  # noqa: ANN401
    argument = parameter.param_type_name == "argument"
    spelled = parameter.name.upper() if argument else ", ".join(parameter.opts + parameter.secondary_opts)
    return f"| `{spelled}` | {_default(parameter)} | {(parameter.help or '').replace('|', '/')} |"


def _default(parameter: Any) -> str:  # noqa: ANN401
    if parameter.required:
        return "required"
    value = parameter.default
    return "" if value is None or value is False or str(value) in {"", "[]", "()", "."} else f"`{value}`".lower()


def models_page() -> str:
    """Every known model with its licence, tier and size, and what each preset uses."""
    rows = "\n".join(
        f"| {model.name} | {_linked(source, model.url)} | {model.licence} | {model.tier} | {readable(model.bytes)} |"
        for source, model in KNOWN.items()
    )
    parts = list(vars(PRESETS["paper"]))
    grid = "\n".join(
        f"| {part} | " + " | ".join(f"`{vars(preset)[part] or '-'}`" for preset in PRESETS.values()) + " |"
        for part in parts
    )
    return f"""# Models and their licences

Written by `python docs/generate.py` from what the package knows of each model.

A model keeps the licence that it was published under, and what is trained from its output may be bound by it. Every
stage's `manifest.json`, the report and the segmenter's `config.json` name all models behind a result, with licence and
tier. **Tier S**: no human mask had a part in its making. **Tier M**: it learned from masks of the SAM kind. "unknown"
means that the publisher states no licence where we looked: ask before you use it commercially.

| model | from | licence | tier | size |
|---|---|---|---|---:|
{rows}

The embedded models come with the package under its own licence (Apache-2.0), are tier S but for `embedded:sam`, and
know only the embedded world.

## What the presets use

| part | {" | ".join(PRESETS)} |
|---|{"---|" * len(PRESETS)}
{grid}

Any part may be another hub id, a folder, or a file: `--config retrieval_clip=openai/clip-vit-base-patch16`.
`namesake doctor` says which of them are on this machine.
"""


def _linked(source: str, url: str) -> str:
    return f"[{source}]({url or f'https://huggingface.co/{hub_id(source)}'})"


def options_page() -> str:
    """Every word that an option has, once, with what it is in each place; and the words of earlier versions."""
    places: dict[str, dict[str, list[str]]] = {}
    for system, found in SYSTEMS.items():
        for one in options(found.presets["paper"]):
            group, _, word = one.path.rpartition(".")
            said = one.what + (f" Published ({one.where}): {one.paper}." if one.paper else "")
            where = places.setdefault(word, {}).setdefault(said, [])
            where += [f"{system} `{group}`" if group else system]
    rows = "\n".join(
        f"| `{word}` | {' '.join(said.split()).replace('|', '/')} | {', '.join(where)} |"
        for word, meanings in sorted(places.items())
        for said, where in meanings.items()
    )
    earlier = "\n".join(
        f"| `{old}` | {', '.join(f'`{one}`' for one in new)} |" for old, new in sorted(SYNONYMS.items())
    )
    return f"""# Options: one word, one meaning

Written by `python docs/generate.py` from the options themselves. `namesake options SYSTEM --preset P` lists those of
one system with their values; `--config path=value` changes one, `--config FILE.yaml` many. All are checked before
anything runs, and a run's own are in its `config.yaml`, which `--config` takes back.

| word | what it is | where |
|---|---|---|
{rows}

## Other words for them

Words of other libraries and of earlier versions; asked for one, `--config` suggests ours. Segmenters that were saved
with earlier words open as before.

| word | ours |
|---|---|
{earlier}
"""


PAGES = {"cli.md": cli_page, "models.md": models_page, "options.md": options_page}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
