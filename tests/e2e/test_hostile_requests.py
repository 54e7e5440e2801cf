"""API and dashboard among hostile clients: no restart, no 5xx but 503, and `/health` answers.

    make soak                                          20,000 requests, 12 minutes to an hour
    BODIES=1000 pytest -m soak tests/e2e/test_hostile_requests.py      some minutes

Their memory is measured against the limits of `docker-compose.yml`: the kernel ends a container
that reaches its limit.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
import skops.io
import yaml
from benchmarks.scored_lake import DAY_ROWS, fill
from local.ports import free_ports
from local.services import LIMITS
from tests.support.api_application import calibrated, fitted, traffic
from tests.support.fake_mlflow import Registry, serving
from tests.support.hostile_attacks import ATTACKS
from tests.support.hostile_requests import BODIES, Assault
from tests.support.ingestion_processes import wait_for
from tests.support.processes import Part, answers, daemon

from core.registry.version_files import EXTRA_FOLDER, MODEL_FILE, write_extras
from core.settings import ROOT

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7_200)]

log = logging.getLogger(__name__)

DAYS = 2
"""Days of the lake, each of 604,800 rows."""

_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}


def memory_limit(service: str) -> int:
    """The limit of a service's container in bytes."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    number, unit = re.fullmatch(r"(\d+)([kmg])", compose["services"][service]["mem_limit"]).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS[unit]


def peak_memory(service: Part) -> int:
    """The most memory that a process has had at any time, in bytes."""
    assert service.running is not None
    status = Path(f"/proc/{service.running.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 2**10


class Services:
    """An API with a champion and a dashboard, on one lake."""

    def __init__(self, folder: Path, mlflow: str) -> None:
        api, dashboard = free_ports(2)
        common = {**LIMITS, "LAKE_URI": str(folder / "lake"), "DATA_ORIGIN": "simulated"}
        common |= {"MLFLOW_TRACKING_URI": mlflow, "DATA_DIR": str(folder)}
        self.urls = (f"http://127.0.0.1:{api}", f"http://127.0.0.1:{dashboard}")
        settings = common | {"API_PORT": str(api)}
        self.api = daemon(ROOT / "src" / "api" / "app.py", folder / "api.log", settings)
        settings = common | {"DASHBOARD_PORT": str(dashboard), "API_URL": self.urls[0]}
        door = ROOT / "src" / "dashboard" / "app.py"
        self.dashboard = daemon(door, folder / "dashboard.log", settings)

    def start(self) -> None:
        self.api.start()
        self.dashboard.start()
        wait_for(lambda: answers(f"{self.urls[0]}/ready"), 180)
        wait_for(lambda: answers(f"{self.urls[1]}/"), 180)

    @property
    def named(self) -> dict[str, Part]:
        return {"api": self.api, "dashboard": self.dashboard}

    def problems(self) -> list[str]:
        """What a container would have been ended for, and what has ended."""
        found = []
        for name, service in self.named.items():
            assert service.running is not None
            if service.running.poll() is not None:
                end = service.log.read_text(errors="replace")[-1_000:]
                found.append(f"{name} has ended: {service.running.returncode}\n{end}")
            elif (peak := peak_memory(service)) > (limit := memory_limit(name)):
                found.append(f"{name} has needed {peak >> 20} of {limit >> 20} MiB")
        return found


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    rows = traffic(2_000)
    pipeline = fitted(rows)
    (tmp_path / "model" / EXTRA_FOLDER).mkdir(parents=True)
    skops.io.dump(pipeline, tmp_path / "model" / MODEL_FILE)
    calibration = calibrated(pipeline, rows, "1").calibration
    write_extras(tmp_path / "model" / EXTRA_FOLDER, pipeline, calibration, rows[:20])
    fill(tmp_path / "lake", DAYS * DAY_ROWS, datetime.now(UTC))
    with ExitStack() as stack:
        uri = stack.enter_context(serving(Registry(champion="1", folder=tmp_path / "model")))
        services = Services(tmp_path, uri)
        for service in (services.api, services.dashboard):
            stack.callback(service.kill)
        services.start()
        yield services


def test_hostile_clients_stop_neither_api_nor_dashboard(services: Services) -> None:
    assault = Assault(*services.urls)
    assault.run(BODIES, ATTACKS, services.problems)
    assert assault.faults() == []
    for name, service in services.named.items():
        most, limit = peak_memory(service) >> 20, memory_limit(name) >> 20
        log.warning("event=memory_needed service=%s mib=%d limit=%d", name, most, limit)
