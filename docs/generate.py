"""Write the pages that are read off the code: the command line, models, options, and a page a system."""

import dataclasses
import inspect
import re
import sys
from functools import partial
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


GLOSSARY = {
    "backbone": "Network to start from: hub id, folder, file or `embedded:NAME`.",
    "backbone_lr_factor": "Factor on the learning rate of the backbone, the encoder that training starts from.",
    "batch_size": "Images, or samples of a training, that are computed together.",
    "bilateral_solver": "Draw the masks to the images' edges.",
    "block": "Block of the encoder whose features are taken, counted from 0 (negative: from the end); none: the last.",
    "clip": "CLIP of this step: hub id, folder or `embedded:clip`.",
    "copy_paste_max": "Most images that are pasted into one sample; 1 pastes none.",
    "crop_size": "Side in pixels of the square that an image is cropped to.",
    "image_size": "Side in pixels that images are brought to for the network.",
    "iterations": "Updates of a training; 0 leaves an optional training out.",
    "language": "Let CLIP's opinion of the name count.",
    "learning_rate": "Learning rate at the start.",
    "logit_scale": "Factor on similarities before a softmax or a loss.",
    "num_workers": "Processes or threads that prepare what the network sees; of no effect on results.",
    "prompts": 'Sentences that a name is put into: "bare" (none), "photo" (one) or "templates" (85).',
    "resize_longer": "Longer side in pixels that larger images are shrunk to.",
    "resize_range": "Range of the random factor on an image's sides.",
    "resize_shorter": "Shorter side in pixels that images are brought to; none keeps theirs.",
    "retrieval_clip": "CLIP that the images are embedded and the archives retrieved with.",
    "seed": "Seed of all that is random in this step.",
    "threshold": "Probability below which a pixel is background; none: no threshold.",
    "unsure_fraction": 'Share of a name\'s pixels, the least sure, that are "not sure" (zutis: in training).',
    "weight_decay": "Weight decay of the optimiser.",
}
"""What a word means everywhere, where its options say more for their place."""


def options_page() -> str:
    """Every word that an option has, once: what it is, where, what was published; and the words of earlier versions."""
    meanings: dict[str, list[str]] = {}
    places: dict[str, dict[str, list[str]]] = {}
    for system, found in SYSTEMS.items():
        for one in options(found.presets["paper"]):
            group, _, word = one.path.rpartition(".")
            meanings.setdefault(word, []).append(one.what)
            where = places.setdefault(word, {}).setdefault(f"{one.paper} ({one.where})" if one.paper else "", [])
            where += [f"{system} `{group}`" if group else system]
    rows = "\n".join(
        f"| `{word}` | {_meaning(word, said)} | {'; '.join(filter(None, map(_place, places[word].items())))} |"
        for word, said in sorted(meanings.items())
    )
    earlier = "\n".join(
        f"| `{old}` | {', '.join(f'`{one}`' for one in new)} |" for old, new in sorted(SYNONYMS.items())
    )
    return f"""# Options: one word, one meaning

Written by `python docs/generate.py` from the options themselves. `namesake options SYSTEM --preset P` lists those of
one system with their values; `--config path=value` changes one, `--config FILE.yaml` many. All are checked before
anything runs, and a run's own are in its `config.yaml`, which `--config` takes back with the same preset.

| word | what it is | where (published value) |
|---|---|---|
{rows}

## Other words for them

Words of other libraries and of earlier versions; asked for one that the group does not have, `--config` suggests ours.
Segmenters that were saved with earlier words open as before.

| word | ours |
|---|---|
{earlier}
"""


def _meaning(word: str, said: list[str]) -> str:
    """The one sentence of a word: its options' own where they agree."""
    if word in GLOSSARY:
        return GLOSSARY[word]
    if len(set(said)) > 1:
        raise ValueError(f"{word} has several meanings ({sorted(set(said))}); give it one in GLOSSARY.")
    return " ".join(said[0].split()).replace("|", "/")


def _place(item: tuple[str, list[str]]) -> str:
    published, where = item
    return f"{', '.join(where)}: {published}" if published else ", ".join(where)


ARXIV = re.compile(r"https://arxiv\.org/abs/[\d.]+\d")
TITLES = {
    "consensus": "Consensus",
    "namedmask": "NamedMask",
    "zutis": "ZUTIS",
    "fmbseg": "FMbSeg",
    "reco": "ReCo",
    "selfmask": "SelfMask",
    "saliency+clip": "Saliency + CLIP",
    "maskclip": "MaskCLIP",
}
PICTURES = """From a run on 32 rendered pictures with the small embedded models, shortened to seconds of training
(`python docs/method.py {name}`): it shows the steps, not how good they get."""


