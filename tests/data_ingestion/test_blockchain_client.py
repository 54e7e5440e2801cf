"""The HTTP client against the simulator and its faults, against odd responses, and its decoders."""

import json
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from math import inf
from threading import Thread
from time import monotonic

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.blockchain_samples import NOW, block_hash, item, payment, tx_hash
from tests.support.ingestion_fakes import FakeClock, metric_value

from core.settings import SimulatorSettings, SourceSettings
from core.transaction import MAX_BLOCK_TRANSACTIONS, Block
from data_ingestion.blockchain_client import (
    BlockchainClient,
    BlockNotFoundError,
    SourceError,
    UnreadableResponseError,
    decode_block,
    decode_page,
    decode_tip,
)
from data_ingestion.clock import StoppedError
from data_ingestion.request_budget import RequestBudget
from data_ingestion.simulation.faults import Fault
from data_ingestion.simulation.http_server import Answer, Delivery, listen
from data_ingestion.simulation.simulator_service import Simulator
from monitoring.producer_metrics import RESULTS, ProducerMetrics


class LiveClock(FakeClock):
    """Its time passes; its waits take none."""

    def monotonic(self) -> float:
        return monotonic()


class Store:
    next_request = 0.0


@pytest.fixture
def clock() -> FakeClock:
    return LiveClock()


Connect = Callable[..., BlockchainClient]


@pytest.fixture
def connect(metrics: ProducerMetrics, clock: FakeClock) -> Iterator[Connect]:
    clients = []

    def connected(url: str, answer: float = 5, block: float = 5) -> BlockchainClient:
        settings = SourceSettings(
            blockchain_api_url=url, request_timeout_seconds=answer, block_timeout_seconds=block
        )
        budget = RequestBudget(10, 300, clock, Store(), lambda: 1.0)
        clients.append(BlockchainClient(settings, budget, clock, metrics))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    running = Simulator(SimulatorSettings(simulator_first_block=120, simulator_rate=1))
    running.start()
    running.network.burst(150, running.network.chain.main[-1].time)
    yield running
    running.stop()


@pytest.fixture
def client(simulator: Simulator, connect: Connect) -> Iterator[BlockchainClient]:
    yield connect(simulator.url, answer=0.5)
    simulator.faults.switch_off()


def failure(request: Callable[[], object]) -> SourceError:
    with pytest.raises(SourceError) as raised:
        request()
    assert raised.value.result in RESULTS
    return raised.value


def test_a_page_has_a_hundred_items(client: BlockchainClient) -> None:
    assert len(client.unconfirmed()) == 100


def test_a_block_is_found_by_hash_and_by_height(client: BlockchainClient) -> None:
    tip = client.latest_block()
    assert client.block(tip.hash).hash == client.block(tip.height).hash == tip.hash


def test_an_unknown_block_is_not_found_and_no_failure_of_the_source(
    client: BlockchainClient, clock: FakeClock
) -> None:
    with pytest.raises(BlockNotFoundError):
        client.block(tx_hash(5))
    client.latest_block()
    assert max(clock.waits) == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        ("too-many-requests-html", "http_429"),
        ("too-many-requests-text", "http_429"),
        ("blocked", "http_403"),
        ("server-error", "http_5xx"),
        ("bad-gateway", "http_5xx"),
        ("unavailable", "http_5xx"),
        ("html", "not_json"),
        ("timeout", "timeout"),
        ("slow", "timeout"),
        ("truncated", "connection"),
        ("changed-schema", "unreadable"),
    ],
)
def test_every_fault_has_its_result(
    simulator: Simulator,
    client: BlockchainClient,
    metrics: ProducerMetrics,
    fault: str,
    result: str,
) -> None:
    simulator.faults.switch_on(Fault(name=fault, seconds=3))
    assert failure(client.unconfirmed).result == result
    labels = {"endpoint": "unconfirmed", "result": result}
    assert metric_value(metrics, "source_requests_total", **labels) == 1
    assert metric_value(metrics, "source_backoff_seconds") == 20


