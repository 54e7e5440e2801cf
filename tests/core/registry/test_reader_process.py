"""Reading a version in another process gives the same champion as in this one."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.registry.reader_process import read_in_process
from core.registry.version_files import MODEL_FILE, ModelRefusedError, read_model
from core.settings import ROOT

pytestmark = pytest.mark.slow

ASK = """
import sys
from pathlib import Path
from core.registry.reader_process import read_in_process
champion = read_in_process(Path(sys.argv[1]), "7")
heavy = {"mlflow", "sklearn", "skops", "pandas"} & set(sys.modules)
print(champion.version, sorted(heavy))
"""


def test_the_champion_is_the_one_that_this_process_would_read(
    folder: Path, traffic: NDArray[np.int64]
) -> None:
    here, there = read_model(folder, "7"), read_in_process(folder, "7")
    assert (there.version, there.calibration) == (here.version, here.calibration)
    np.testing.assert_array_equal(there.scores(traffic), here.scores(traffic))


def test_the_calling_process_imports_none_of_the_libraries_that_reading_needs(folder: Path) -> None:
    command = [sys.executable, "-c", ASK, str(folder)]
    result = subprocess.run(command, cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert result.stdout == "7 []\n", result.stderr


def test_a_refusal_has_the_same_reason_in_both_processes(folder: Path) -> None:
    path = folder / MODEL_FILE
    path.write_bytes(path.read_bytes()[:1_000])
    with pytest.raises(ModelRefusedError) as here:
        read_model(folder, "7")
    with pytest.raises(ModelRefusedError) as there:
        read_in_process(folder, "7")
    assert str(there.value) == str(here.value)


def test_a_reader_that_crashes_is_a_refused_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nkill -KILL $$\n")
    dying.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(dying))
    with pytest.raises(ModelRefusedError, match=f"exit code {-signal.SIGKILL}"):
        read_in_process(folder, "7")
