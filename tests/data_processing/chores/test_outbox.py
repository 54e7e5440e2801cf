import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer

from core.topics import ANOMALIES
from data_processing.chores.outbox import Outbox, message_content

JSON = st.none() | st.integers() | st.text() | st.dictionaries(st.text(), st.integers())


class Topic:
    """Publishes to the broker's `bitcoin-anomalies` and opens outboxes on it."""

    def __init__(self, servers: str, path: Path) -> None:
        self._servers, self.path = servers, path
        self._producer = KafkaProducer(bootstrap_servers=servers)
        self._outbox: Outbox | None = None

    def publish(self, *names: str) -> None:
        for name in names:
            value = json.dumps({"hash": name, "explanation": ""}).encode()
            self._producer.send(ANOMALIES, value).get(timeout=30)

    def open(self) -> Outbox:
        """An outbox as a process that starts has it."""
        self.close()
        self._outbox = Outbox(self._servers, self.path)
        self._outbox.open()
        return self._outbox

    def close(self) -> None:
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None

    def end(self) -> None:
        self.close()
        self._producer.close()


@pytest.fixture
def topic(broker: str, tmp_path: Path) -> Iterator[Topic]:
    topic = Topic(broker, tmp_path / "checkpoints" / "webhook.json")
    yield topic
    topic.end()


def take(outbox: Outbox, count: int, posted: bool = True) -> list[str]:
    """The hashes of the next messages, waiting for each."""
    hashes: list[str] = []
    while len(hashes) < count:
        if (message := outbox.next(wait_seconds=1)) is not None:
            hashes.append(message.content["hash"])
            if posted:
                outbox.mark_posted(message)
    return hashes


@pytest.mark.stack
def test_it_starts_with_what_is_published_after_its_first_opening(topic: Topic) -> None:
    topic.publish("before")
    topic.open()
    topic.publish("1", "2")
    outbox = topic.open()
    assert take(outbox, 2) == ["1", "2"]
    assert outbox.waiting() == 0


@pytest.mark.stack
def test_a_restart_begins_with_the_first_that_was_not_posted(topic: Topic) -> None:
    topic.open()
    topic.publish("1", "2", "3")
    outbox = topic.open()
    assert take(outbox, 1) == ["1"]
    assert take(outbox, 2, posted=False) == ["2", "3"]
    assert outbox.waiting() == 2
    assert take(topic.open(), 2) == ["2", "3"]


def test_a_message_is_its_record() -> None:
    assert message_content(b'{"hash": "1", "explanation": ""}') == {"hash": "1", "explanation": ""}


@pytest.mark.parametrize("value", [b'{"hash": [], "explanation": ""}', b"[" * 100_000])
def test_a_record_like_a_message_is_passed_over_too(value: bytes) -> None:
    assert message_content(value) is None


@given(st.none() | st.binary() | st.recursive(JSON, st.lists).map(lambda v: json.dumps(v).encode()))
def test_a_record_that_is_no_message_is_passed_over(value: bytes | None) -> None:
    assert message_content(value) is None


@pytest.mark.stack
@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"topic_id": 1}', b"\xff\x00"])
def test_a_damaged_file_repeats_rather_than_loses(topic: Topic, damaged: bytes) -> None:
    topic.open()
    topic.publish("first of this test")
    topic.path.write_bytes(damaged)
    outbox = topic.open()
    hashes = take(outbox, 1)
    while outbox.waiting():
        hashes += take(outbox, 1)
    assert "first of this test" in hashes


@pytest.mark.stack
def test_a_topic_created_again_is_read_from_its_beginning(topic: Topic) -> None:
    outbox = topic.open()
    topic.publish(*"123456")
    take(outbox, 6)
    topic.close()
    state = json.loads(topic.path.read_text())
    topic.path.write_text(json.dumps(state | {"topic_id": "another"}))
    everything = topic.open()
    assert len(take(everything, 6)) == 6


@pytest.mark.stack
def test_a_position_that_the_topic_lacks_is_brought_into_it(topic: Topic) -> None:
    topic.open()
    state = json.loads(topic.path.read_text())
    end = state["offsets"]["0"]
    topic.path.write_text(json.dumps(state | {"offsets": {"0": end + 100}}))
    outbox = topic.open()
    topic.publish("after")
    assert take(outbox, 1) == ["after"]
    topic.path.write_text(json.dumps(state | {"offsets": {"0": -5}}))
    take(topic.open(), 1)


@pytest.mark.stack
def test_a_topic_with_more_partitions_is_read_whole(topic: Topic) -> None:
    """`bitcoin-anomalies` has one partition, unless it was made by hand."""
    topic.open()
    state = json.loads(topic.path.read_text())
    assert set(state["offsets"]) == {"0"}
    del state["offsets"]["0"]
    topic.path.write_text(json.dumps(state))
    topic.publish("in a partition that the file does not name")
    assert take(topic.open(), 1)
