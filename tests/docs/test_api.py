"""The API reference: every public name is on its page, and has an example that does what it shows."""

import doctest
import inspect
import re
from pathlib import Path

import pytest

import namesake

from .test_blocks import run_bash

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
SETUP = re.compile(r"<!-- setup -->\n```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")


class Near(doctest.OutputChecker):
    """Takes the output of another machine for the same where its numbers differ by 2 % or 1."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:  # noqa: ARG002
        said, found = ([float(number) for number in NUMBER.findall(text)] for text in (want, got))
        return NUMBER.sub("#", want) == NUMBER.sub("#", got) and found == pytest.approx(said, rel=0.02, abs=1)


def documented() -> dict[str, object]:
    """Every public name, and the public methods of the classes that a person calls methods of."""
    found = {name: getattr(namesake, name) for name in namesake.__all__}
    for name in ("Prediction", "Segmenter"):
        methods = vars(getattr(namesake, name)).items()
        found |= {f"{name}.{method}": made for method, made in methods if callable(made) and method[0] != "_"}
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the commands of the page were run."""
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_bash(SETUP.search(PAGE.read_text(encoding="utf-8"))[1])
    return folder


def test_page__every_public_name_once():
    listed = re.findall(r"^::: namesake\.(\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(namesake.__all__)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", documented())
def test_examples__do_what_they_show(name: str, place: Path, monkeypatch: pytest.MonkeyPatch):
    made = documented()[name]
    text = inspect.getdoc(getattr(made, "__func__", made)) or ""
    example = doctest.DocTestParser().get_doctest(text, {"namesake": namesake, "Path": Path}, name, None, 0)
    if "." not in name:
        assert example.examples, f"{name} has no example"
    monkeypatch.chdir(place)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    told: list[str] = []
    doctest.DocTestRunner(Near()).run(example, out=told.append)
    assert not told, "".join(told)