def test_an_answer_after_a_fault_ends_the_backoff(
    simulator: Simulator, client: BlockchainClient, metrics: ProducerMetrics, clock: FakeClock
) -> None:
    simulator.faults.switch_on(Fault(name="bad-gateway", count=1))
    failure(client.unconfirmed)
    assert len(client.unconfirmed()) == 100
    assert metric_value(metrics, "source_backoff_seconds") == 0
    assert metric_value(metrics, "source_last_success_timestamp_seconds") == clock.now
    assert metric_value(metrics, "source_request_seconds_count", endpoint="unconfirmed") == 1


def test_the_pause_that_the_source_asks_for_is_honoured(
    simulator: Simulator, client: BlockchainClient, clock: FakeClock
) -> None:
    simulator.faults.switch_on(Fault(name="too-many-requests-text", count=1, retry_after=1234))
    assert failure(client.unconfirmed).retry_after == 1234
    client.unconfirmed()
    assert clock.waits[-1] == pytest.approx(1234, abs=1)


def test_an_unreadable_page_is_kept_in_the_error(
    simulator: Simulator, client: BlockchainClient
) -> None:
    simulator.faults.switch_on(Fault(name="changed-schema"))
    error = failure(client.unconfirmed)
    assert isinstance(error, UnreadableResponseError)
    assert error.body.startswith(b'{"transactions":')
    assert "txs" in str(error)


def test_a_block_may_take_longer_than_an_answer(simulator: Simulator, connect: Connect) -> None:
    client = connect(simulator.url, answer=0.5, block=10)
    tip = client.latest_block()
    simulator.faults.switch_on(Fault(name="slow", count=1, seconds=1.5))
    assert client.block(tip.hash).height == tip.height


def test_nobody_listening_is_a_connection_that_failed(connect: Connect) -> None:
    assert failure(connect("http://127.0.0.1:9").latest_block).result == "connection"


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://nobody.invalid", "Failed to resolve 'nobody.invalid'"),
        ("http://127.0.0.1:9", "Failed to establish a new connection: [Errno 111]"),
    ],
)
def test_a_failed_connection_says_its_cause_first(connect: Connect, url: str, cause: str) -> None:
    message = str(failure(connect(url).latest_block))
    assert message.startswith(f"{url}/latestblock: {cause}")


def test_an_https_source_is_asked_through_the_proxy_of_the_settings(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(HTTPStatus.BAD_GATEWAY)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        Thread(target=proxy.handle_request, daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        message = str(failure(connect("https://blockchain.example").latest_block))
    assert asked == ["blockchain.example:443"]
    assert "502" in message


def test_a_stop_ends_a_slow_body(simulator: Simulator, connect: Connect, clock: FakeClock) -> None:
    client = connect(simulator.url)
    simulator.faults.switch_on(Fault(name="slow", seconds=5))
    clock.stopping = True
    with pytest.raises(StoppedError):
        client._read(
            "latestblock", "/latestblock", bytes, 5
        )  # the budget's wait would already stop it
    simulator.faults.switch_off()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), (formatdate(NOW + 90, usegmt=True), 90), ("soon", None), ("-5", None)]
    + [(header, None) for header in ("²", "9²", "Fri, 31 Dec 99999999999999999999 23:59:59 GMT")]
    + [("9" * 500, inf)],
)
def test_retry_after_is_seconds_or_a_date(
    connect: Connect, header: str, seconds: float | None
) -> None:
    answer = Answer(503, b"", "text/html", retry_after=header)  # type: ignore[arg-type]
    server = listen("127.0.0.1", 0, lambda _method, _target: answer)
    assert failure(connect(server.url).latest_block).retry_after == seconds
    server.end()


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (Answer(301, b"", "text/html"), "http_3xx"),
        (Answer(404, b"<html>", "text/html"), "http_4xx"),
        (Answer(404, b'{"error":"not found"}'), "http_4xx"),
        (Answer(200, b"{}", ""), "not_json"),
        (Answer(200, b""), "unreadable"),
        (Answer(200, b'{"error":"Unexpected error, please try again"}'), "unreadable"),
        (Answer(200, b"[" * 100_000), "unreadable"),
        (Answer(200, b'{"hash":"\xff","height":1}'), "unreadable"),
        (Answer(200, b"x" * 65 * 1024 * 1024), "too_large"),
        (Answer(200, b"{}", delivery=Delivery.TIMEOUT), "connection"),
    ],
)
def test_odd_answers_are_failures_of_the_source(
    connect: Connect, answer: Answer, result: str
) -> None:
    server = listen("127.0.0.1", 0, lambda _method, _target: answer)
    assert failure(connect(server.url).latest_block).result == result
    server.end()


