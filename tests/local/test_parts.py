"""The broker and the tracking server as the local stack starts them."""

import socket
import urllib.error
import urllib.request
import weakref

import pytest
from kafka.admin import KafkaAdminClient

from core.topics import BLOCKS, TRANSACTIONS, ensure_topics


@pytest.mark.stack
def test_topics_are_made_once_and_only_transactions_are_divided(broker: str) -> None:
    ensure_topics(broker, partitions=5)
    admin = KafkaAdminClient(bootstrap_servers=broker)
    try:
        described = admin.describe_topics([TRANSACTIONS, BLOCKS])
    finally:
        admin.close()
    assert {t["name"]: len(t["partitions"]) for t in described} == {TRANSACTIONS: 2, BLOCKS: 1}


class Left:
    """A socket in a circle, as kafka-python leaves it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.circle = self


left: list[weakref.ref[Left]] = []


@pytest.mark.stack
def test_a_socket_left_beside_a_broker(broker: str) -> None:
    host, port = broker.split(":")
    left.append(weakref.ref(Left((host, int(port)))))


@pytest.mark.stack
def test_is_collected_before_the_next_test(broker: str) -> None:
    assert [each() for each in left] == [None]


@pytest.mark.stack
def test_mlflow_shows_metrics_and_refuses_foreign_hosts(mlflow_server: str) -> None:
    with urllib.request.urlopen(f"{mlflow_server}/metrics", timeout=10) as answer:
        assert b"mlflow_exporter_info" in answer.read()
    foreign = urllib.request.Request(f"{mlflow_server}/", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(foreign, timeout=10)
    refused.value.close()
