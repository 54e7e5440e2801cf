"""The services of the local stack: command, environment, and how each shows that it is ready."""

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from honcho.environ import parse_procfile

from core.lake import open_table
from core.settings import DataSettings, SimulatorSettings, variables
from local.ports import accepts, ports, targets
from local.supervisor import Service

ORIGINS = {"demo": "simulated", "live": "live"}
"""The modes of the stack, and the origin of the data in each."""

LIMITS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "2",
    "MALLOC_ARENA_MAX": "2",
    "_RJEM_MALLOC_CONF": "narenas:1,dirty_decay_ms:1000,muzzy_decay_ms:0",
}
"""Ten processes share two cores and 4 GiB of memory. The last is of the allocator of delta-rs: by
default it keeps what a read took, up to 200 MiB a process, until the next read."""

DEFAULTS = {"live": LIMITS, "demo": LIMITS | {"REQUEST_INTERVAL_SECONDS": "1"}}
"""What a mode sets unless the environment or `.env` does: the simulator may be asked often."""

STOP_LAST = ("kafka", "mlflow", "simulator")
READY_PATHS = {
    "simulator": "/simulator/health",
    "mlflow": "/health",
    "api": "/health",
    "dashboard": "/",
    "prometheus": "/-/ready",
}
"""The path that answers once a service is ready; of the others, /metrics."""


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks this machine without the proxy that may lead to others."""


def services(mode: str) -> list[Service]:
    """The services of a mode, in the order of the Procfile."""
    procfile = parse_procfile((Path(__file__).parent / "Procfile").read_text())
    absent = set()
    if mode == "live":
        absent.add("simulator")
    if shutil.which("prometheus") is None:
        absent.add("prometheus")
    return [
        Service(name, command, _ready_probe(name), name in STOP_LAST)
        for name, command in procfile.processes.items()
        if name not in absent
    ]


def environment(mode: str, data: Path) -> dict[str, str]:
    """The environment of every service: this process's, with the settings of the mode.

    The services find each other on this machine, even where this process's environment names
    another server. They read the ports, as this process does, from the settings.
    """
    numbers = ports()
    overrides = {
        "KAFKA_BOOTSTRAP_SERVERS": f"localhost:{numbers['KAFKA_PORT']}",
        "MLFLOW_TRACKING_URI": f"http://localhost:{numbers['MLFLOW_PORT']}",
        "API_URL": f"http://localhost:{numbers['API_PORT']}",
        "DATA_DIR": str(data),
        "DATA_ORIGIN": ORIGINS[mode],
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
    }
    named = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "localhost", "127.0.0.1"]
    direct = ",".join(filter(None, named))
    overrides |= {"NO_PROXY": direct, "no_proxy": direct}
    if mode == "demo":
        overrides["BLOCKCHAIN_API_URL"] = f"http://localhost:{numbers['SIMULATOR_PORT']}"
    chosen = {name: value for name, value in variables().items() if name in DEFAULTS[mode]}
    return DEFAULTS[mode] | chosen | os.environ | overrides


def url_table() -> str:
    """The URLs that a person can open, one a line."""
    numbers = ports()
    rows = {
        "Dashboard": f"http://localhost:{numbers['DASHBOARD_PORT']}",
        "API": f"http://localhost:{numbers['API_PORT']}/docs",
        "MLflow": f"http://localhost:{numbers['MLFLOW_PORT']}",
        "Spark": f"http://localhost:{numbers['SPARK_UI_PORT']}",
    }
    if shutil.which("prometheus") is not None:
        rows["Prometheus"] = f"http://localhost:{numbers['PROMETHEUS_PORT']}"
    return "\n".join(f"  {name:<12} {url}" for name, url in rows.items())


def market_sentence(mode: str) -> str | None:
    """What a person reads about the fees of a demo; None where nothing is simulated."""
    if mode != "demo":
        return None
    settings = SimulatorSettings()
    path, recording = settings.market_path, settings.simulator_replay
    if recording is None:
        return f"Fees follow the path {path} of the market (SIMULATOR_MARKET)."
    fees = "as recorded" if path == "off" else f"multiplied by the path {path} (SIMULATOR_MARKET)"
    return f"{recording} is replayed, and nothing generated is mixed in; its fees are {fees}."


def has_scores(data: Path, mode: str) -> bool:
    """Whether the lake holds a scored transaction."""
    lake = DataSettings(data_dir=data).lake
    table = open_table(lake, "scored_transactions", ORIGINS[mode])
    return table is not None and bool(table.count())


@dataclass(frozen=True)
class SourceSilence:
    """Since when the source of transactions is silent (a Unix time), why, and what to do.

    Two are equal while the same remedy holds: the reason names each failed request.
    """

    since: float
    remedy: str
    reason: str = field(compare=False)

    def sentence(self) -> str:
        """What a person reads at the start."""
        since = datetime.fromtimestamp(self.since).astimezone()
        return (
            f"The source of transactions has not answered since {since:%H:%M:%S on %Y-%m-%d}, "
            f"so nothing new comes in:\n    why:  {self.reason}\n    do:   {self.remedy}\n"
        )


def source_silence() -> SourceSilence | None:
    """What the producer's `/ready` says; None while the source answers or the producer does not."""
    url = f"http://localhost:{ports()['PRODUCER_METRICS_PORT']}/ready"
    try:
        with _DIRECT.open(url, timeout=2):
            return None
    except urllib.error.HTTPError as answer:
        with answer:
            source = json.load(answer)["source"]
        return SourceSilence(source["silent_since"], source["remedy"], source["reason"])
    except OSError:
        return None


def _ready_probe(name: str) -> Callable[[], bool]:
    if name == "kafka":
        kafka_port = ports()["KAFKA_PORT"]
        return lambda: accepts(kafka_port)
    url = f"http://localhost:{targets()[name]}{READY_PATHS.get(name, '/metrics')}"
    return lambda: _answers(url)


def _answers(url: str) -> bool:
    try:
        with _DIRECT.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
