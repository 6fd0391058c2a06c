"""What is said before a run: embedded models are named once, and only those that the run uses."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from namesake import notices
from namesake.config import paths
from namesake.encoders.presets import EMBEDDED, KNOWN
from namesake.errors import WeightsError
from namesake.names import read_names
from namesake.systems import SYSTEMS, configure, run
from namesake.systems.notices import have_models, models_by_option, say_before


def asked(system: str, preset: str, *config: str) -> list[str]:
    """The models of a run of two names."""
    chosen = configure(system, preset=preset, config=config)
    return list(dict.fromkeys(models_by_option(SYSTEMS[system], chosen, read_names("car, tree")).values()))


def by_option(system: str, preset: str) -> dict[str, str]:
    """The models of a run by the options that name them."""
    return models_by_option(SYSTEMS[system], configure(system, preset=preset))


@pytest.fixture
def unsaid() -> None:
    """Nothing was said in this process yet."""
    notices._said.clear()


def test_embedded__those_in_use(unsaid, capsys):
    names = read_names("car, tree")
    say_before(names, asked("namedmask", "mini", "experts.iterations=0"))
    told = capsys.readouterr().err
    assert "embedded:clip, embedded:resnet, embedded:saliency" in told
    assert "embedded:sam" not in told
    say_before(names, asked("namedmask", "mini", "stuff.names=(tree,)"))
    assert "embedded:sam" in capsys.readouterr().err


def test_published__no_notice(capsys):
    say_before(read_names("car, tree"), asked("namedmask", "paper"))
    assert "embedded" not in capsys.readouterr().err


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("preset", ["paper", "modern", "mini"])
def test_models__no_option_that_names_one_is_forgotten(system: str, preset: str) -> None:
    on = {"stuff.names": "(car,)", "experts.groups": "4"}
    config = configure(system, preset=preset)
    config = configure(system, preset=preset, config=tuple(f"{key}={on[key]}" for key in on if key in paths(config)))
    texts = {
        str(part) for value in paths(config).values() for part in (value if isinstance(value, tuple) else (value,))
    }
    found = models_by_option(SYSTEMS[system], config).values()
    assert set(found) == {text for text in texts if text in KNOWN or text.startswith(EMBEDDED)}


def test_models__of_parts_that_are_off() -> None:
    assert "facebook/dinov2-large" not in asked("fmbseg", "paper", "until=prompted")
    elsewhere = asked("namedmask", "paper", "retrieval_clip=a-folder", "experts.iterations=0")
    assert elsewhere == ["a-folder", "selfmask_nq20.pt", "Ramos-Ramos/dino-resnet-50"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_missing__all_are_named_before_anything_is_computed(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").touch()  # never opened
    with pytest.raises(WeightsError) as error:
        run("namedmask", names="cat, dog", images=tmp_path / "photos", out=tmp_path / "run", preset="paper")
    said = str(error.value)
    for part in (
        "3 models that this run needs cannot be had (1.95 GB in all); nothing was computed",
        "openai/clip-vit-large-patch14-336 (CLIP ViT-L/14@336px): unavailable, 1.71 GB, licence MIT, https://huggingface",
        "selfmask_nq20.pt (SelfMask, 20 queries): unavailable, 145 MB, licence unknown, https://github.com/",
        "Ramos-Ramos/dino-resnet-50 (DINO ResNet-50): unavailable, 94.3 MB",
        "HF_HUB_OFFLINE is set",
        "hf download Ramos-Ramos/dino-resnet-50 config.json preprocessor_config.json pytorch_model.bin --local-dir",
        "--config retrieval_clip=PATH --config saliency.network=PATH --config experts.backbone=PATH",
    ):
        assert part in said, part
    assert not (tmp_path / "run").exists()


def test_missing__those_of_finished_stages_are_not_asked_for(cache: Path, tmp_path: Path) -> None:
    config = configure("saliency+clip", preset="paper")
    manifest = {"key": "0", "stage": "index", "models": [{"source": config.clip}]}
    (tmp_path / "run" / "index").mkdir(parents=True)
    (tmp_path / "run" / "index" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="1 model that this run needs cannot be had(?s:.)*selfmask_nq20") as error:
        have_models({"clip": config.clip, "saliency": config.saliency}, until=None, runs=(tmp_path / "run", None))
    assert config.clip not in str(error.value)


def test_missing__embedded_models_and_folders_pass(cache: Path, tmp_path: Path) -> None:
    have_models({"clip": str(tmp_path), "saliency": "embedded:saliency"}, until=None, runs=())
    have_models(by_option("namedmask", "mini"), until=None, runs=())
    have_models(by_option("namedmask", "paper"), until="archives", runs=())  # fails by itself, if at all
