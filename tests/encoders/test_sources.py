import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from hub_server import COMMIT, HubServer, go_online, serve
from namesake.encoders import download, find, load_backbone, load_clip, load_dino
from namesake.errors import WeightsError
from namesake.progress import readable
from namesake.shapes import ImageArray

Tiny = Callable[[str], Path]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


def put_into_cache(model: Path, cache: Path, repository: str) -> Path:
    """Lay a model out as the hub library does: blobs, a snapshot of links to them, and a reference to the snapshot."""
    home = cache / ("models--" + repository.replace("/", "--"))
    snapshot = home / "snapshots" / COMMIT
    for folder in (snapshot, home / "blobs", home / "refs"):
        folder.mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    for file in model.iterdir():
        blob = home / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copy(file, blob)
        (snapshot / file.name).symlink_to(blob)
    return snapshot


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_hub_id__loads_from_the_cache_offline(kind: str, tiny: Tiny, cache: Path, images: list[ImageArray]) -> None:
    snapshot = put_into_cache(tiny(kind), cache, "org/name")
    found = find("org/name")
    assert (found.status, found.path, found.missing) == ("found", snapshot, ())
    assert found.bytes == sum(file.stat().st_size for file in tiny(kind).iterdir())
    clip = load_clip("org/name", device="cpu")
    np.testing.assert_array_equal(
        clip.embed_images(images), load_clip(str(tiny(kind)), device="cpu").embed_images(images)
    )
    assert clip.card.source == "org/name"


def test_hub_id__prefix(tiny: Tiny, cache: Path) -> None:
    put_into_cache(tiny("vit"), cache, "org/name")
    assert load_dino("hf-hub:org/name", device="cpu").dim == 16


def test_hub_id__only_part_of_it_in_the_cache(tiny: Tiny, cache: Path) -> None:
    snapshot = put_into_cache(tiny("clip"), cache, "openai/clip-vit-large-patch14-336")
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(WeightsError) as error:
        load_clip("openai/clip-vit-large-patch14-336", device="cpu")
    assert "model.safetensors: 1.71 GB" in str(error.value)
    assert "\n  tokenizer.json" not in str(error.value)
    assert find("openai/clip-vit-large-patch14-336").missing == ("model.safetensors",)


def test_hub_id__nothing_there__says_what_how_large_from_where_and_whereto(cache: Path) -> None:
    start = time.monotonic()
    with pytest.raises(WeightsError) as error:
        load_clip("openai/clip-vit-large-patch14-336", device="cpu")
    said = str(error.value)
    for part in (
        "config.json: 4.8 kB",
        "preprocessor_config.json: 400 B",
        "pytorch_model.bin: 1.71 GB",
        "tokenizer.json: 2.22 MB",
        "HF_HUB_OFFLINE is set",
        "https://huggingface.co/openai/clip-vit-large-patch14-336 (licence: MIT)",
        "hf download openai/clip-vit-large-patch14-336 config.json preprocessor_config.json pytorch_model.bin",
        "openai--clip-vit-large-patch14-336\n",
        "pass its path instead",
    ):
        assert part in said, part
    assert time.monotonic() - start < 2


def test_hub_cannot_be_reached__fails_within_seconds(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"Nothing came from the hub \(http://127\.0\.0\.1:9\)"):
        load_dino("facebook/dinov2-large", device="cpu")
    assert time.monotonic() - start < 8


