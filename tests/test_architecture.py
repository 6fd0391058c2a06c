"""The layout keeps its promises: imports point one way, transformers in one folder, ground truth in one folder."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "namesake"
ORDER = [
    {"shapes", "tensors", "errors", "memory"},
    {"progress", "records", "config", "processes", "locks", "workers", "documents"},
    {"images", "notices"},
    {"workspace", "engines"},
    {"names"},
    {"encoders", "world"},
    {"networks"},
    {"index"},
    {"archives"},
    {"masks"},
    {"segmenter"},
    {"training"},
    {"prediction"},
    {"evaluation"},
    {"systems"},
    {"demo", "official", "reproduce"},
    {"app"},
    {"cli"},
    {"__main__"},
]
LEVEL = {part: level for level, parts in enumerate(ORDER) for part in parts}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: str) -> str:
    """The folder or file right below the package that a dotted module belongs to; "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def imports_of(file: Path) -> list[str]:
    """Dotted names of all modules that a file imports, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            found.append(node.module)
            if node.module == "namesake":
                found += [f"namesake.{name.name}" for name in node.names]
    return found


def imports_of_records(file: Path) -> list[str]:
    """As `imports_of`, less what a prediction, which shows itself, imports within its methods for that."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (shown,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Prediction")
    methods = [node for node in ast.walk(shown) if isinstance(node, ast.ImportFrom)]
    allowed = {"namesake.prediction.show", "namesake.prediction.export"}
    assert {node.module for node in methods} <= allowed
    found = imports_of(file)
    for node in methods:
        found.remove(node.module)
    return found


def label(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


@pytest.mark.parametrize("file", FILES, ids=label)
def test_imports_point_one_way(file: Path):
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for module in imports_of(file) if own != "records" else imports_of_records(file):
        other = part_of(module) if module.startswith("namesake.") else ""
        if not other or other == own:
            continue
        if own == "world":
            assert other in {"records", "images", "errors", "progress", "shapes", "workers"}, (
                f"{label(file)} imports {module}"
            )
        assert other in LEVEL, f"{module} has no place in the order"
        assert LEVEL[other] < LEVEL[own], f"{label(file)} imports {module}, which comes later"


@pytest.mark.parametrize("file", FILES, ids=label)
def test_transformers__encoders_only(file: Path):
    if file.relative_to(PACKAGE).parts[0] != "encoders":
        assert not [module for module in imports_of(file) if module.split(".")[0] == "transformers"]


def test_world__renders_without_torch():
    heavy = {"torch", "transformers", "accelerate"}
    for file in (PACKAGE / "world").rglob("*.py"):
        assert not heavy & {module.split(".")[0] for module in imports_of(file)}, label(file)


@pytest.mark.parametrize("file", FILES, ids=label)
def test_ground_truth__opened_by_evaluation_only(file: Path):
    """Nothing before evaluation can read labels: none of it imports evaluation, nor the world's scenes with labels."""
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own in {"evaluation", "systems", "demo", "reproduce", "app", "cli", "world", "__init__"}:
        return
    for module in imports_of(file):
        assert part_of(module) not in {"evaluation", "world"} or not module.startswith("namesake."), label(file)


def test_folders__no_utils_no_common():
    assert not [path for path in PACKAGE.rglob("*") if path.stem in {"utils", "util", "common", "helpers", "misc"}]


@pytest.mark.parametrize("file", FILES, ids=label)
def test_no_pickle(file: Path):
    source = file.read_text(encoding="utf-8")
    assert not {"pickle", "dill", "joblib", "shelve", "marshal"} & {module.split(".")[0] for module in imports_of(file)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"torch.load", "np.load", "numpy.load"}:
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if ast.unparse(node.func) == "torch.load":
                assert options.get("weights_only") == "True", f"{label(file)} loads without weights_only"
            else:
                assert options.get("allow_pickle", "False") == "False", f"{label(file)} allows pickle"


def test_no_undefined_names():
    """The linter takes axes in jaxtyping's strings for names, so its rule is off; here it counts outside of strings."""
    command = [sys.executable, "-m", "ruff", "check", "--select", "F821", "--ignore-noqa", "--output-format", "json"]
    told = subprocess.run([*command, str(PACKAGE)], capture_output=True, text=True, check=False).stdout
    undefined: dict[str, set[tuple[int, str]]] = {}
    for one in json.loads(told):
        undefined.setdefault(one["filename"], set()).add((one["location"]["row"], one["message"].split("`")[1]))
    for file, names in undefined.items():
        nodes = ast.walk(ast.parse(Path(file).read_text(encoding="utf-8")))
        loaded = {(n.lineno, n.id) for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        assert not names & loaded, label(Path(file))


def test_public_surface__small():
    import namesake

    assert len(namesake.__all__) <= 20
