"""Alerts: how long a flag on Kafka takes to reach a receiver.

`python -m benchmarks.alerts [FLAGS]` (200 by default). The parts are real: a broker, the casework
service as its own process, and an HTTP server that takes the signed posts of one route. Each flag
is a case of its own; it is published when the one before has arrived, after a pause of chance, so
that it meets the service's loops at any place in their turn.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from benchmarks.ingestion import broker
from kafka import KafkaProducer
from local.ports import free_port
from tests.support.case_samples import a_flag
from tests.support.http_receiver import HttpReceiver

from core.settings import ROOT
from core.topics import ANOMALIES

FLAGS, WARM_UP = 200, 5
AIM_SECONDS = 1.0
LONGEST_PAUSE = 0.5
WAIT_SECONDS = 60.0

ROUTES = """
routes:
  - name: measured
    webhook: {{url: "http://{address}/", secret: "{secret}"}}
    from: low
    per_hour: 500
"""


@contextmanager
def casework(folder: Path, servers: str, receiver: HttpReceiver) -> Iterator[None]:
    """The service, with one route to the receiver."""
    routes = folder / "alerts.yml"
    routes.write_text(ROUTES.format(address=receiver.address, secret="x" * 32))
    environment = os.environ | {
        "DATA_DIR": str(folder / "data"),
        "DATA_ORIGIN": "simulated",
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "ALERTS_FILE": str(routes),
        "CASEWORK_METRICS_PORT": str(free_port()),
    }
    with (folder / "casework.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "case_builder.py"],
            cwd=ROOT / "src" / "casework",
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def publish(producer: KafkaProducer, message: Mapping[str, Any]) -> float:
    """Publish a flag; when the broker had it, by `time.perf_counter`."""
    producer.send(ANOMALIES, msgspec.json.encode(message)).get(timeout=WAIT_SECONDS)
    return time.perf_counter()


def arrival(receiver: HttpReceiver, count: int) -> float:
    """When the receiver had so many posts; raises `TimeoutError` where they do not come."""
    deadline = time.perf_counter() + WAIT_SECONDS
    while len(receiver.posts) < count:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{len(receiver.posts)} of {count} alerts came")
        time.sleep(0.001)
    return time.perf_counter()


def measure(servers: str, receiver: HttpReceiver, flags: int) -> list[float]:
    """The seconds from each flag's place on the topic to its arrival."""
    producer, pauses = KafkaProducer(bootstrap_servers=servers), random.Random(1)
    seconds = []
    for number in range(1, WARM_UP + flags + 1):
        published = publish(producer, a_flag(number))
        seconds.append(arrival(receiver, number) - published)
        time.sleep(pauses.uniform(0, LONGEST_PAUSE))
    producer.close()
    return seconds[WARM_UP:]


def main() -> None:
    """Print the table."""
    flags = int(sys.argv[1]) if len(sys.argv) > 1 else FLAGS
    with tempfile.TemporaryDirectory() as name:
        folder, receiver = Path(name), HttpReceiver().start()
        (folder / "kafka").mkdir()
        with broker(folder / "kafka") as servers, casework(folder, servers, receiver):
            seconds = measure(servers, receiver, flags)
        receiver.stop()
    print(f"| {flags} flags, each a case | median | p95 | most | aim, p95 |")
    print("|---|---:|---:|---:|---:|")
    figures = (np.median(seconds), np.quantile(seconds, 0.95), max(seconds), AIM_SECONDS)
    cells = " | ".join(f"{1e3 * each:,.0f} ms" for each in figures)
    print(f"| on the topic to its arrival at a receiver | {cells} |")


if __name__ == "__main__":
    main()
