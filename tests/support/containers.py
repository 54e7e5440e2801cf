"""The stack in Docker on simulated transactions, as a separate project beside any other stack.

It has its own ports, volumes and network, so that no other data is touched, and is removed at the
end. docker-compose starts, changes and stops it. It is asked through its published ports, and
inside a container only for what no port shows: the rows of the lake and the keys on the topic.
"""

import json
import os
import shlex
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from local.ports import free_ports

from core.settings import ROOT

COMPOSE = shlex.split(os.environ.get("COMPOSE", "docker-compose"))
FILES = ("docker-compose.yml", "docker-compose.demo.yml")
CLUSTER_FILES = ("docker-compose.yml", "docker-compose.cluster.yml", "docker-compose.demo.yml")
SCALE_FILES = (*CLUSTER_FILES[:-1], "docker-compose.scale.yml", "docker-compose.demo.yml")
IMAGES = [f"bitcoin-anomaly-detection/{name}" for name in ("producer", "spark", "api", "dashboard")]
ONE_SHOT = "kafka-agent"
VOLUMES = ("kafka", "producer", "lake", "checkpoints", "mlflow", "prometheus")
PORTS = ("API", "DASHBOARD", "MLFLOW", "PROMETHEUS", "GRAFANA", "SIMULATOR")

_LAKE = """
import json, sys
from core.lake import open_table, query
from core.settings import DataSettings
table = open_table(DataSettings().lake, sys.argv[1], "simulated")
rows = query(f"select {sys.argv[2]} as v from t", t=table)["v"].to_pylist() if table else []
json.dump(rows, sys.stdout, default=str)
"""
_TOPIC = """
import json, os, sys
from kafka import KafkaConsumer, TopicPartition
servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"].split(",")
consumer = KafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed")
topic = "bitcoin-transactions"
places = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or []]
consumer.assign(places)
consumer.seek_to_beginning()
ends, keys = consumer.end_offsets(places), []
while any(consumer.position(place) < end for place, end in ends.items()):
    for records in consumer.poll(1000).values():
        keys += [record.key.decode() for record in records]
json.dump(keys, sys.stdout)
"""


def unable() -> str | None:
    """Why the stack cannot run here, or None if there is an engine and the images are built."""
    try:
        asked = subprocess.run(["docker", "image", "inspect", *IMAGES], capture_output=True)
    except FileNotFoundError:
        return "Docker is not installed"
    if asked.returncode:
        return "no Docker engine with the project's images: docker-compose build"
    return None


class Containers:
    """The stack of these compose files; `settings` are variables as in `.env`."""

    def __init__(
        self, folder: Path, files: tuple[str, ...] = FILES, settings: dict[str, str] | None = None
    ) -> None:
        self.project = f"bitcoin-check-{os.getpid()}"
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        named = {name: {"name": f"{self.project}-{name}"} for name in VOLUMES}
        self._volumes = folder / "volumes.json"
        self._volumes.write_text(json.dumps({"volumes": named}))
        self._files = [ROOT / name for name in files] + [self._volumes]
        self._environment = os.environ | {f"{n}_PORT": str(p) for n, p in self.ports.items()}
        self._environment |= settings or {}

    def compose(self, *arguments: str) -> str:
        """Run docker-compose; its output. Raises `RuntimeError` with the end of its errors."""
        command = [*COMPOSE, "-p", self.project]
        for path in self._files:
            command += ["-f", str(path)]
        done = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
        return done.stdout

    def set(self, name: str, value: str) -> None:
        """Change a variable for the next `up`."""
        self._environment[name] = value

    def remove(self) -> None:
        """Stop everything, and remove its containers, networks and volumes."""
        self.compose("down", "-v", "--remove-orphans")

    def inspect(self) -> dict[str, list[dict[str, Any]]]:
        """The engine's description of each service's containers, by the service's name."""
        label = f"label=com.docker.compose.project={self.project}"
        ids = _docker("ps", "-aq", "--no-trunc", "--filter", label).split()
        services: dict[str, list[dict[str, Any]]] = {}
        for container in json.loads(_docker("inspect", *ids)) if ids else []:
            service = container["Config"]["Labels"]["com.docker.compose.service"]
            services.setdefault(service, []).append(container)
        return services

    def unwell(self) -> list[str]:
        """Services that are not in their right state: healthy, running or ended with code 0."""
        return [
            f"{service}: {state['Status']} {state.get('Health', {}).get('Status', '')}"
            for service, bodies in self.inspect().items()
            for state in (body["State"] for body in bodies)
            if not _well(service, state)
        ]

    def crash(self, service: str) -> None:
        """End a service's process as the kernel would, and leave it to Docker to start it again.

        Needs root. Raises `TimeoutError` where Docker does not.
        """
        before = self.inspect()[service][0]
        os.kill(before["State"]["Pid"], signal.SIGKILL)

        def started_again() -> bool:
            bodies = {body["Id"]: body for body in self.inspect()[service]}
            return bool(bodies[before["Id"]]["RestartCount"] > before["RestartCount"])

        wait(started_again, 60, lambda: f"{service} was not started again", every=0.2)

    def wait_healthy(self, seconds: float = 600) -> float:
        """Wait until every service is well; the seconds that it took. Raises `TimeoutError`."""
        return wait(lambda: not self.unwell(), seconds, lambda: str(self.unwell()))

    def url(self, name: str, path: str = "") -> str:
        """The address of a published port, by its name in `PORTS`."""
        return f"http://127.0.0.1:{self.ports[name]}/{path}"

    def truth(self) -> dict[str, Any]:
        """The simulator's account of what it emitted and mined."""
        answer = requests.get(self.url("SIMULATOR", "simulator/truth"), timeout=30)
        answer.raise_for_status()
        return dict(answer.json())

    def mine(self) -> None:
        """Mine every waiting transaction, so that those the polls missed are in a block."""
        requests.post(self.url("SIMULATOR", "simulator/mine"), timeout=30).raise_for_status()

    def rows(self, table: str, column: str = "hash") -> list[str]:
        """A column of a table."""
        return list(self.python("trainer", _LAKE, table, column))

    def published(self) -> Counter[str]:
        """The keys on the topic `bitcoin-transactions`, and how often each occurs."""
        return Counter(self.python("producer", _TOPIC))

    def python(self, service: str, script: str, *arguments: str) -> Any:
        """Run a script in a service's container; the JSON that it prints."""
        return json.loads(self.output(service, "python", "-c", script, *arguments))

    def output(self, service: str, *command: str) -> str:
        """Run a command in a service's container; what it prints."""
        return _docker("exec", self.inspect()[service][0]["Id"], *command)


def wait(
    done: Callable[[], bool], seconds: float, why: Callable[[], str], every: float = 2
) -> float:
    """Wait until `done`; the seconds that it took. Raises `TimeoutError` with the reason."""
    begun = time.monotonic()
    while not done():
        if time.monotonic() - begun > seconds:
            raise TimeoutError(f"not within {seconds:g} s: {why()}")
        time.sleep(every)
    return time.monotonic() - begun


def _well(service: str, state: dict[str, Any]) -> bool:
    if service == ONE_SHOT:
        return (state["Status"], state["ExitCode"]) == ("exited", 0)
    health = state.get("Health", {}).get("Status", "healthy")
    return (state["Status"], health) == ("running", "healthy")


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout
