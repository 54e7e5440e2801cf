"""The stack in Docker: how soon it is up, and what it takes of memory, processor and disk.

    docker-compose build && python -m benchmarks.docker [WARM_UP_SECONDS]

Starts the demo beside any other stack, with ports and volumes of its own, and removes it again.
Memory is what the engine counts without the file cache; processor time is in percent of one core.
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
from benchmarks.containers import IMAGES, Containers, unable, wait

SAMPLE = {
    **{"hash": "a1b2c3", "size": 250, "weight": 1000, "fee": 5000, "inputs_count": 2},
    **{"outputs_count": 2, "input_value": 1_000_000, "output_value": 995_000},
}
WARM_UP_SECONDS = 180
SPAN_SECONDS = 120
LOADS = {"7": "7 transactions/s", "0.01": "at rest", "50": "50 transactions/s"}
MIB = 2**20


class Taken(NamedTuple):
    """Bytes of memory that a container takes, and nanoseconds of processor since its start."""

    memory: int
    processor: int


class Engine(http.client.HTTPConnection):
    """The engine's own interface, on its socket."""

    def connect(self) -> None:
        """Connect to the usual socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")

    def taken(self, container: str) -> Taken:
        """What a container takes at this moment."""
        self.request("GET", f"/containers/{container}/stats?stream=false&one-shot=true")
        found = json.load(self.getresponse())
        memory, detail = found["memory_stats"], found["memory_stats"]["stats"]
        cached = detail.get("total_inactive_file", detail.get("inactive_file", 0))
        return Taken(memory["usage"] - cached, found["cpu_stats"]["cpu_usage"]["total_usage"])


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
    """How soon everything is there, from `docker-compose up -d` on built images."""
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
    print(f"| the first answer of /predict | {verdict:.0f} | |\n", flush=True)


def predicts(stack: Containers) -> bool:
    """Whether the API has a champion."""
    try:
        return requests.post(stack.url("API", "predict"), json=SAMPLE, timeout=10).ok
    except requests.ConnectionError:
        return False


def show_loads(stack: Containers, warm_up: float) -> None:
    """Memory and processor time of each service, at each rate of the simulator."""
    found = {}
    for rate, name in LOADS.items():
        stack.set("SIMULATOR_RATE", rate)
        stack.compose("up", "-d")
        stack.wait_healthy()
        time.sleep(warm_up)
        found[name] = taken(stack)
    print("| " + " | ".join(["service", *(f"MiB, {n} | cpu, {n}" for n in found)]) + " |")
    print("|---|" + "---:|---:|" * len(found))
    for service in next(iter(found.values())):
        cells = [f"{load[service][0]:.0f} | {load[service][1]:.0%}" for load in found.values()]
        print(f"| {service} | {' | '.join(cells)} |")
    print(flush=True)


def taken(stack: Containers) -> dict[str, tuple[float, float]]:
    """MiB, and share of a core over a span, by service; the last row is their sum."""
    ids = {
        service: bodies[0]["Id"]
        for service, bodies in stack.inspect().items()
        if bodies[0]["State"]["Running"]
    }
    engine = Engine("localhost")
    before, begun = {s: engine.taken(i) for s, i in ids.items()}, time.monotonic()
    time.sleep(SPAN_SECONDS)
    after, span = {s: engine.taken(i) for s, i in ids.items()}, time.monotonic() - begun
    found = {
        service: (now.memory / MIB, (now.processor - before[service].processor) / 1e9 / span)
        for service, now in after.items()
    }
    memory, share = (sum(column) for column in zip(*found.values(), strict=True))
    return found | {"all": (memory, share)}


def show_sizes() -> None:
    """The images, and of each what its own Dockerfile adds to its base."""
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
