"""The watch list on a real stream: announced though ordinary, changed and killed while it runs."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from tests.support.stream_processes import QUICK_JAVA, KafkaProcess, StreamProcess, wait_for
from tests.support.stream_samples import a_transaction, as_json
from tests.support.watch_lists import ANN, BOB, an_entry, unwatch, watch

from core.casework import CaseworkStore
from core.lake import open_table, query
from core.topics import ANOMALIES, TRANSACTIONS

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

HOLDS_SECONDS = 30.0


class Rig:
    """A broker, a stream on its data, the list that it follows, and who announces what."""

    def __init__(self, folder: Path) -> None:
        self.kafka = KafkaProcess(folder / "kafka")
        self.kafka.start()
        self.data, self.rng = folder / "data", random.Random(5)
        self.stream = StreamProcess(self.data, self.kafka.servers, folder / "log", QUICK_JAVA)
        self.store = CaseworkStore(str(self.data / "casework"), "simulated")
        self._producer = KafkaProducer(bootstrap_servers=self.kafka.servers)
        self._topic = TopicPartition(ANOMALIES, 0)
        self._consumer = KafkaConsumer(bootstrap_servers=self.kafka.servers)
        self._consumer.assign([self._topic])
        self._consumer.seek_to_beginning()
        self.messages: list[dict[str, Any]] = []

    def pay(self, address: str, count: int = 1) -> set[str]:
        """Publish ordinary transactions that pay an address; their hashes."""
        paid = {"output_addresses": [address, "1other"], "output_values": [7_000, 5_000]}
        rows = [a_transaction(self.rng, **paid) for _ in range(count)]
        for row in rows:
            self._producer.send(TRANSACTIONS, as_json(row), key=row["hash"].encode())
        self._producer.flush()
        return {row["hash"] for row in rows}

    def announced(self) -> Counter[str]:
        """How often each hash is announced as watched."""
        for records in self._consumer.poll(200).values():
            self.messages += [json.loads(record.value) for record in records]
        return Counter(m["hash"] for m in self.messages if m["kind"] == "watched")

    def wait_for_announced(self, hashes: set[str], seconds: float = 300) -> None:
        def arrived() -> bool:
            self.stream.keep_alive()
            return hashes <= set(self.announced())

        wait_for(arrived, "the announcements", seconds)

    def hashes_in(self, name: str) -> Counter[str]:
        table = open_table(str(self.data / "lake"), name, "simulated")
        rows = [] if table is None else query("SELECT hash FROM t", t=table)["hash"].to_pylist()
        return Counter(rows)

    def close(self) -> None:
        self.stream.kill()
        self._producer.close()
        self._consumer.close()
        self.kafka.kill()


@pytest.fixture
def rig(java: None, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    rig.stream.start()
    yield rig
    rig.close()


def test_what_is_watched_is_announced_once_whatever_the_score_and_whatever_is_killed(
    rig: Rig,
) -> None:
    watch(rig.store, an_entry(ANN, severity="high"))
    first = rig.pay(ANN)
    rig.wait_for_announced(first, 480)
    (message,) = [m for m in rig.messages if m["hash"] in first and m["kind"] == "watched"]
    assert message["explanation"] == "Watched: Ann (1BgGZ9tc…6SAMH) was paid 0.00007 BTC."
    assert (message["watch_severity"], message["is_anomaly"]) == ("high", False)
    assert message["watched"][0]["value"] == 7_000

    # A change holds without a restart.
    unseen = rig.pay(BOB)
    wait_for(lambda: unseen <= set(rig.hashes_in("raw_transactions")), "a row")
    watch(rig.store, an_entry(BOB))
    changed = time.monotonic()
    while not (found := set(rig.announced()) - first):
        rig.pay(BOB)
        assert time.monotonic() - changed < 10 * HOLDS_SECONDS
    assert time.monotonic() - changed < HOLDS_SECONDS
    assert not found & unseen
    unwatch(rig.store, an_entry(BOB))

    # Killed in the middle of its work, again and again, it loses and doubles none.
    paid = set(first)
    for _ in range(3):
        paid |= rig.pay(ANN, 300)
        before = len(rig.hashes_in("watched"))
        wait_for(lambda before=before: len(rig.hashes_in("watched")) > before, "a match")  # type: ignore[misc]
        paid |= rig.pay(ANN, 300)
        rig.stream.kill()
        rig.stream.start()
    rig.wait_for_announced(paid)
    assert rig.stream.stop() == 0
    assert paid <= set(rig.hashes_in("watched"))
    assert set(rig.hashes_in("watched").values()) == {1}
    assert {count for hash, count in rig.announced().items() if hash in paid} == {1}
