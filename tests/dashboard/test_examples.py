import doctest
from importlib import import_module
from pathlib import Path

import pytest

import dashboard

MODULES = sorted(
    path.stem for path in Path(dashboard.__path__[0]).glob("*.py") if ">>>" in path.read_text()
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_hold(name: str) -> None:
    found = doctest.testmod(import_module(f"dashboard.{name}"))
    assert found.attempted > 0 and found.failed == 0
