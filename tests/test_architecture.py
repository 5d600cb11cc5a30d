"""Imports point down, libraries stay in their rooms, and nothing heavy is loaded early."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = ("components", "pipelines", "serving")
FLOORS = (
    {"base"},
    {"conversation"},
    {"config", "fusion", "scoring", "traffic"},
    {"reporting"},
)
"""The nouns of components; a room knows those on the floors below its own, and none beside it."""

NOUNS = set().union(*FLOORS)
VERBS = {
    path.name for path in (ROOT / "components").iterdir() if (path / "__init__.py").is_file()
} - NOUNS


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, at the top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_there_is_something_to_check() -> None:
    assert len(files(*CODE)) > 30
    assert {"align", "transcribe", "train", "evaluate", "register"} <= VERBS
    assert "numpy" in set(imports(ROOT / "components/align/attribute.py"))


def room(module: str) -> str:
    """The folder of components a module belongs to, else the package."""
    parts = module.split(".")
    return parts[1] if parts[0] == "components" and len(parts) > 1 else parts[0]


@pytest.mark.parametrize("path", files("components"), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    if path.parent == ROOT / "components":
        return
    own = path.relative_to(ROOT / "components").parts[0]
    for module in imports(path):
        other = room(module)
        assert other not in {"pipelines", "serving"}, f"{module}: components know no pipelines"
        if own in VERBS:
            assert other == own or other not in VERBS, f"{module}: a verb never imports a verb"
        elif own in NOUNS:
            assert other not in VERBS, f"{module}: a noun never imports a verb"
            floor = next(i for i, rooms in enumerate(FLOORS) if own in rooms)
            below = set().union(*FLOORS[:floor])
            assert other not in NOUNS - below - {own}, f"{module}: a noun knows what lies below it"


SERVING_FLOORS = (
    {"bento", "errors", "keys", "metrics", "patches", "processes", "settings"},
    {"traces"},
    {"triton"},
    {"lineup"},
    {"engine"},
    {"api", "supervisor"},
)
"""The rooms of serving: folders and files. A room knows the floors below its own, and itself."""


@pytest.mark.parametrize("path", files("serving"), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_of_serving_point_down(path: Path) -> None:
    if path.parent == ROOT / "serving" and path.stem == "__init__":
        return
    own = path.relative_to(ROOT / "serving").parts[0].removesuffix(".py")
    floor = next(i for i, rooms in enumerate(SERVING_FLOORS) if own in rooms)
    below = set().union(*SERVING_FLOORS[:floor])
    for module in imports(path):
        package, _, rest = module.partition(".")
        if package == "serving":
            assert rest.split(".")[0] in {"", own, *below}, f"{module}: it is not below {own}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports inside functions and for types count, too."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in files(*CODE)
    }
    needed = {name: set(imports(path)) & modules.keys() - {name} for name, path in modules.items()}
    for name, others in needed.items():
        # `from package import module` needs the module; what the package exports is its own affair
        packages = {other.rpartition(".")[0] for other in others}
        needed[name] = others - (packages - {name})
    try:
        list(graphlib.TopologicalSorter(needed).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


WITH_MLFLOW = {("components", verb) for verb in ("train", "evaluate", "register")}
WITHOUT_TORCH = {("components", noun) for noun in ("base", "conversation", "align", "scoring")}
LIBRARY_ROOMS = {
    "kfp": lambda p: p.name == "component.py" or p.parts[0] == "pipelines",
    "mlflow": lambda p: p.parts[:2] in WITH_MLFLOW,
    "torch": lambda p: p.parts[:2] not in WITHOUT_TORCH,
    "bentoml": lambda p: p.parts[0] == "serving",
    "tritonclient": lambda p: p.parts[0] == "serving",
}


@pytest.mark.parametrize("library", LIBRARY_ROOMS)
def test_libraries_stay_in_their_rooms(library: str) -> None:
    allowed = LIBRARY_ROOMS[library]
    users = {
        path.relative_to(ROOT)
        for path in files(*CODE)
        if any(module.split(".")[0] == library for module in imports(path))
    }
    assert users, f"nothing imports {library}: is the check looking at the right place?"
    assert [str(path) for path in sorted(users) if not allowed(path)] == []


def test_only_the_demo_and_commands_import_serving() -> None:
    for path in files("pipelines"):
        if not any(module.split(".")[0] == "serving" for module in imports(path)):
            continue
        if path.is_relative_to(ROOT / "pipelines" / "demo"):
            continue  # the demo starts what is served; commands import it inside functions
        assert path.is_relative_to(ROOT / "pipelines" / "cli"), path
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        names = {str(getattr(n, "module", "")) for n in top}
        assert not any(name.split(".")[0] == "serving" for name in names), path


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "whisperx", "pyannote.audio", "mlflow", "kfp", "bentoml",
             "tritonclient", "onnxruntime", "sklearn", "pandas")  # fmt: skip
    code = f"import sys, pipelines.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_every_verb_is_a_component_of_that_name() -> None:
    for verb in VERBS - {"drift"}:  # it is no step of a pipeline
        source = (ROOT / "components" / verb / "component.py").read_text(encoding="utf-8")
        names = {n.name for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)}
        assert verb in names, f"components/{verb}/component.py defines {names}"


def test_top_level_holds_only_what_was_agreed() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    top = {name.split("/")[0] for name in listed}
    agreed = {*CODE, "infra", "tests", "docs", "pyproject.toml", "requirements.lock"}
    agreed |= {"README.md", "Makefile", "LICENSE", ".ci", ".gitignore"}
    assert top <= agreed
