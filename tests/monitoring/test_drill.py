"""Kill services for real: the right alert becomes pending within a minute, fires, and resolves.

Only the `for` of the alerts is shortened, to a twentieth, and the scrapes come each second.
"""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from local.ports import free_port, free_ports, targets
from local.ports import ports as known_ports
from local.services import environment, services
from tests.support.alert_drill import Watcher, configuration, drill, until
from tests.support.processes import Part, daemon, missing

from core.settings import ROOT

log = logging.getLogger(__name__)

DRILLS = [
    ("simulator", "SourceSilent", "producer"),
    ("kafka", "BrokerDown", "kafka"),
    ("stream", "StreamDead", "stream"),
    ("api", "TargetDown", "api"),
    ("mlflow", "TargetDown", "mlflow"),
    ("producer", "TargetDown", "producer"),
    ("trainer", "TargetDown", "trainer"),
    ("dashboard", "TargetDown", "dashboard"),
]


def prometheus(folder: Path, ports: dict[str, int], own: int) -> Part:
    if shutil.which("prometheus") is None:
        missing("Prometheus is not installed (Debian: apt-get install prometheus)")
    command = [
        "prometheus",
        f"--config.file={configuration(folder, ports)}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{own}",
    ]
    return Part(command, folder / "prometheus.log", {})


@pytest.mark.slow
def test_a_killed_api_raises_its_alert_and_its_return_ends_it(tmp_path: Path) -> None:
    own, port = free_port(), free_port()
    settings = {
        "API_PORT": str(port),
        "DATA_DIR": str(tmp_path),
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}",
    }
    api = daemon(ROOT / "src" / "api" / "app.py", tmp_path / "api.log", settings)
    watching = prometheus(tmp_path, {"api": port}, own)
    watcher = Watcher(own)
    try:
        api.start()
        watching.start()
        until("the API is scraped", lambda: watcher.up("api"), 120)
        until("no alert", lambda: watcher.state("TargetDown", "api") == "inactive", 30)
        drill(watcher, api, "TargetDown", "api")
    finally:
        api.kill()
        watching.kill()


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, java: None) -> Iterator[dict[str, Part]]:
    """Every service of the demo, each of which can be killed alone; the drill restarts it."""
    folder = tmp_path_factory.mktemp("drill")
    with pytest.MonkeyPatch.context() as patch:
        for name, port in zip(known_ports(), free_ports(len(known_ports())), strict=True):
            patch.setenv(name, str(port))
        patch.setenv("SIMULATOR_RATE", "20")
        patch.setenv("SILENT_AFTER_SECONDS", "20")
        given = environment("demo", folder)
        every = {
            s.name: Part(["sh", "-c", s.command], folder / f"{s.name}.log", given, ROOT)
            for s in services("demo")
            if s.name != "prometheus"
        }
        ports = targets()
        every["prometheus"] = prometheus(folder, ports, ports["prometheus"])
        try:
            for part in every.values():
                part.start()
            yield every
        finally:
            for part in every.values():
                part.kill()


@pytest.fixture(scope="module")
def watcher(parts: dict[str, Part]) -> Watcher:
    prometheus_watcher = Watcher(targets()["prometheus"])
    for job in targets():
        until(f"{job} is up", lambda job=job: prometheus_watcher.up(job), 300)  # type: ignore[misc]
    return prometheus_watcher


@pytest.mark.soak
@pytest.mark.stack
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("service", "alert", "job"), DRILLS)
def test_each_killed_service_raises_its_alert_and_its_return_ends_it(
    parts: dict[str, Part], watcher: Watcher, service: str, alert: str, job: str
) -> None:
    def settled() -> bool:
        for part in parts.values():  # what went down with the one before, as Docker would
            part.start()
        return watcher.up(service) and watcher.state(alert, job) == "inactive"

    until(f"{service} is up and {alert} quiet", settled, 420)
    log.info("%s: %s", service, drill(watcher, parts[service], alert, job))