@pytest.mark.parametrize("kind", ["clip", "vit", "resnet"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_folder_that_lacks_a_file__names_it_and_asks_no_network(
    kind: str, name: str, tiny: Tiny, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny(kind), tmp_path / "model")
    (folder / name).unlink()
    load = {"clip": load_clip, "vit": load_dino, "resnet": load_backbone}[kind]
    with pytest.raises(WeightsError) as error:
        load(str(folder))
    assert f"\n  {name}: " in str(error.value)
    assert f"Put them: in {folder}" in str(error.value)
    assert find(str(folder)).missing[0] == name


@pytest.mark.parametrize("source", ["no such folder", "./nowhere", "/nowhere/at/all", "a/b/c", ""])
def test_neither_folder_nor_hub_id(source: str) -> None:
    if source == "":
        source = "-"
    with pytest.raises(WeightsError, match="Expected a hub id"):
        load_clip(source, device="cpu")


def test_single_file(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(WeightsError, match="not a checkpoint that holds only weights"):
        load_dino(str(tmp_path / "model.safetensors"), device="cpu")
    assert find(str(tmp_path / "model.safetensors")).status == "found"


def test_embedded__unknown_name() -> None:
    with pytest.raises(WeightsError, match="come with the package"):
        load_clip("embedded:nothing", device="cpu")
    assert find("embedded:nothing").status == "missing"


def test_published_file__its_address_is_given() -> None:
    found = find("selfmask_nq20.pt")
    assert (found.status, found.missing) == ("missing", ("selfmask_nq20.pt",))


def test_folder_goes_before_the_hub(tiny: Tiny, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(tiny("vit"), tmp_path / "org" / "name")
    put_into_cache(tiny("dinov2"), cache, "org/name")
    monkeypatch.chdir(tmp_path)
    assert load_dino("org/name", device="cpu").vit.config.model_type == "vit"


@pytest.mark.parametrize(
    ("size", "said"),
    [(None, "size unknown"), (0, "0 B"), (999, "999 B"), (4_800, "4.8 kB"), (1_712_000_000, "1.71 GB")],
)
def test_readable(size: int | None, said: str) -> None:
    assert readable(size) == said


@pytest.fixture
def hub(tiny: Tiny, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub on this machine that has the tiny CLIP as org/name, in two forms of its weights."""
    folder = shutil.copytree(tiny("clip"), tmp_path / "published" / "org" / "name")
    shutil.copy(folder / "model.safetensors", folder / "pytorch_model.bin")
    with serve(tmp_path / "published") as server:
        go_online(server, monkeypatch)
        yield server


def test_download__what_is_needed_once_and_then_never_asks_again(
    hub: HubServer, tiny: Tiny, cache: Path, images: list[ImageArray]
) -> None:
    wanted = load_clip(str(tiny("clip")), device="cpu").embed_images(images)
    np.testing.assert_array_equal(load_clip("org/name", device="cpu").embed_images(images), wanted)
    assert (cache / "models--org--name/snapshots" / COMMIT / "model.safetensors").is_file()
    assert not any("pytorch_model.bin" in line for line in hub.asked)
    hub.asked.clear()
    np.testing.assert_array_equal(load_clip("org/name", device="cpu").embed_images(images), wanted)
    assert hub.asked == []


def test_download__interrupted_weights_go_on(hub: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TRIES", 1)
    hub.stops["model.safetensors"] = [1000, 0]
    with pytest.raises(WeightsError, match="1000 bytes are kept; the same command goes on from there"):
        load_clip("org/name", device="cpu")
    hub.asked.clear()
    load_clip("org/name", device="cpu")
    large = [line for line in hub.asked if line.startswith("GET") and "model.safetensors" in line]
    assert large == [f"GET org/name/resolve/{COMMIT}/model.safetensors bytes=1000-"]
    assert not list(cache.rglob("*.incomplete*"))


def test_download__other_bytes_than_the_hub_announces(hub: HubServer, cache: Path) -> None:
    hub.forged.add("model.safetensors")
    with pytest.raises(WeightsError, match=r"expected SHA-256 [0-9a-f]{64} from http"):
        load_clip("org/name", device="cpu")
    assert not list(cache.rglob("*.incomplete*"))
    hub.forged.clear()
    load_clip("org/name", device="cpu")


def test_download__file_that_the_publisher_does_not_have(hub: HubServer) -> None:
    (hub.folder / "org/name/preprocessor_config.json").unlink()
    with pytest.raises(WeightsError) as error:
        load_clip("org/name", device="cpu")
    assert "\n  preprocessor_config.json: size unknown\n" in str(error.value)
    assert "the model there has no such files" in str(error.value)


def test_download__no_such_repository(hub: HubServer) -> None:
    with pytest.raises(WeightsError, match="The hub refused"):
        load_clip("org/other", device="cpu")


def test_download__terms_to_accept(hub: HubServer) -> None:
    hub.gated.add("org/name")
    hub.refused["model.safetensors"] = (401, "GatedRepo")
    with pytest.raises(WeightsError, match=rf"accepted: do so at {hub.url}/org/name, then `hf auth login`"):
        load_clip("org/name", device="cpu")


def test_plain_folder_in_the_cache__found_without_a_request(
    hub: HubServer, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NAMESAKE_CACHE_DIR", str(tmp_path / "own"))
    laid = shutil.copytree(tiny("clip"), tmp_path / "own" / "org--name")
    assert find("org/name").path == laid
    load_clip("org/name", device="cpu")
    assert hub.asked == []
    (laid / "model.safetensors").unlink()  # then the hub is asked after all
    load_clip("org/name", device="cpu")
    assert find("org/name").path != laid
