"""A running server gets broken images, hostile paths and addresses, too large files and a hundred clients at once."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from namesake.errors import ImagesError
from namesake.images import open_images, read_image

pytestmark = pytest.mark.slow
PIXELS = 20_000
"""That the server accepts in a picture."""


def _load(path: Path) -> ModuleType:
    name = f"torture_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


APP = Path(__file__).parents[1] / "app"
corpus = _load(Path(__file__).with_name("test_bad_images.py"))
visitor = _load(APP / "test_serve.py")
runs = _load(APP / "conftest.py")
closed, opened, serve = runs.closed, runs.opened, runs.serve
server, client = visitor.server, visitor.client


def accepted(content: bytes) -> bool:
    """Whether an image can be read, and is small enough for the server."""
    try:
        return read_image(content, max_pixels=PIXELS).size > 0
    except ImagesError:
        return False


def test_serve__bad_images(long: bool, client, claim, tmp_path: Path):
    corpus.write_corpus(tmp_path / "corpus", 1000 if long else 22)
    event, shown, refused = visitor.segment_event(client), 0, 0
    for image_id in open_images(tmp_path / "corpus").ids:
        content = (tmp_path / "corpus" / image_id).read_bytes()
        place = visitor.upload(client, content).json()[0]
        answer = visitor.outcome(client, event, visitor.sent(place))
        assert answer["success"] == accepted(content), (image_id, answer["output"].get("error"))
        assert answer["success"] or len(answer["output"]["error"]) > 15, image_id
        shown, refused = shown + answer["success"], refused + (not answer["success"])
    assert client.get("/").status_code == 200
    assert shown
    assert refused
    claim("bad images, serve", f"{shown + refused} sent, {refused} refused with a reason, the server stays up")


@pytest.mark.long  # tests/app asks the same
def test_serve__hostile_requests(server, client, claim):
    paths = visitor.test_files__none_of_the_machine.pytestmark[0].args[1]
    for path in paths:
        visitor.test_files__none_of_the_machine(client, path)
    addresses = visitor.test_segment__paths_that_were_not_uploaded.pytestmark[0].args[1]
    for address in addresses:
        visitor.test_segment__paths_that_were_not_uploaded(client, address)
    visitor.test_files__not_even_of_the_run(server, client)
    visitor.test_segment__names_are_words(client)
    visitor.test_upload__too_large(client)
    claim("serve", f"{len(paths)} paths and {len(addresses)} addresses give nothing away; too large files are refused")


@pytest.mark.long  # tests/app asks the same
def test_serve__hundred_clients(client, claim):
    visitor.test_clients__a_hundred_at_once(client)
    claim("serve, 100 clients at once", "each answered or told to come later, then the page opens")
