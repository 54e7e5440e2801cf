"""The services that the API's benchmark compares, as real processes around one real model."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import requests
from benchmarks.scoring import trained_model
from local.ports import free_port

from core.ordinary_traffic.traffic import beside_market
from core.registry.follower import MODEL_NAME
from core.settings import ROOT
from model.mlflow_runs import Registry, Run
from model.tracking_server import ENVIRONMENT, Tracking


@dataclass
class Service:
    """A running service; `started` is the seconds until it answered."""

    url: str
    process: psutil.Process
    started: float

    def mebibytes(self) -> float:
        """Resident memory of it and its children."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(each.memory_info().rss for each in family) / 2**20

    def processor_seconds(self) -> float:
        """Processor time of it and its children so far."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(each.cpu_times().user + each.cpu_times().system for each in family)


@contextmanager
def running(
    command: list[str], port: int, ready: str, environment: dict[str, str], folder: Path = ROOT
) -> Iterator[Service]:
    """Run a service until its path `ready` answers 200, and end it with its children."""
    started = time.perf_counter()
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        parent = psutil.Process(process.pid)
        try:
            while not _answers(url + ready):
                assert process.poll() is None, f"ended: {command}"
                time.sleep(0.02)
            yield Service(url, parent, time.perf_counter() - started)
        finally:
            if process.poll() is None:
                for each in [*parent.children(recursive=True), parent]:
                    each.terminate()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


@contextmanager
def tracking(folder: Path) -> Iterator[str]:
    """An MLflow server with a champion, trained on generated traffic; its URI."""
    server = Tracking(folder, free_port())
    with running(server.command(), server.port, "/health", ENVIRONMENT) as service:
        uri = service.url.replace("127.0.0.1", "localhost")
        registry = Registry(uri, "simulated")
        registry.ensure_model()
        pipeline, champion = trained_model()
        run, rows = Run.start(uri, {"purpose": "benchmark"}, 0.0), beside_market(1_000, seed=2)
        version = run.register(pipeline, champion.calibration, rows)
        registry.promote(replace(champion, version=version))
        yield uri


def _settings(uri: str, folder: Path, port: int) -> dict[str, str]:
    return {
        "API_PORT": str(port),
        "MLFLOW_TRACKING_URI": uri,
        "DATA_DIR": str(folder),
        "DATA_ORIGIN": "simulated",
    }


@contextmanager
def ours(uri: str, folder: Path, **environment: str) -> Iterator[Service]:
    """The API, as `python app.py` starts it."""
    port = free_port()
    command, settings = [sys.executable, "app.py"], _settings(uri, folder, port) | environment
    with running(command, port, "/ready", settings, ROOT / "src" / "api") as service:
        yield service


@contextmanager
def nothing() -> Iterator[Service]:
    """A FastAPI endpoint with the same models, under the fastest settings of uvicorn."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.api_apps:nothing", "--port", str(port)]
    command += ["--no-access-log", "--no-server-header", "--log-level", "warning"]
    with running(command, port, "/docs", {}) as service:
        yield service


@contextmanager
def mlflow_serving(uri: str) -> Iterator[Service]:
    """MLflow's own server of the same model, with one worker."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["-m", f"models:/{MODEL_NAME}@champion", "-p", str(port), "--workers", "1"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"MLFLOW_TRACKING_URI": uri, "PATH": path}  # it looks for uvicorn there
    with running(command, port, "/ping", environment) as service:
        yield service
