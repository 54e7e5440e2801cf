"""A stream at a steady rate: how long a transaction takes, and where a micro-batch's time goes."""

import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
from benchmarks.stream_lake import ages_when_seen, percentile, rows_in
from kafka import KafkaProducer
from local.ports import free_port
from prometheus_client.parser import text_string_to_metric_families
from tests.support.stream_processes import KafkaProcess, StreamProcess, wait_for
from tests.support.stream_samples import a_transaction, as_json

from core.topics import TRANSACTIONS
from monitoring.stream_metrics import STAGES

WARM_UP_SECONDS, COMPILED_SECONDS, MEASURED_SECONDS = 40, 120, 60
"""A micro-batch's code is compiled by Java while it runs; after the second time most of it is."""

_STREAM = "bitcoin_stream_"

SIDES: dict[str, Any] = {
    "input_addresses": ["bc1qpayer0", "bc1qpayer1"],
    "input_values": [60_000] * 2,
    "output_addresses": ["bc1qpayee0", "bc1qpayee1", "bc1qpayee2"],
    "output_values": [39_000] * 3,
}
"""Who pays and is paid, so that the index by address is written too."""

Samples = Mapping[tuple[str, ...], float]
"""What a stream's metrics say, by name and label values."""


@dataclass(frozen=True)
class Pace:
    """What a stream did at `a_second` transactions a second.

    `age` and `seen_age` are the 95th percentiles of the seconds from published, and from first
    seen, to scored; `cores` is processor time a second of all its processes. `milliseconds` has
    the mean time of a micro-batch by stage; `around` is Spark's: offsets, plan and checkpoint.
    """

    a_second: int
    age: float
    seen_age: float
    cores: float
    batches: int
    milliseconds: dict[str, float]


def at_rates(
    folder: Path, kafka: KafkaProcess, settings: dict[str, str], rates: list[int]
) -> list[Pace]:
    """Measure one stream at several rates, one after another, once it is warm."""
    port = str(free_port())
    settings = settings | {"STREAM_METRICS_PORT": port}
    stream = StreamProcess(folder / "data", kafka.servers, folder / "log", settings)
    stream.start()
    producer, rng = KafkaProducer(bootstrap_servers=kafka.servers), random.Random(2)
    try:
        feed(producer, rng, max(rates), WARM_UP_SECONDS)
        wait_for(lambda: rows_of(stream) > 0, "the first commit", 600)
        feed(producer, rng, max(rates), COMPILED_SECONDS)
        return [_measured(stream, port, producer, rng, rate) for rate in rates]
    finally:
        producer.close()
        stream.kill()


def _measured(
    stream: StreamProcess, port: str, producer: KafkaProducer, rng: random.Random, a_second: int
) -> Pace:
    feed(producer, rng, a_second, 5)  # what was published at another rate is scored meanwhile
    used, begun, before = processor_seconds(stream), time.monotonic(), samples(port)
    with ages_when_seen(stream.data) as ages:
        feed(producer, rng, a_second, MEASURED_SECONDS)
    cores = (processor_seconds(stream) - used) / (time.monotonic() - begun)
    after = samples(port)
    change = {key: value - before.get(key, 0.0) for key, value in after.items()}
    seen_age = quantile(change, "first_seen_to_scored_seconds", 0.95)
    batches = change[_STREAM + "batch_seconds_count",]
    stages = {stage: change[_STREAM + "stage_seconds_total", stage] for stage in STAGES}
    around = change[_STREAM + "batch_seconds_sum",] - sum(stages.values())
    means = {name: 1_000 * s / batches for name, s in (stages | {"around": around}).items()}
    return Pace(a_second, percentile(ages, 95), seen_age, cores, int(batches), means)


def feed(producer: KafkaProducer, rng: random.Random, a_second: int, seconds: float) -> None:
    """Publish evenly for some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        transaction = a_transaction(rng, first_seen=int(time.time()), **SIDES)
        producer.send(TRANSACTIONS, as_json(transaction), key=transaction["hash"].encode())
        time.sleep(1 / a_second)
    producer.flush()


def samples(port: str) -> Samples:
    """The metrics of a stream now."""
    text = requests.get(f"http://localhost:{port}/metrics", timeout=30).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def quantile(change: Samples, name: str, share: float) -> float:
    """A quantile of a histogram's observations, linear within a bucket, as Prometheus has it."""
    bucket = _STREAM + name + "_bucket"
    counts = sorted((float(key[1]), n) for key, n in change.items() if key[0] == bucket)
    wanted, low, below = share * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            return (
                low
                if bound == float("inf")
                else low + (bound - low) * (wanted - below) / (count - below)
            )
        low, below = bound, count
    raise ValueError(f"nothing was observed of {name}")


def rows_of(stream: StreamProcess) -> int:
    """Rows in the table of a running stream."""
    assert stream.running is not None
    assert stream.running.poll() is None, stream.last_line()
    return rows_in(stream.settings.get("LAKE_URI", str(stream.data / "lake")), stream.table)


def family(stream: StreamProcess) -> list[psutil.Process]:
    """The processes of Python's driver, Java and the workers."""
    assert stream.running is not None
    driver = psutil.Process(stream.running.pid)
    return [driver, *driver.children(recursive=True)]


def processor_seconds(stream: StreamProcess) -> float:
    """Processor time of all processes of a stream so far."""
    return tree_seconds(family(stream)[0])


def tree_seconds(root: psutil.Process) -> float:
    """Processor time of a process and its descendants so far; of its children also the ended."""
    ended = root.cpu_times()
    total = ended.children_user + ended.children_system
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            times = process.cpu_times()
            total += times.user + times.system
    return float(total)
