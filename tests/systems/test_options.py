"""Every option of every preset of every system: what is wrong is refused, what is accepted reaches its stage."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from namesake.cli import app
from namesake.config import SYNONYMS, options, paths, settle, spelled, to_yaml
from namesake.errors import ConfigError
from namesake.records import Artifact, Images, Names
from namesake.segmenter import SegmenterFolder
from namesake.systems import SYSTEMS, configure
from namesake.systems.adding import Joined
from namesake.workspace.fingerprint import EXECUTION, describe

PRESETS = [(system, preset) for system, found in SYSTEMS.items() for preset in found.presets]
NEGATIVE = {"pred_iou_thresh", "block", "background_bias"}
"""Words of numbers that may be -1."""
TEXTS = {"names", "encoders", "contexts", "stuff"}


def leaves(system: str, preset: str) -> dict[str, Any]:
    return paths(configure(system, preset=preset))


@pytest.mark.parametrize(("system", "preset"), PRESETS)
def test_every_option_says_what_it_is(system: str, preset: str) -> None:
    silent = [one.path for one in options(configure(system, preset=preset)) if len(one.what) < 8]
    assert silent == []


def test_every_synonym_suggests_options_that_exist() -> None:
    words = {one.path.rpartition(".")[2] for each in PRESETS for one in options(configure(each[0], preset=each[1]))}
    assert {old: new for old, new in SYNONYMS.items() if not set(new) <= words} == {}


@pytest.mark.parametrize(("system", "preset"), PRESETS)
def test_wrong_values_are_refused(system: str, preset: str) -> None:
    """A word where a number or one of some words belongs, -1 where it means nothing, and what is no number at all."""
    taken = []
    for path, value in leaves(system, preset).items():
        word = path.rpartition(".")[2]
        wrong = []
        if not isinstance(value, str) and word not in TEXTS:
            wrong += ["foo"]
        if isinstance(value, int | float) and not isinstance(value, bool) and word not in NEGATIVE:
            wrong += ["-1"]
        if isinstance(value, float):
            wrong += ["nan", "inf"]
        for text in wrong:
            try:
                configure(system, preset=preset, config=(f"{path}={text}",))
                taken.append(f"{path}={text}")
            except ConfigError as error:
                taken += [] if path in str(error) else [f"{path}: {error}"]
    assert taken == []


@pytest.mark.parametrize(
    ("system", "assignment"),
    [
        ("zutis", "training.inference.score_function=foo"),
        ("zutis", "training.inference.patch_fit=foo"),
        ("zutis", "training.precision=fp8"),
        ("zutis", "training.architecture.encoder.dim=7"),
        ("zutis", "training.architecture.encoder.eps=1"),
        ("namedmask", "training.architecture.stem=8"),
        ("namedmask", "training.architecture.hidden_sizes=8,8,8,8"),
        ("namedmask", "training.architecture.depths=1,1,1,1"),
        ("fmbseg", "alignment.inference.image_size=777"),
        ("namedmask", "training.learning_rate=-1"),
        ("namedmask", "training.num_workers=-1"),
        ("namedmask", "training.weight_decay=-3"),
        ("namedmask", "training.threads=-2"),
        ("namedmask", "training.color_jitter=-9"),
        ("namedmask", "training.checkpoint_every=0"),
        ("namedmask", "training.copy_paste_max=0"),
        ("namedmask", "training.resize_range=0.9,0.1"),
        ("namedmask", "archives.contested=worst"),
        ("fmbseg", "alignment.loss=triplet"),
    ],
)
def test_what_was_ignored_or_broke_late_is_refused_first(system: str, assignment: str) -> None:
    with pytest.raises(ConfigError, match=assignment.partition("=")[0].rpartition(".")[2]):
        configure(system, preset="mini", config=(assignment,))


def test_all_faults_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        configure("namedmask", preset="mini", config=("training.batch_size=1", "experts.dropout=2", "training.lr=1"))
    assert {line.split()[-1] for line in str(error.value).splitlines()} >= {"training.learning_rate?"}
    with pytest.raises(ConfigError) as error:
        configure("namedmask", preset="mini", config=("training.batch_size=1", "experts.precision=fp8"))
    assert "experts.precision is 'fp8', expected one of no, bf16" in str(error.value)
    assert "training.batch_size is 1, expected 2 or more." in str(error.value)


def test_rules__of_a_configuration_and_of_its_bases() -> None:
    with pytest.raises(ConfigError) as error:
        configure(
            "namedmask",
            preset="mini",
            config=("training.gradient_accumulation_steps=5", "training.resize_range=(1.0,0.5)"),
        )
    assert "training.gradient_accumulation_steps is 5, expected a divisor of batch_size, 24." in str(error.value)
    assert "training.resize_range is (1.0, 0.5), expected two numbers, the lower one first." in str(error.value)


@pytest.mark.parametrize(
    ("system", "word", "ours"),
    [
        ("namedmask", "training.lr", "training.learning_rate"),
        ("namedmask", "training.epochs", "training.iterations"),
        ("namedmask", "training.max_iters", "training.iterations"),
        ("namedmask", "training.workers", "training.num_workers"),
        ("namedmask", "training.image_size", "training.crop_size"),
        ("namedmask", "encoder", "retrieval_clip"),
        ("zutis", "training.temperature", "training.logit_scale"),
        ("selfmask", "training.crop_size", "training.image_size"),
        ("fmbseg", "alignment.share", "alignment.automatic_fraction"),
    ],
)
def test_words_of_the_field_lead_to_ours(system: str, word: str, ours: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {ours}"):
        configure(system, preset="paper", config=(f"{word}=1",))


def test_word_that_no_option_has() -> None:
    with pytest.raises(ConfigError, match="none of a like name"):
        configure("maskclip", preset="paper", config=("learning_rate_warmup=3",))


WORDS = {
    "contested": ("last", "best"), "prompts": ("bare", "photo"), "precision": ("no", "bf16"),
    "encoder_precision": ("no", "int8"),
    "targets": ("saliency", "components"), "normalization": ("clip", "imagenet"), "init": ("he", "torch"),
    "score_function": ("sigmoid", "softmax"), "patch_fit": ("crop", "resize"), "present_from": ("crops", "patches"),
    "module": ("block", "linear"), "loss": ("tsupcon", "supcon"), "label_sources": ("both", "apart"),
    "optimizer": ("sgd", "adamw"), "until": ("prompted", "automatic"), "names": (("sky",), ("car",)),
    "stuff": (("sky",), ("car",)), "threshold": (0.3, 0.6),
}  # fmt: skip


def changed(value: Any, word: str) -> Any:  # noqa: PLR0911
    """Another value that the option may have."""
    if word in WORDS:
        return next(other for other in WORDS[word] if other != value)
    if isinstance(value, bool):
        return not value
    if value is None:
        return 64
    if word == "resize_range":
        return (0.2, 0.9)
    if isinstance(value, tuple):
        return (value[0] + 1,) if value and not isinstance(value[0], str) else ("other",)
    if isinstance(value, str):
        return f"{value}x"
    return value / 2 if isinstance(value, float) and value else value + 1


def keys(system: str, config: Any) -> list[str]:
    """What each stage of a run is told, as its key has it, and of one that a name joins; nothing is computed."""
    told: list[str] = []

    def step(stage: Any, *inputs: Any, **chosen: Any) -> Any:
        words = [list(one.names) for one in inputs if isinstance(one, Names)]
        told.append(json.dumps([stage.name, words, describe(chosen)], sort_keys=True, default=str))
        return Artifact(Path())

    asked = {"config": config, "step": step}
    SYSTEMS[system].function(Names(("sky", "car")), Images(Path(), ()), **asked)
    if SYSTEMS[system].adds:
        joined = Joined(Names(("dog",)), step, Path("earlier"))
        SYSTEMS[system].function(Names(("sky", "car")), Images(Path(), ()), **asked, added=[joined])
    return told


def keys_or_refusal(system: str, config: Any) -> list[str]:
    """The same, or what a system says that refuses such options together before anything is done."""
    try:
        return keys(system, config)
    except ConfigError as error:
        return [str(error)]


ON = {
    "namedmask": (
        ("stuff.names=sky", "guide.clip=a", "experts.iterations=5", "experts.groups=2", "voting.encoders="),
        ("voting.encoders=a",),
    ),
    "zutis": (("stuff.names=sky", "voting.encoders="), ("voting.encoders=a",)),
    "fmbseg": (
        ("alignment.batch_size=4", "alignment.dense_encoder=a", "alignment.clip=a"),
        ("alignment.batch_size=4", "alignment.dense_encoder=a", "alignment.clip=a", "until=prompted"),
    ),
    "consensus": (("voting.encoders=", "student.iterations=2"), ("voting.encoders=a", "student.iterations=2")),
}
"""By system, what turns on the parts that a preset leaves out; batches of which there are halves; patches of CLIP."""


@pytest.mark.parametrize(("system", "preset"), PRESETS)
def test_a_change_reaches_its_stage(system: str, preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # what a run made before a name joined is there
    for opener, made in (("read_manifest", Artifact), ("open_segmenter", SegmenterFolder), ("open_masks", Artifact)):
        monkeypatch.setattr(f"namesake.systems.consensus.{opener}", made)
    shown = tmp_path / "shown.json"
    shown.write_text('{"a": ["sky"]}', encoding="utf-8")
    known = leaves(system, preset)  # a frozen encoder has no student
    bases = [
        configure(system, preset=preset, config=tuple(each for each in on if each.partition("=")[0] in known))
        for on in ON.get(system, ((),))
    ]
    bare = [keys(system, base) for base in bases]
    for path in leaves(system, preset):
        word = path.rpartition(".")[2]
        new = []
        for base in bases:
            value = paths(base)[path]
            other = str(shown) if word == "image_labels" else changed(value, word)
            assert other != value, path
            new.append(keys_or_refusal(system, settle(base, [f"{path}={spelled(other)}"])))
        assert (new != bare) == (word not in EXECUTION), path


@pytest.mark.parametrize(("system", "preset"), PRESETS)
def test_configuration_goes_out_as_yaml_and_comes_back(system: str, preset: str, tmp_path: Path) -> None:
    config = configure(system, preset=preset)
    file = tmp_path / "config.yaml"
    file.write_text(to_yaml(config), encoding="utf-8")
    assert configure(system, preset=preset, config=(str(file),)) == config


def test_yaml__wrong_words_and_files(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("training:\n  lr: 1\narchives: {images_per_name: many}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        configure("namedmask", preset="mini", config=(str(file), f"{tmp_path}/none.yaml"))
    assert len(str(error.value).splitlines()) == 3
    file.write_text("training.iterations: 7\ntraining: {resize_range: [0.5, 1]}\n", encoding="utf-8")
    config = configure("namedmask", preset="mini", config=(str(file),))
    assert (config.training.iterations, config.training.resize_range) == (7, (0.5, 1.0))


def test_verb(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["options", "zutis", "--preset", "mini", "--json"])
    found = {one["path"]: one for one in json.loads(result.stdout)["options"]}
    assert found["training.learning_rate"]["value"] == 2e-3
    assert (found["training.learning_rate"]["paper"], found["training.learning_rate"]["where"]) == ("5e-5", "paper")
    shown = CliRunner().invoke(app, ["options", "maskclip"]).stdout
    assert all(path in shown for path in leaves("maskclip", "paper"))