MORE = {
    "consensus": """

```bash
namesake predict runs/consensus new_photos/ --out masks/
namesake predict runs/consensus new_photos/ --read careful --names "dog, cat, park bench, sky" --out more-masks/
```

A teacher learns from archives as NamedMask does; read with care, it labels every image of the folder; a student learns
those maps and reads better in one pass than the teacher in several. A name that comes later needs no training: CLIP
shares out what the network takes for background among the names that it never saw ("sky" in the last line). Stuff that
is said before (`--config "stuff=('sky',)"`) is learned by the student.

`namesake reproduce consensus --table list` lists what can be measured: every part off in turn, what its errors are
made of, the other systems and a ceiling with as many updates, things and stuff, objects. On three seeds of the
embedded world:

- Things and stuff in one map: 66.9 mean IoU, where FMbSeg, whose masks are SAM's, has 58.3 refined and MaskCLIP
  47.4. A segmenter of things alone that is asked for stuff when it is read with care has 67.5.
- Objects, pieces of the map read with care and drawn to the image's edges (`--read careful --config objects=true`):
  mask AP 26.5, of NamedMask's map 20.2, without drawing 25.8 and 18.4; ZUTIS's own 7.0.
- Things alone, in one pass: 63.4, NamedMask with as many updates 52.4 as its preset has it and 59.9 on images as
  large, at the same output stride; ZUTIS 41.3. The same network taught the true maps of the same images has 68.6, so
  93 % of it is reached. Read with care, at several times the cost: 63.5, NamedMask 55.9 and 61.8, the true maps 69.9.
  So much of the lead is that of finer and larger images, which NamedMask may have as well; what stays in one pass are
  3.5 points, a map that knows stuff, and objects.
- Its parts, of things alone: the teacher has 57.7 in one pass and 59.8 with care, of which CLIP's windows bring 0.4,
  the mirrored view 0.5 and background's bias 0.5; CLIP's opinion of the whole image would cost 1.7. The student has
  63.4; without its threshold, below which it names nothing, 61.5; taught labels without "not sure" 62.4. That its
  labels are read with care brings 1.5 among things and stuff, and nothing among things alone (63.3 without); that
  objects of archives are pasted in instead of those of other labels brings nothing (63.5 without). With earlier models
  and smaller images the two were worth 1.0 and 0.5 of things. Its errors are names and shapes alike: with true names
  wherever it finds one 76.5, with true shapes 76.2.

All of this is measured with preset `mini` on the embedded world; the settings for photographs were not measured on any.

[All rows](../results/consensus.md)."""
}
"""What a system's page says besides."""


def system_page(name: str) -> str:
    """What a system does, step by step with pictures; its options, costs and code."""
    system, page = SYSTEMS[name], name.replace("+", "-")
    module = sys.modules[system.function.__module__]
    head, *parts = re.split(r"\n\s*\n", inspect.cleandoc(module.__doc__ or ""))
    first = next(place for place, part in enumerate(parts) if part.startswith("1. "))
    last = max(place for place, part in enumerate(parts) if re.match(r"\d\. ", part))
    lead = head.partition(": ")[2] or head
    texts = ("\n\n".join(some) for some in (parts[:first], parts[first : last + 1], parts[last + 1 :]))
    before, steps, notes = (ARXIV.sub(r"<\g<0>>", text) for text in texts)
    picture = (
        f"![{TITLES[name]}: what each step leaves, from left to right]({page}.jpg)\n\n{PICTURES.format(name=name)}"
    )
    names = "" if name == "selfmask" else '--names "dog, cat, park bench" '
    rows = "\n".join(_field(field) for field in dataclasses.fields(system.presets["paper"]))
    file = f"src/namesake/{module.__name__.removeprefix('namesake.').replace('.', '/')}.py"
    return f"""# {TITLES[name]}

{lead[0].upper()}{lead[1:]}

{before}

```bash
namesake run {name} {names}--images photos/ --out runs/{page}
```{MORE.get(name, "")}

## The method

{picture}

{steps}

{notes}

## What it costs

`namesake run {name} ... --dry-run` says, before anything is computed, what would be fetched and how long each stage
takes on your device.

<!-- cost: {name} -->

## Options

| option | as published | what it is |
|---|---|---|
{rows}

`namesake options {name}` lists every one with the published value and where it is said;
[Options and their words](../options.md) explains them.

## The code

The system, whole: `Config` is what can be set (`--config path=value`), and the function at the end is the method, one
call a step.

```python
--8<-- "{file}"
```
"""


def _field(field: dataclasses.Field[Any]) -> str:
    told = " ".join(str(field.metadata.get("what", "")).split()).replace("|", "/")
    holds = field.default is dataclasses.MISSING
    value = "" if holds else f"`{field.default if field.default != '' else '-'}`"
    return f"| `{field.name}{'.*' if holds else ''}` | {value} | {told} |"


PAGES = {"cli.md": cli_page, "models.md": models_page, "options.md": options_page} | {
    f"systems/{name.replace('+', '-')}.md": partial(system_page, name) for name in TITLES
}


if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
