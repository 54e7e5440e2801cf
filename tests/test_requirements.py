"""A service's requirements bring whatever its modules import, and the lock pins them all."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

from core.settings import ROOT

SRC = ROOT / "src"
SERVICES = {
    "producer": ["data_ingestion"],
    "spark": ["data_processing"],
    "api": ["api", "model", "casework"],
    "dashboard": ["dashboard"],
}
PROVIDERS = packages_distributions()


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def names_in(path: Path) -> set[str]:
    lines = path.read_text().splitlines()
    return {name_of(line) for line in lines if line and line[0] not in "-#"}


@cache
def needs(name: str) -> frozenset[str] | None:
    """What an installed package needs, or None where it is not installed (another platform's)."""
    try:
        wanted = requires(name) or []
    except PackageNotFoundError:
        return None
    return frozenset(name_of(r) for r in wanted if "extra ==" not in r)


def closure(names: set[str]) -> set[str]:
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        wanted = needs(name)
        if wanted is not None:
            found.add(name)
            waiting |= wanted - found
    return found


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside its functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(service: str) -> set[str]:
    """The modules that a service's files import, through the floors that they stand on."""
    waiting = [path for package in SERVICES[service] for path in (SRC / package).rglob("*.py")]
    seen, names = set(waiting), set()
    while waiting:
        for name in imported(waiting.pop()):
            names.add(name.split(".")[0])
            for place in (f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"):
                path = SRC / place
                if path.exists() and path not in seen:
                    seen.add(path)
                    waiting.append(path)
    return names


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_imports_is_in_its_requirements(service: str) -> None:
    brought = closure(names_in(ROOT / f"requirements.{service}.txt"))
    missing = {
        module
        for module in reached(service)
        if module in PROVIDERS and not (SRC / module).exists()
        if not {name_of(owner) for owner in PROVIDERS[module]} & brought
    }
    assert not missing


@pytest.mark.parametrize("path", sorted(ROOT.glob("requirements.*.txt")), ids=lambda p: p.name)
def test_everything_that_is_installed_is_pinned_by_the_lock(path: Path) -> None:
    pinned = names_in(ROOT / "constraints.txt")
    assert closure(names_in(path)) - pinned <= {"setuptools", "pip"}
