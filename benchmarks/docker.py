"""The stack in Docker: how soon it is up, and what it takes of memory, processor and disk.

    docker-compose build && python -m benchmarks.docker [WARM_UP_SECONDS]

Starts the demo beside any other stack, with separate ports and volumes, and removes it at the end.
Memory is the engine's count without the file cache; processor time is in percent of one core.
"""

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import requests
from tests.support.containers import IMAGES, Containers, unable, wait
from tests.support.demo_stack import TRANSACTION

from core.detector.rules import RULES_VERSION

WARM_UP_SECONDS = 180
SPAN_SECONDS = 120
LOADS = {"7": "7 transactions/s", "0.01": "at rest", "50": "50 transactions/s"}
MIB = 2**20


class Usage(NamedTuple):
    """Bytes of memory in use, and nanoseconds of processor time since the container's start."""

    memory: int
    processor: int


class Engine(http.client.HTTPConnection):
    """The engine's own interface, on its socket."""

    def connect(self) -> None:
        """Connect to the usual socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")

    def usage(self, container: str) -> Usage:
        """The memory and processor time of a container, now."""
        self.request("GET", f"/containers/{container}/stats?stream=false&one-shot=true")
        stats = json.load(self.getresponse())
        memory, detail = stats["memory_stats"], stats["memory_stats"]["stats"]
        cached = detail.get("total_inactive_file", detail.get("inactive_file", 0))
        return Usage(memory["usage"] - cached, stats["cpu_stats"]["cpu_usage"]["total_usage"])


def main() -> None:
    """Print the tables."""
    reason = unable()
    if reason is not None:
        print(f"Not measured: {reason}.")
        return
    warm_up = float(sys.argv[1]) if len(sys.argv) > 1 else WARM_UP_SECONDS
    with tempfile.TemporaryDirectory() as folder:
        stack = Containers(Path(folder))
        try:
            show_start(stack)
            show_loads(stack, warm_up)
        finally:
            stack.remove()
    show_sizes()


def show_start(stack: Containers) -> None:
    """Print the seconds from `docker-compose up -d`, on built images, to each step."""
    begun, moment = time.monotonic(), time.time()
    stack.compose("up", "-d")
    returned = time.monotonic() - begun
    stack.wait_healthy()
    healthy = time.monotonic() - begun
    wait(lambda: predicts(stack), 300, lambda: "no verdict")
    verdict = time.monotonic() - begun
    wait(lambda: bool(stack.rows("scored_transactions")), 300, lambda: "nothing is scored")
    scored = min(map(datetime.fromisoformat, stack.rows("scored_transactions", "scored_at")))
    print("| from `docker-compose up -d` to | seconds | aim |\n|---|---:|---:|")
    print(f"| its return | {returned:.0f} | |\n| all healthy | {healthy:.0f} | 120 |")
    print(f"| the first scored transaction | {scored.timestamp() - moment:.0f} | 120 |")
    print(f"| the first score of /predict | {verdict:.0f} | |\n", flush=True)


def predicts(stack: Containers) -> bool:
    """Whether the API scores with a champion, and not by rules alone."""
    try:
        answer = requests.post(stack.url("API", "predict"), json=TRANSACTION, timeout=10)
        return answer.ok and answer.json()["model_version"] != RULES_VERSION
    except requests.ConnectionError:
        return False


def show_loads(stack: Containers, warm_up: float) -> None:
    """Print memory and processor time of each service, at each rate of the simulator."""
    loads = {}
    for rate, name in LOADS.items():
        stack.set("SIMULATOR_RATE", rate)
        stack.compose("up", "-d")
        stack.wait_healthy()
        time.sleep(warm_up)
        loads[name] = usage_of_services(stack)
    print("| " + " | ".join(["service", *(f"MiB, {n} | cpu, {n}" for n in loads)]) + " |")
    print("|---|" + "---:|---:|" * len(loads))
    for service in next(iter(loads.values())):
        cells = [f"{load[service][0]:.0f} | {load[service][1]:.0%}" for load in loads.values()]
        print(f"| {service} | {' | '.join(cells)} |")
    print(flush=True)


def usage_of_services(stack: Containers) -> dict[str, tuple[float, float]]:
    """MiB, and share of a core over `SPAN_SECONDS`, by service; the last entry is their sum."""
    ids = {
        service: bodies[0]["Id"]
        for service, bodies in stack.inspect().items()
        if bodies[0]["State"]["Running"]
    }
    engine = Engine("localhost")
    before, begun = {s: engine.usage(i) for s, i in ids.items()}, time.monotonic()
    time.sleep(SPAN_SECONDS)
    after, span = {s: engine.usage(i) for s, i in ids.items()}, time.monotonic() - begun
    services = {
        service: (now.memory / MIB, (now.processor - before[service].processor) / 1e9 / span)
        for service, now in after.items()
    }
    memory, share = (sum(column) for column in zip(*services.values(), strict=True))
    return services | {"all": (memory, share)}


def show_sizes() -> None:
    """Print the size of each image, and of the layers that its Dockerfile adds to the base."""
    print("| image | MB in all | MB of our own layers |\n|---|---:|---:|")
    base = size("python:3.11-slim-bookworm")
    for image in IMAGES:
        print(f"| {image} | {size(image):.0f} | {size(image) - base:.0f} |")


def size(image: str) -> float:
    """The size of an image in MB."""
    command = ["docker", "image", "inspect", "-f", "{{.Size}}", image]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1e6


if __name__ == "__main__":
    main()