def test_only_a_block_can_be_missing(connect: Connect, clock: FakeClock) -> None:
    """A page that is not found is no answer: the pause doubles, and the source counts as silent."""
    missing = Answer(404, b'{"error":"not found"}')
    server = listen("127.0.0.1", 0, lambda _method, _target: missing)
    client = connect(server.url)
    for request in (client.unconfirmed, client.latest_block):
        error = failure(request)
        assert (type(error), error.result) == (SourceError, "http_4xx")
    with pytest.raises(BlockNotFoundError):
        client.block(7)
    server.end()


HEADER = {"hash": block_hash(9), "height": 9, "prev_block": block_hash(8), "time": NOW, "tx": []}


@pytest.mark.parametrize(
    "change",
    [
        {"hash": "?"},
        {"hash": block_hash(9) + "\n"},
        {"prev_block": block_hash(8).upper()[:-1] + "G"},
        {"height": -1},
        {"height": 10},
        {"height": 2**40},
        {"time": -1},
        {"time": 2**32},
        {"tx": [0] * (MAX_BLOCK_TRANSACTIONS + 1)},
    ],
)
def test_a_block_that_is_not_valid_or_another_one_is_unreadable(
    connect: Connect, change: dict[str, object]
) -> None:
    bodies = [json.dumps(HEADER).encode(), json.dumps(HEADER | change).encode()]
    server = listen("127.0.0.1", 0, lambda _method, _target: Answer(200, bodies.pop(0)))
    client = connect(server.url)
    assert client.block(9).hash == block_hash(9)
    assert failure(lambda: client.block(9)).result == "unreadable"
    server.end()


@pytest.mark.parametrize("change", [{"hash": "?"}, {"height": -1}, {"height": 2**40}])
def test_a_tip_out_of_bounds_is_an_error(change: dict[str, object]) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_tip(json.dumps({"hash": tx_hash(1), "height": 7} | change).encode())


@given(
    st.builds(
        lambda *values: dict(zip(HEADER, values, strict=True)),
        st.from_regex("[0-9a-f]{64}|[0-9a-fx]{63,65}\n?", fullmatch=True),
        st.integers(-1, 2**33),
        st.from_regex("[0-9a-f]{64}|[0-9a-fx]{63,65}\n?", fullmatch=True),
        st.integers(-1, 2**33),
        st.just([]),
    )
)
def test_every_block_that_is_read_can_be_published(header: dict[str, object]) -> None:
    try:
        raw = decode_block(json.dumps(header).encode())
    except msgspec.DecodeError:
        return
    Block(
        hash=raw.hash,
        height=raw.height,
        previous_hash=raw.prev_block,
        time=raw.time,
        transaction_hashes=[],
    )


def test_a_page_keeps_each_item_as_the_bytes_it_was() -> None:
    malformed = b'{"hash": 5}'
    assert decode_page(b'{"txs":[' + item() + b"," + malformed + b"]}") == [item(), malformed]


def test_a_block_names_its_parent() -> None:
    body = {"hash": block_hash(9), "height": 9, "prev_block": block_hash(8), "time": 1}
    raw = decode_block(json.dumps(body | {"tx": [payment()], "mrkl_root": "x"}).encode())
    assert (raw.height, raw.prev_block) == (9, block_hash(8))
    assert bytes(raw.tx[0]) == item()


@pytest.mark.parametrize("index", [{"block_index": 0, "txIndexes": []}, {"txIndexes": [5]}, {}])
def test_a_tip_of_any_year_is_its_hash_and_height(index: dict[str, object]) -> None:
    tip = decode_tip(json.dumps({"hash": tx_hash(1), "height": 7, "time": 1} | index).encode())
    assert (tip.hash, tip.height) == (tx_hash(1), 7)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"txs":{}}', b'{"txs":[1'])
def test_what_is_no_page_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_page(body)
