import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from kafka.errors import KafkaError

from data_processing.chores.outbox import OutboxMessage
from data_processing.chores.webhook import MOST_LISTED, Webhook, post
from monitoring.stream_metrics import StreamMetrics

URL = "http://localhost/services/T0/secret?key=hidden"


class ListOfMessages:
    """Messages in a list, and the position that a restart begins at."""

    def __init__(self) -> None:
        self.hashes: list[str] = []
        self.muted: set[str] = set()
        self.kinds: dict[int, str] = {}  # of the messages that have one, by their place
        self.more: dict[str, Any] = {}
        self.read, self.posted = 0, 0

    def add(self, *numbers: int) -> None:
        self.hashes += [f"{number:064x}" for number in numbers]

    def next(self, wait_seconds: float) -> OutboxMessage | None:
        assert wait_seconds >= 0
        if self.read == len(self.hashes):
            return None
        self.read += 1
        content: dict[str, Any] = {"hash": self.hashes[self.read - 1], "explanation": "Unusual."}
        if content["hash"] in self.muted:
            content["muted_by"] = "a mute"
        if kind := self.kinds.get(self.read - 1):
            content["kind"] = kind
        content |= self.more
        return OutboxMessage(0, self.read - 1, content)

    def mark_posted(self, message: OutboxMessage) -> None:
        self.posted = message.offset + 1

    def waiting(self) -> int:
        return len(self.hashes) - self.posted


class ProcessKilledError(BaseException):
    """Ends the code under test wherever it is."""


class Receiver:
    """Takes posts, failing the first few; its clock moves with each sleep."""

    def __init__(self, metrics: StreamMetrics) -> None:
        self.failures, self.now, self.metrics = 0, 0.0, metrics
        self.killed_at = float("inf")
        self.messages = ListOfMessages()
        self.payloads: list[dict[str, Any]] = []

    def send(self, url: str, payload: dict[str, Any]) -> None:
        assert url == URL
        if self.failures:
            self.failures -= 1
            raise requests.ConnectionError(
                f"refused with url: {url.removeprefix('http://localhost')}"
            )
        self.payloads.append(payload)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.killed_at:
            raise ProcessKilledError

    def webhook(self, per_minute: int = 10) -> Webhook:
        """A webhook as a process that starts has it."""
        self.messages.read = self.messages.posted
        return Webhook(
            URL, per_minute, self.messages, self.metrics, self.send, lambda: self.now, self.sleep
        )

    def announced(self) -> list[int]:
        """Every hash that was posted, alone or in a summary, in the order of the posts."""
        lists = (payload.get("hashes") or [payload["hash"]] for payload in self.payloads)
        return [int(text, 16) for hashes in lists for text in hashes]


@pytest.fixture
def receiver(metrics: StreamMetrics) -> Receiver:
    return Receiver(metrics)


def post_all(webhook: Webhook, receiver: Receiver, seconds_each: float = 1) -> None:
    """Let the minutes pass until nothing waits."""
    while receiver.messages.waiting():
        webhook.post_next(wait_seconds=1)
        receiver.now += seconds_each


def test_a_post_says_why_and_carries_all_facts(receiver: Receiver) -> None:
    receiver.messages.add(1)
    post_all(receiver.webhook(), receiver)
    assert receiver.payloads == [
        {"text": "Unusual.", "hash": f"{1:064x}", "explanation": "Unusual."}
    ]


def test_a_post_leaves_out_who_pays_whom(receiver: Receiver) -> None:
    receiver.messages.more = {name: ["x"] for name in ("input_addresses", "output_values")}
    receiver.messages.more |= {"outputs_cut": True, "source": "mempool"}
    receiver.messages.add(1)
    post_all(receiver.webhook(), receiver)
    (payload,) = receiver.payloads
    assert set(payload) == {"text", "hash", "explanation", "source"}


def test_a_hash_that_is_on_the_topic_twice_is_posted_once(receiver: Receiver) -> None:
    receiver.messages.add(1, 1, 2, 1, 3)
    post_all(receiver.webhook(per_minute=1), receiver)
    assert receiver.announced() == [1, 2, 3]


def test_a_receiver_that_is_down_for_a_day_gets_all_in_order(
    receiver: Receiver, metrics: StreamMetrics
) -> None:
    receiver.messages.add(*range(600))
    receiver.failures = 24 * 60
    webhook = receiver.webhook(per_minute=10)
    turns: list[bool] = []
    webhook.loop.on_turn = turns.append
    post_all(webhook, receiver, seconds_each=0.01)
    assert len(turns) == 24 * 60, "a thread that waits for the receiver does not look stuck"
    assert receiver.announced() == list(range(600))
    assert receiver.now > 23 * 3600
    assert [len(p["hashes"]) for p in receiver.payloads if "hashes" in p] == [589]
    assert metrics.webhook_posts.labels("failed")._value.get() == 24 * 60
    assert metrics.webhook_posts.labels("accepted")._value.get() == 12


