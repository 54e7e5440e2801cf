"""A version is read by another process, to the same end as in this one."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.core.conftest import Integers

from core.registry.reader_process import EarlyReader, read_apart
from core.registry.version_files import MODEL_FILE, ModelRefusedError, read_model
from core.settings import ROOT

pytestmark = pytest.mark.slow

ASK = """
import sys
from pathlib import Path
from core.registry.reader_process import read_apart
champion = read_apart(Path(sys.argv[1]), "7")
heavy = {"mlflow", "sklearn", "skops", "pandas"} & set(sys.modules)
print(champion.version, sorted(heavy))
"""


def test_the_champion_is_the_one_that_this_process_would_read(
    folder: Path, traffic: Integers
) -> None:
    here, there = read_model(folder, "7"), read_apart(folder, "7")
    assert (there.version, there.calibration) == (here.version, here.calibration)
    np.testing.assert_array_equal(there.scores(traffic), here.scores(traffic))


def test_whoever_asks_keeps_nothing_of_what_reading_takes(folder: Path) -> None:
    command = [sys.executable, "-c", ASK, str(folder)]
    told = subprocess.run(command, cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert told.stdout == "7 []\n", told.stderr


def test_what_is_refused_there_is_refused_here_with_the_same_reason(folder: Path) -> None:
    path = folder / MODEL_FILE
    path.write_bytes(path.read_bytes()[:1_000])
    with pytest.raises(ModelRefusedError) as here:
        read_model(folder, "7")
    with pytest.raises(ModelRefusedError) as there:
        read_apart(folder, "7")
    assert str(there.value) == str(here.value)


def test_a_reader_that_dies_takes_nobody_with_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nkill -KILL $$\n")
    dying.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(dying))
    with pytest.raises(ModelRefusedError, match=f"exit code {-signal.SIGKILL}"):
        read_apart(folder, "7")


def test_the_first_reader_begins_early_and_the_next_ones_when_asked(
    folder: Path, traffic: Integers
) -> None:
    this = psutil.Process()
    before = set(this.children())
    read = EarlyReader()
    (early,) = set(this.children()) - before
    first, second = read(folder, "7"), read(folder, "8")
    assert not early.is_running()
    assert (first.version, second.version) == ("7", "8")
    np.testing.assert_array_equal(first.scores(traffic), second.scores(traffic))


def test_an_early_reader_that_is_never_asked_ends_with_its_owner() -> None:
    make = "from core.registry.reader_process import EarlyReader; reader = EarlyReader()"
    command = [sys.executable, "-c", make]
    told = subprocess.run(command, cwd=ROOT / "src", capture_output=True, text=True, timeout=60)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
