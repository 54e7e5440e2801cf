"""A training in another process: its result, its errors, and that the trainer does without it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from tests.support.raw_lake import append_rows
from tests.support.stream_processes import wait_for

from core.ordinary_traffic import traffic
from core.registry.follower import champion_version
from core.settings import ROOT, TrainerSettings
from model.training_process import (
    Job,
    TrainerConfig,
    TrainingCrashedError,
    TrainingImpossibleError,
    train_in_process,
)

pytestmark = pytest.mark.slow

SETTLED = """
import sys
import model.train_model, model.service
print(sorted({"mlflow", "sklearn", "skops", "pandas", "scipy.stats"} & set(sys.modules)))
"""


def job(lake: str, settings: TrainerSettings, uri: str = "http://localhost:9") -> Job:
    return Job(TrainerConfig(lake, "simulated", uri, f"{lake}-casework"), settings, "growth")


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is started as Python; a test writes it."""
    script = tmp_path / "python"
    script.touch(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    return script


def test_the_trainer_imports_none_of_the_libraries_that_a_training_needs() -> None:
    command = [sys.executable, "-c", SETTLED]
    done = subprocess.run(command, cwd=ROOT / "src", capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.stack
def test_what_another_process_trains_is_in_the_registry(
    lake: str, settings: TrainerSettings, tracking_uri: str
) -> None:
    append_rows(lake, traffic.beside_market(3_000, seed=1))
    ended = train_in_process(job(lake, settings, tracking_uri))
    assert ended.promoted and ended.reported
    assert champion_version(tracking_uri) == ended.version == "1"
    assert ended.recall["zero_fee"] > 0.9
    assert ended.summary.startswith("version=1 threshold=")
    again = train_in_process(Job(**{**vars(job(lake, settings, tracking_uri)), "trees_of": "1"}))
    assert again.version == "2"


def test_what_keeps_a_training_from_its_end_has_its_reason(
    lake: str, settings: TrainerSettings
) -> None:
    with pytest.raises(TrainingImpossibleError, match="raw_transactions is gone"):
        train_in_process(job(lake, settings))
    append_rows(lake, traffic.beside_market(2_500, seed=1))
    with pytest.raises(TrainingImpossibleError, match="localhost:9 does not answer"):
        train_in_process(job(lake, settings))


@pytest.mark.parametrize(
    ("script", "said"),
    [("kill -KILL $$", "does the machine lack memory"), ("exit 3", "exit code 3")],
)
def test_a_process_that_dies_is_said(
    script: str, said: str, python: Path, lake: str, settings: TrainerSettings
) -> None:
    python.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(TrainingCrashedError, match=said):
        train_in_process(job(lake, settings))


def test_a_trainer_that_is_stopped_ends_its_training(
    python: Path, lake: str, settings: TrainerSettings
) -> None:
    started = python.with_name("pid")
    told = f"echo $$ > {started}.new; mv {started}.new {started}"
    python.write_text(f"#!/bin/sh\n{told}\nexec sleep 600\n")

    def stop_when_it_runs() -> None:
        wait_for(started.exists, "the training")
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))
    stopping = Thread(target=stop_when_it_runs)
    stopping.start()
    try:
        with pytest.raises(SystemExit):
            train_in_process(job(lake, settings))
    finally:
        stopping.join()
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)
