"""Imports point down, libraries stay in their rooms, and nothing heavy is loaded early."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = ("components", "pipelines", "serving")

NOUNS = (
    {"base"},
    {"conversation"},
    {"config", "fusion", "retrainings", "scoring", "segmentation", "traffic"},
    {"reporting", "tracking"},
)
"""Rooms that everybody may know, floor by floor from the ground."""

VERBS = {
    path.name for path in (ROOT / "components").iterdir() if (path / "__init__.py").is_file()
} - set().union(*NOUNS)

FLOORS = {
    "components": (*NOUNS, {"align"}, VERBS - {"align"}),
    "serving": (
        {
            "settings",
            "database",
            "revisions",
            "errors",
            "threads",
            "processes",
            "metrics",
            "patches",
            "keys",
            "bento",
        },
        {"traces", "voices"},
        {"triton"},
        {"lineup"},
        {"engine"},
        {"live"},
        {"api", "supervisor"},
    ),
    "pipelines": (
        {"definitions"},
        {"runners"},
        {"trigger", "experiments", "keeping"},
        {"demo"},
        {"cli"},
    ),
}
"""A room knows the floors below its own, and no room beside it."""


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module a file imports: at the top, inside a function, or for its types only."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(str(node.module))
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> tuple[str, str]:
    """A module's package, and its folder or file in there; the latter empty for the package."""
    package, _, rest = module.partition(".")
    return package, rest.partition(".")[0]


def test_there_is_something_to_check() -> None:
    assert len(files(*CODE)) > 30
    assert {"align", "transcribe", "train", "evaluate", "register"} <= VERBS
    assert "numpy" in imports(ROOT / "components/align/attribute.py")


def test_every_room_has_its_floor() -> None:
    for package, floors in FLOORS.items():
        rooms = {room_of(module_of(path))[1] for path in files(package)} - {""}
        assert rooms == set().union(*floors), package


@pytest.mark.parametrize("path", files(*CODE), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    package, room = room_of(module_of(path))
    if not room:
        return
    floors = FLOORS[package]
    floor = next(number for number, rooms in enumerate(floors) if room in rooms)
    allowed = {room}.union(*floors[:floor])
    for module in imports(path):
        other_package, other = room_of(module)
        if package == "components":
            assert other_package not in {"pipelines", "serving"}, f"{module}: lies above"
        if package == "serving":
            assert other_package != "pipelines", f"{module}: lies above"
        if other_package == package and other in set().union(*floors):
            assert other in allowed, f"{module}: is not below {package}/{room}"


def test_no_import_runs_in_a_circle() -> None:
    modules = {module_of(path): path for path in files(*CODE)}
    graph = {}
    for name, path in modules.items():
        others = imports(path) & modules.keys() - {name}
        # `from package import module` needs the module, not what else the package exports.
        graph[name] = others - {other.rpartition(".")[0] for other in others}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(error.args[1])}")


def test_files_are_of_a_readable_size() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files(*CODE)
    }
    assert [path for path, lines in lengths.items() if lines > 350] == []
    small = (path for path, lines in lengths.items() if lines < 20)
    assert [path for path in small if not path.endswith("__init__.py")] == []


WITH_MLFLOW = {("components", verb) for verb in ("train", "evaluate", "register", "tracking")}
WITHOUT_TORCH = {("components", name) for name in ("base", "conversation", "align", "scoring")}
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
        from_serving = {m for m in imports(path) if m.split(".")[0] == "serving"}
        if all("component" in module.split(".") for module in from_serving):
            continue  # a step that a server does
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
