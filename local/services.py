"""The services of the local stack: commands, environment, and how each shows it is ready."""

import os
import shutil
import socket
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from honcho.environ import parse_procfile

from core.lake import open_table
from core.settings import BindSettings, DataSettings
from local.ports import METRICS, ports
from local.supervisor import Service

ORIGINS = {"demo": "simulated", "live": "live"}
BOUNDS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "2",
    "MALLOC_ARENA_MAX": "2",
}
"""Ten processes share two cores and 4 GiB."""

DEFAULTS = {"live": BOUNDS, "demo": BOUNDS | {"REQUEST_INTERVAL_SECONDS": "1"}}
"""What a mode sets unless the environment does: the demo may ask its own simulator often."""

FOUNDATIONS = ("kafka", "mlflow", "simulator")
HEALTH = {
    "simulator": "/simulator/health",
    "mlflow": "/health",
    "api": "/health",
    "dashboard": "/",
    "prometheus": "/-/ready",
}
"""Where a service says that it serves; the others are ready when they show metrics."""


def services(mode: str) -> list[Service]:
    """The services of a mode, in the order of the Procfile."""
    procfile = parse_procfile((Path(__file__).parent / "Procfile").read_text())
    absent = set()
    if mode == "live":
        absent.add("simulator")
    if shutil.which("prometheus") is None:
        absent.add("prometheus")
    return [
        Service(name, command, _probe(name), name in FOUNDATIONS)
        for name, command in procfile.processes.items()
        if name not in absent
    ]


def environment(mode: str, data: Path) -> dict[str, str]:
    """The environment of every service: this one's, and the settings of the mode.

    The parts are told of each other: a server named in this environment is not the stack's.
    """
    known = ports()
    made = {name: str(port) for name, port in known.items()} | {
        "KAFKA_BOOTSTRAP_SERVERS": f"localhost:{known['KAFKA_PORT']}",
        "MLFLOW_TRACKING_URI": f"http://localhost:{known['MLFLOW_PORT']}",
        "API_URL": f"http://localhost:{known['API_PORT']}",
        "DATA_DIR": str(data),
        "DATA_ORIGIN": ORIGINS[mode],
        "BIND_ADDRESS": BindSettings().bind_address,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
    }
    if mode == "demo":
        made["BLOCKCHAIN_API_URL"] = f"http://localhost:{known['SIMULATOR_PORT']}"
    return DEFAULTS[mode] | os.environ | made


def urls() -> str:
    """One table of what a person can open."""
    known = ports()
    rows = {
        "Dashboard": f"http://localhost:{known['DASHBOARD_PORT']}",
        "API": f"http://localhost:{known['API_PORT']}/docs",
        "MLflow": f"http://localhost:{known['MLFLOW_PORT']}",
        "Spark": f"http://localhost:{known['SPARK_UI_PORT']}",
    }
    if shutil.which("prometheus") is not None:
        rows["Prometheus"] = f"http://localhost:{known['PROMETHEUS_PORT']}"
    return "\n".join(f"  {name:<12} {url}" for name, url in rows.items())


def first_score(data: Path, mode: str) -> Callable[[], bool]:
    """A probe that tells whether the lake holds a scored transaction."""
    lake = DataSettings(data_dir=data).lake

    def probe() -> bool:
        table = open_table(lake, "scored_transactions", ORIGINS[mode])
        return table is not None and bool(table.count())

    return probe


def _probe(name: str) -> Callable[[], bool]:
    port = ports()["KAFKA_PORT" if name == "kafka" else METRICS[name]]
    if name == "kafka":
        return lambda: _accepts(port)
    url = f"http://localhost:{port}{HEALTH.get(name, '/metrics')}"
    return lambda: _answers(url)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
