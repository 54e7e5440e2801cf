"""The scale overlay: each part that may fail is killed under load.

pytest -m soak tests/docker/test_scale.py --log-cli-level=INFO
"""

import logging
import os
import time

import pytest
import requests
from tests.docker.ledger import Ledger

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]

CRASHES = 5
MAY_FAIL = ("kafka", "kafka-2", "store", "mlflow-database", "spark-worker", "spark")


def test_lake_and_models_are_on_the_store_and_runs_in_postgresql(scale: Ledger) -> None:
    folders = scale.stack.output("store", "ls", "/data/objects/bitcoin").split()
    assert folders == ["casework", "lake", "models"]
    counting = ("psql", "-U", "mlflow", "-Atc", "select count(*) from model_versions")
    assert int(scale.stack.output("mlflow-database", *counting)) > 0


def test_three_processes_of_the_api_answer_with_the_champion(scale: Ledger) -> None:
    scale.stack.wait_healthy()
    assert len(scale.stack.inspect()["api-replica"]) == 2
    answer = requests.get(scale.stack.url("API", "ready"), timeout=30)
    assert answer.json()["status"] == "ready"


@pytest.mark.skipif(os.geteuid() != 0, reason="killing a container's process needs root")
@pytest.mark.parametrize("service", MAY_FAIL)
def test_nothing_is_lost_or_doubled_when_a_part_crashes(scale: Ledger, service: str) -> None:
    for _ in range(CRASHES):
        begun = time.monotonic()
        scale.stack.crash(service)
        scale.stack.wait_healthy()
        log.info("%s: all healthy after %.0f s", service, time.monotonic() - begun)
        log.info("%d rows, each once, after %.0f s", scale.balance(), time.monotonic() - begun)
