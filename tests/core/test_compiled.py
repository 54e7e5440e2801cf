"""Compiling works with and without a folder for its cache, and never with a stale one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import core
import core.compiled as module
from core.compiled import compiled

MEASURE = """
import numpy as np
from core.feature_table import FEATURES
from core.features import features
row = np.zeros((1, 8))
tails = np.ones((2, len(FEATURES), 7))
tails[:, :, 0] = 0.0
print(features(row, tails)[0, 2], features.__globals__["features_into"].stats.cache_hits)
"""


def _double(numbers: Any) -> Any:
    return numbers * 2


def _without_folder(_: Any) -> None:
    raise RuntimeError("cannot cache function '_double': no locator available")


def test_where_no_cache_folder_is_writable_it_compiles_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_WholeSourceCache", _without_folder)
    assert compiled(_double)(np.array([1.5, 2.0])).tolist() == [3.0, 4.0]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of `core`, which processes import in place of the original."""
    return Path(shutil.copytree(Path(core.__path__[0]), tmp_path / "src" / "core"))


def measured(package: Path) -> tuple[float, bool]:
    """A feature that depends on a floor, and whether its code came from the cache on disk."""
    environment = os.environ | {
        "PYTHONPATH": str(package.parent),
        "NUMBA_CACHE_DIR": str(package.parent / "cache"),
    }
    command = [sys.executable, "-c", MEASURE]
    run = subprocess.run(
        command, cwd=package.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    value, hits = run.stdout.split(" ", 1)
    return float(value), bool(re.search(r"\d", hits))


@pytest.mark.slow
def test_a_constant_of_another_file_changes_the_compiled_code(package: Path) -> None:
    first, cached = measured(package)
    assert not cached
    assert measured(package) == (first, True)
    table = package / "feature_table.py"
    text = table.read_text()
    assert '"share", 1e-9,' in text
    table.write_text(text.replace('"share", 1e-9,', '"share", 1e-2,'))
    changed, cached = measured(package)
    assert not cached
    assert abs(changed) < abs(first)
    assert measured(package) == (changed, True)
