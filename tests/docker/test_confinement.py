"""The running containers are what the compose file promises."""

import subprocess
from typing import Any

import pytest
import requests
from tests.docker.ledger import Ledger
from tests.support.containers import wait
from tests.support.hostile_attacks import ATTACKS
from tests.support.hostile_requests import BODIES, Assault

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7_200)]

PUBLISHED = {"api", "dashboard", "mlflow", "prometheus", "grafana", "simulator"}
JOBS = PUBLISHED | {"kafka", "producer", "stream", "trainer"}


@pytest.fixture
def running(ledger: Ledger) -> dict[str, dict[str, Any]]:
    return {
        service: bodies[0]
        for service, bodies in ledger.stack.inspect().items()
        if bodies[0]["State"]["Running"]
    }


def test_no_process_is_root_and_no_root_file_system_is_writable(
    running: dict[str, dict[str, Any]],
) -> None:
    for service, body in running.items():
        top = ["docker", "top", body["Id"], "-eo", "pid,uid,comm"]
        lines = subprocess.run(top, capture_output=True, text=True, check=True).stdout
        uids = {line.split()[1] for line in lines.splitlines()[1:]}
        assert "0" not in uids, f"{service}:\n{lines}"
        host = body["HostConfig"]
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert not host["CapAdd"] and not host["Privileged"], service
        assert host["SecurityOpt"] == ["no-new-privileges:true"], service
        assert host["Memory"] > 0 and host["PidsLimit"] > 0, service


def test_only_what_is_meant_for_people_is_published_and_on_the_loopback(
    running: dict[str, dict[str, Any]],
) -> None:
    bound = {
        service: [door["HostIp"] for doors in ports.values() for door in doors or []]
        for service, body in running.items()
        if any((ports := body["NetworkSettings"]["Ports"]).values())
    }
    assert bound == {service: ["127.0.0.1"] for service in PUBLISHED}


def test_every_target_of_prometheus_is_up(ledger: Ledger) -> None:
    url = ledger.stack.url("PROMETHEUS", "api/v1/targets")
    targets = requests.get(url, timeout=10).json()["data"]["activeTargets"]
    health = {target["labels"]["job"]: target["health"] for target in targets}
    assert set(health) == JOBS
    assert set(health.values()) == {"up"}


def test_an_injected_anomaly_is_among_the_recent_ones_of_the_api(ledger: Ledger) -> None:
    inject = ledger.stack.url("SIMULATOR", "simulator/inject?kind=fat_finger_fee")
    injected = requests.post(inject, timeout=10).json()["hash"]

    def listed() -> bool:
        answer = requests.get(ledger.stack.url("API", "anomalies/recent"), timeout=10)
        return injected in {row["transaction_hash"] for row in answer.json()["anomalies"]}

    wait(listed, 300, lambda: f"{injected} is not listed")


def test_hostile_clients_stop_neither_api_nor_dashboard_within_their_memory(
    ledger: Ledger,
) -> None:
    """As `tests/e2e/test_hostile_requests.py`, with the containers' own limits."""

    def restarted() -> list[str]:
        states = {name: ledger.stack.inspect()[name][0] for name in ("api", "dashboard")}
        return [
            f"{name}: {body['RestartCount']} restarts, {body['State']['Status']}"
            for name, body in states.items()
            if body["RestartCount"] or not body["State"]["Running"]
        ]

    api, dashboard = (ledger.stack.url(name).rstrip("/") for name in ("API", "DASHBOARD"))
    assault = Assault(api, dashboard)
    assault.run(BODIES, ATTACKS, restarted)
    assert assault.faults() == []
