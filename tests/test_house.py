"""The laws of the house, read from the source with `ast`: floors, doors, names, circles, sizes."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
FLOOR_0 = {"core", "monitoring"}
SERVICES = {"data_ingestion", "data_processing", "model", "casework", "api", "dashboard"}
SERVICES |= {"maintenance"}  # runs when it is asked to
PACKAGES = FLOOR_0 | SERVICES
DOORS = {
    "data_ingestion.kafka_producer",
    "data_ingestion.simulator",
    "data_processing.spark_streaming",
    "model.train_model",
    "casework.case_builder",
    "api.app",
    "dashboard.app",
}
WIRING = {"service"}
"""The one file name that several rooms share, for one job: it connects the room's parts."""

LONGEST_FILE, LONGEST_FUNCTION, SHORTEST_FILE = 350, 50, 40
SHORT = {
    "core.compiled": "a decorator that core.features and core.detector share, neighbour to neither",
    "core.unfinished_restore": "the producer asks too, without the libraries of core.lake",
    "monitoring.simulator_metrics": "each service has one file of metrics; the simulator has six",
}
"""Modules that are short for a reason."""

LONG = {"core.settings": "one flat list: every setting of every service has its home there"}
"""Modules that are long for a reason."""

MODULES = sorted(SRC.rglob("*.py"))


def name(path: Path) -> str:
    """The dotted name of a module; a package's is its folder's."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package(path: Path) -> str:
    return path.relative_to(SRC).parts[0]


NAMES = {name(path) for path in MODULES}
every_module = pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
every_door = pytest.mark.parametrize("door", sorted(DOORS))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports break when a door runs as a script"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@every_module
def test_a_service_imports_only_the_floor_and_itself(path: Path) -> None:
    allowed = FLOOR_0 | ({package(path)} if package(path) in SERVICES else set())
    if package(path) in FLOOR_0:
        allowed = {package(path), "core"}
    reached = {name.split(".")[0] for name in imports(path)} & PACKAGES
    assert reached <= allowed


def test_no_module_reaches_itself_by_its_imports() -> None:
    reaches = {
        name(path): {i for i in imports(path) if i in NAMES and i != name(path)} for path in MODULES
    }
    while leaves := {module for module, others in reaches.items() if not others & reaches.keys()}:
        for module in leaves:
            del reaches[module]
    assert not reaches


@every_module
def test_nothing_imports_a_door(path: Path) -> None:
    assert not DOORS & set(imports(path))


@every_door
def test_a_door_defines_nothing_that_could_be_pickled(door: str) -> None:
    tree = ast.parse((SRC / f"{door.replace('.', '/')}.py").read_text())
    assert not [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


SIDE_EFFECTS = """
import gc, sys, threading

PROCESSES = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"}
REFUSED = PROCESSES | {"socket.connect", "socket.bind"}

def watch(event, arguments):
    if event in REFUSED:
        raise AssertionError(f"{event} at import: {arguments}")

sys.addaudithook(watch)
import DOOR
assert gc.get_freeze_count() == 0, "it freezes the collector"
assert threading.active_count() == 1, threading.enumerate()
"""


@every_door
def test_importing_a_door_starts_and_freezes_nothing(door: str) -> None:
    script = SIDE_EFFECTS.replace("DOOR", door)
    done = subprocess.run([sys.executable, "-c", script], cwd=SRC, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2_000:]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_no_file_of_a_service_shadows_another_module(service: str) -> None:
    installed = {
        name for d in distributions() for name in (d.read_text("top_level.txt") or "").split()
    }
    taken = set(sys.stdlib_module_names) | installed | PACKAGES
    names = {p.stem for p in (SRC / service).glob("*.py")} - {"__init__"}
    assert not names & taken


def test_no_two_files_with_different_jobs_bear_one_name() -> None:
    bearers = defaultdict(list)
    for path in MODULES:
        if path.stem not in {"__init__", *WIRING} and name(path) not in DOORS:
            bearers[path.stem].append(name(path))
    assert not {stem: names for stem, names in bearers.items() if len(names) > 1}


@every_module
def test_files_and_functions_have_one_subject(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert len(text.splitlines()) <= LONGEST_FILE or name(path) in LONG
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


def _is_protocol(tree: ast.Module) -> bool:
    bases = [base for node in tree.body if isinstance(node, ast.ClassDef) for base in node.bases]
    return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in bases)


@every_module
def test_a_file_is_more_than_a_slice_of_its_neighbour(path: Path) -> None:
    text = path.read_text()
    if path.stem == "__init__" or name(path) in DOORS | SHORT.keys():
        return
    if _is_protocol(ast.parse(text)):
        return
    assert len(text.splitlines()) >= SHORTEST_FILE


@pytest.mark.parametrize("path", sorted((SRC / "data_processing").rglob("*.py")), ids=name)
def test_spark_is_not_asked_for_each_column_by_its_name(path: Path) -> None:
    """For each name in `select(*names)` pyspark asks Java for a class; `selectExpr` asks once."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "select":
            assert not [arg for arg in node.args if isinstance(arg, ast.Starred)], node.lineno
