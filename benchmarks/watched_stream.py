"""The stream with and without a watch list of 100,000 addresses: throughput, and the time it takes.

python -m benchmarks.watched_stream [HASHES]     200,000 distinct hashes by default

Every transaction has four addresses; one in a thousand pays one that is on the list. Each row is
the better of two streams on new folders, in turns, since the machine's other work is seldom even.
"""

import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stream import AS_BY_DEFAULT, folder_and_broker, hashes_asked
from benchmarks.stream_pace import rows_of, samples
from kafka import KafkaProducer
from local.ports import free_port
from tests.support.stream_processes import StreamProcess, wait_for
from tests.support.stream_samples import a_transaction, as_json
from tests.support.watch_lists import watch_many

from core.casework import CaseworkStore
from core.topics import TRANSACTIONS
from core.watch_list import MAX_ENTRIES

ENTRIES, MATCHING = 100_000, 1_000
"""Entries of the list; one transaction in `MATCHING` pays one of them."""

TIMES = 2
assert ENTRIES <= MAX_ENTRIES


@dataclass(frozen=True)
class Measured:
    """Rows a second, and the share of the time that matching takes, 0 to 1."""

    rate: float
    share: float
    matches: int


def main() -> None:
    """Print one table; ends with an error where the list costs 5 % or more."""
    hashes = hashes_asked(200_000)
    listed = addresses(ENTRIES, seed=1)
    without, with_list = list[Measured](), list[Measured]()
    with folder_and_broker() as (folder, kafka):
        publish(kafka.servers, hashes, listed)
        for number in range(TIMES):
            without.append(measured(folder / f"without-{number}", kafka.servers, hashes, []))
            with_list.append(measured(folder / f"with-{number}", kafka.servers, hashes, listed))
    fastest = max(with_list, key=lambda each: each.rate)
    plain = max(each.rate for each in without)
    print("| what | measured | aim |\n|---|---:|---:|")
    print(f"| Kafka to scored, {hashes:,} hashes of 4 addresses, no list | {plain:,.0f}/s | |")
    print(f"| … a list of {ENTRIES:,}, {fastest.matches:,} matches | {fastest.rate:,.0f}/s | |")
    share = min(each.share for each in with_list)
    print(f"| … matching and writing them, of the time | {share:.1%} | 5 % |")
    if share >= 0.05:
        sys.exit("the watch list takes more of the stream than it may")


def addresses(count: int, seed: int) -> list[str]:
    """Distinct texts of the form of addresses."""
    rng = random.Random(seed)
    return [f"bc1q{rng.getrandbits(190):038x}" for _ in range(count)]


def publish(servers: str, count: int, listed: list[str]) -> None:
    """Publish distinct transactions with their addresses, as fast as possible."""
    rng = random.Random(2)
    producer = KafkaProducer(bootstrap_servers=servers, linger_ms=50, batch_size=2**18)
    for number in range(count):
        owners = addresses(4, rng.getrandbits(63))
        if number % MATCHING == 0:
            owners[3] = rng.choice(listed)
        transaction = a_transaction(
            rng,
            input_addresses=owners[:2],
            input_values=[700_000, 300_000],
            output_addresses=owners[2:],
            output_values=[600_000, 390_000],
        )
        producer.send(TRANSACTIONS, as_json(transaction), key=transaction["hash"].encode())
    producer.flush()
    producer.close()


def measured(data: Path, servers: str, hashes: int, listed: list[str]) -> Measured:
    """Run a stream over all that is published, with this list."""
    if listed:
        watch_many(CaseworkStore(str(data / "casework"), "simulated"), listed)
    port = free_port()
    settings = AS_BY_DEFAULT | {"TRIGGER_SECONDS": "0", "STREAM_METRICS_PORT": str(port)}
    stream = StreamProcess(data, servers, data.with_suffix(".log"), settings)
    stream.start()
    try:
        wait_for(lambda: rows_of(stream) > 0, "the first commit", 600)
        begun = written(port, at_least=1)
        ended = written(port, at_least=hashes)
    finally:
        stream.kill()
    seconds = ended["clock"] - begun["clock"]
    matching = ended["watched"] - begun["watched"]
    rate = (ended["rows"] - begun["rows"]) / seconds
    return Measured(rate, matching / seconds, int(ended["matches"]))


def written(port: int, at_least: int) -> dict[str, float]:
    """What the stream says once it has written so many transactions in whole micro-batches."""
    wait_for(lambda: counted(port)["rows"] >= at_least, f"{at_least} rows", 3_600)
    return counted(port)


def counted(port: int) -> dict[str, float]:
    """Seconds on the clock and of matching so far, and rows written."""
    values = samples(str(port))
    return {
        "clock": time.monotonic(),
        "watched": values[("bitcoin_stream_stage_seconds_total", "watched")],
        "matches": values[("bitcoin_stream_rows_total", "watched")],
        "rows": values[("bitcoin_stream_rows_total", "raw_transactions")],
    }


if __name__ == "__main__":
    main()
