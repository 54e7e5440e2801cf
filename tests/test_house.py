"""The three laws of the house, and its measures, read from the source with `ast`."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
FLOOR_0 = {"core", "monitoring"}
SERVICES = {"data_ingestion", "data_processing", "model", "api", "dashboard"}
PACKAGES = FLOOR_0 | SERVICES
DOORS = {
    "data_ingestion.kafka_producer",
    "data_processing.spark_streaming",
    "model.train_model",
    "api.app",
    "dashboard.app",
}
MODULES = sorted(SRC.rglob("*.py"))


def package(path: Path) -> str:
    return path.relative_to(SRC).parts[0]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports break when a door runs as a script"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_a_service_imports_only_the_floor_and_itself(path: Path) -> None:
    allowed = FLOOR_0 | ({package(path)} if package(path) in SERVICES else set())
    if package(path) in FLOOR_0:
        allowed = {package(path), "core"}
    reached = {name.split(".")[0] for name in imports(path)} & PACKAGES
    assert reached <= allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_nothing_imports_a_door(path: Path) -> None:
    assert not DOORS & set(imports(path))


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_no_file_of_a_service_shadows_another_module(service: str) -> None:
    installed = {
        name for d in distributions() for name in (d.read_text("top_level.txt") or "").split()
    }
    taken = set(sys.stdlib_module_names) | installed | PACKAGES
    names = {p.stem for p in (SRC / service).glob("*.py")} - {"__init__"}
    assert not names & taken


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_rooms_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 200
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            assert length <= 40, f"{node.name} has {length} lines"
