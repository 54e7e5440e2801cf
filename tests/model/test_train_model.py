import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from local.ports import free_port

from core.settings import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(lake: str) -> dict[str, str]:
    return dict(os.environ) | {
        "LAKE_URI": lake,
        "DATA_ORIGIN": "simulated",
        "MLFLOW_TRACKING_URI": "http://localhost:9",
        "TRAINER_METRICS_PORT": str(free_port()),
    }


def start(environment: dict[str, str], log: Path, *options: str) -> subprocess.Popen[bytes]:
    """The specification's command, from its own folder."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "train_model.py", *options],
            cwd=ROOT / "src" / "model",
            env=environment,
            stderr=output,
        )


def metrics(environment: dict[str, str]) -> str:
    url = f"http://127.0.0.1:{environment['TRAINER_METRICS_PORT']}/metrics"
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_it_serves_its_metrics_while_it_waits_and_exits_with_0_on_sigterm(
    environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    trainer = start(environment, log)
    try:
        assert 'bitcoin_trainer_trainings_total{result="promoted"} 0.0' in metrics(environment)
        trainer.send_signal(signal.SIGTERM)
        assert trainer.wait(60) == 0
    finally:
        trainer.kill()
        trainer.wait(20)
    assert "event=training_waiting reason=there is no table raw_transactions yet" in log.read_text()


def test_a_command_that_fails_prints_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    trainer = start(environment, tmp_path / "log", "--rollback", "3")
    assert trainer.wait(120) == 1
    assert (tmp_path / "log").read_text() == "MLflow at http://localhost:9 does not answer\n"