def test_what_waits_while_the_receiver_is_down_survives_a_restart(receiver: Receiver) -> None:
    receiver.messages.add(*range(30))
    receiver.failures, receiver.killed_at = 10_000, 3_600
    with pytest.raises(ProcessKilledError):
        post_all(receiver.webhook(), receiver)
    assert not receiver.payloads
    receiver.failures, receiver.killed_at = 0, float("inf")
    post_all(receiver.webhook(), receiver)
    assert receiver.announced() == list(range(30))


def test_what_a_minute_held_back_survives_a_restart(receiver: Receiver) -> None:
    receiver.messages.add(*range(30))
    webhook = receiver.webhook(per_minute=2)
    for _ in range(20):
        webhook.post_next(wait_seconds=0)
    assert receiver.announced() == [0, 1]
    post_all(receiver.webhook(per_minute=2), receiver)
    assert sorted(set(receiver.announced())) == list(range(30))


def test_what_is_held_back_is_summed_up_after_the_minute(receiver: Receiver) -> None:
    receiver.messages.add(1, 2, 3, 4, 5)
    webhook = receiver.webhook(per_minute=2)
    for _ in range(5):
        webhook.post_next(wait_seconds=0)
    assert len(receiver.payloads) == 2
    receiver.now = 61
    webhook.post_next(wait_seconds=0)
    assert receiver.payloads[2]["held_back"] == 3
    assert [text[-1] for text in receiver.payloads[2]["hashes"]] == ["3", "4", "5"]
    receiver.messages.add(6)
    webhook.post_next(wait_seconds=0)
    assert receiver.announced() == [1, 2, 3, 4, 5, 6]


def test_a_flood_is_left_on_the_topic_and_each_post_is_bounded(receiver: Receiver) -> None:
    flood = 3 * MOST_LISTED
    receiver.messages.add(*range(flood))
    webhook = receiver.webhook(per_minute=1)
    for _ in range(flood):
        webhook.post_next(wait_seconds=0)
    assert receiver.messages.read == MOST_LISTED + 1
    post_all(webhook, receiver)
    assert receiver.announced() == list(range(flood))
    assert max(len(p.get("hashes", [])) for p in receiver.payloads) == MOST_LISTED
    assert len(receiver.payloads) <= 2 * (receiver.now // 60 + 1)


def test_the_log_has_the_reason_and_not_the_secret_of_the_url(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.messages.add(1)
    receiver.failures = 1
    post_all(receiver.webhook(), receiver)
    assert "refused with url: /***" in caplog.text
    assert "secret" not in caplog.text
    assert "hidden" not in caplog.text


@pytest.fixture
def answering() -> Iterator[tuple[str, list[int]]]:
    """A server that answers with the last status of a list."""
    statuses = [200]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(statuses[-1])
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", statuses
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("status", [302, 404, 503])
def test_only_a_success_counts_as_accepted(answering: tuple[str, list[int]], status: int) -> None:
    url, statuses = answering
    post(url, {"hash": "1"})
    statuses.append(status)
    with pytest.raises(requests.HTTPError, match=str(status)):
        post(url, {"hash": "1"})


def test_what_is_muted_is_not_posted_but_counted(
    receiver: Receiver, metrics: StreamMetrics
) -> None:
    receiver.messages.add(*range(40))
    receiver.messages.muted = {f"{number:064x}" for number in range(0, 40, 2)}
    post_all(receiver.webhook(per_minute=3), receiver)
    assert receiver.announced() == list(range(1, 40, 2))
    assert metrics.webhook_muted._value.get() == 20


def test_what_is_held_back_survives_a_restart_after_a_muted_one(receiver: Receiver) -> None:
    receiver.messages.add(1, 2, 3)
    receiver.messages.muted = {f"{3:064x}"}
    webhook = receiver.webhook(per_minute=1)
    for _ in range(3):
        webhook.post_next(wait_seconds=1)
    assert receiver.announced() == [1]
    restarted = receiver.webhook(per_minute=1)
    post_all(restarted, receiver)
    assert receiver.announced() == [1, 2]


def test_a_transaction_that_is_flagged_and_watched_is_posted_as_both(receiver: Receiver) -> None:
    receiver.messages.add(1, 1, 1, 1, 2)
    receiver.messages.kinds = {1: "watched", 2: "flagged", 3: "watched"}
    post_all(receiver.webhook(), receiver)
    posted = [(int(payload["hash"], 16), payload.get("kind")) for payload in receiver.payloads]
    assert posted == [(1, None), (1, "watched"), (2, None)]


def test_a_summary_names_a_transaction_once_whatever_it_is(receiver: Receiver) -> None:
    receiver.messages.add(1, 2, 2)
    receiver.messages.kinds = {2: "watched"}
    post_all(receiver.webhook(per_minute=1), receiver, seconds_each=30)
    assert receiver.payloads[1]["hashes"] == [f"{2:064x}"]


def test_a_topic_that_cannot_be_read_is_asked_once_a_second(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_wait_seconds: float) -> OutboxMessage | None:
        raise KafkaError("not authorised")

    monkeypatch.setattr(receiver.messages, "next", refuses)
    webhook = receiver.webhook()
    for _ in range(5):
        webhook.loop.turn()
    assert (webhook.loop.failures, receiver.now) == (5, 5.0)
