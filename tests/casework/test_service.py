"""The service as its door starts it, and its topic, on a broker of their own."""

import json
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from local.broker import Broker
from local.ports import accepts, free_port
from tests.support.case_samples import a_flag, a_hash, dust_fan_outs, numbers_of, rows_of
from tests.support.processes import process, wait_until

from casework.anomaly_topic import AnomalyTopic, TopicReplacedError
from core.settings import ROOT
from core.topics import ANOMALIES, ensure_topics

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def servers(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker whose topics nobody else reads: they are deleted here."""
    folder = tmp_path_factory.mktemp("kafka")
    kafka = Broker(folder, free_port(), free_port())
    kafka.prepare()
    with process(kafka.command(), folder / "broker.log") as running:
        wait_until(lambda: accepts(kafka.port), running, folder / "broker.log")
        yield f"localhost:{kafka.port}"


def publish(servers: str, *messages: Mapping[str, Any]) -> None:
    producer = KafkaProducer(bootstrap_servers=servers)
    for message in messages:
        producer.send(ANOMALIES, json.dumps(message).encode()).get(timeout=30)
    producer.close()


def replace_topic(servers: str) -> None:
    """Delete the topic where it is there, and create it again."""
    admin = KafkaAdminClient(bootstrap_servers=servers)
    if ANOMALIES in admin.list_topics():
        admin.delete_topics([ANOMALIES])
    admin.close()
    ensure_topics(servers, partitions=1)


def read(topic: AnomalyTopic, count: int) -> tuple[list[str], int]:
    """The hashes of so many messages, waiting for each, and the position behind the last."""
    hashes, position = list[str](), 0
    while len(hashes) < count:
        for records in topic.read(1.0):
            hashes += [json.loads(record.value or b"")["hash"] for record in records.records]
            position = records.position
    return hashes, position


def test_the_topic_is_read_from_its_position_and_as_another_one_from_the_beginning(
    servers: str,
) -> None:
    replace_topic(servers)
    publish(servers, *(a_flag(number) for number in (1, 2, 3)))
    now = 0.0
    topic = AnomalyTopic(servers, lambda: now)
    positions: dict[str, int] = {}
    topic.open(positions.get)
    hashes, position = read(topic, 3)
    assert hashes == [a_hash(number) for number in (1, 2, 3)]
    assert (position, topic.lag()) == (3, 0)

    positions[topic._application(0)] = 2
    topic.open(positions.get)
    assert read(topic, 1) == ([a_hash(3)], 3)
    positions[topic._application(0)] = 99  # the broker was set back
    topic.open(positions.get)
    assert len(read(topic, 3)[0]) == 3

    replace_topic(servers)
    publish(servers, a_flag(4))
    now += 60
    with pytest.raises(TopicReplacedError):
        topic.read(1.0)
    topic.open(positions.get)
    assert read(topic, 1) == ([a_hash(4)], 1)
    topic.close()


def has_read_all(port: int) -> bool:
    """Whether the service answers, and says that no record waits."""
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=9) as answer:
            return b"bitcoin_casework_lag_records 0.0" in answer.read()
    except OSError:
        return False


def test_a_service_that_is_killed_again_and_again_makes_each_case_once(
    servers: str, tmp_path: Path
) -> None:
    replace_topic(servers)
    port, log, root = free_port(), tmp_path / "casework.log", str(tmp_path / "data" / "casework")
    environment = {
        "DATA_DIR": str(tmp_path / "data"),
        "DATA_ORIGIN": "simulated",
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "CASEWORK_METRICS_PORT": str(port),
        "PORT_OFFSET": "0",
    }
    command = [sys.executable, str(ROOT / "src" / "casework" / "case_builder.py")]
    messages = [*dust_fan_outs(40), a_flag(500), a_flag(501)]
    for start in range(0, len(messages), 14):
        with process(command, log, environment) as running:
            committed = len(rows_of(root))
            publish(servers, *messages[start : start + 14])
            wait_until(lambda: len(rows_of(root)) > committed, running, log)  # noqa: B023
            os.killpg(running.pid, signal.SIGKILL)
    with process(command, log, environment) as running:
        wait_until(lambda: len(numbers_of(root)) == len(messages), running, log)
        wait_until(lambda: has_read_all(port), running, log)
        assert psutil.Process(running.pid).memory_info().rss < 420 * 2**20, "of 512 MiB"
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    rows = rows_of(root)
    assert [row["sequence"] for row in rows] == list(range(1, 43))
    assert [row["hash"] for row in rows] == [message["hash"] for message in messages]
    numbers = numbers_of(root)
    assert {numbers[message["hash"]] for message in messages[:40]} == {1}
    assert [numbers[a_hash(number)] for number in (500, 501)] == [2, 3]
