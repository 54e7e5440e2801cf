"""The polling loop: which request comes next, and what happens with its answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.support.blockchain_samples import NOW, block, block_hash, item, tip, tx_hash
from tests.support.ingestion_fakes import FakeClock, FakeDelivery, metric_value

from core.topics import BLOCKS, TRANSACTIONS
from data_ingestion.blockchain_client import (
    BlockNotFoundError,
    RawBlock,
    SourceError,
    Tip,
    UnreadableResponseError,
)
from data_ingestion.chain_follower import ChainFollower
from data_ingestion.clock import StoppedError
from data_ingestion.journal import Journal
from data_ingestion.polling import Poller, keep_response
from data_ingestion.publishing import Publisher
from data_ingestion.source_health import SourceHealth
from monitoring.producer_metrics import ProducerMetrics


class FakeSource:
    """Answers from what a test sets; fails with `errors` first."""

    def __init__(self) -> None:
        self.page: list[bytes] = []
        self.blocks: dict[int, RawBlock] = {}
        self.errors: list[SourceError] = []
        self.requests: list[str] = []

    def _request(self, endpoint: str) -> None:
        self.requests.append(endpoint)
        if self.errors:
            raise self.errors.pop(0)

    def unconfirmed(self) -> list[bytes]:
        self._request("page")
        return self.page

    def latest_block(self) -> Tip:
        self._request("tip")
        return tip(max(self.blocks))

    def block(self, reference: str | int) -> RawBlock:
        self._request("block")
        by_hash = {block.hash: block for block in self.blocks.values()}
        return by_hash.get(str(reference)) or self.blocks[int(reference)]


class Loop:
    """The loop over a fake source and a fake broker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source, self.delivery, self.clock = FakeSource(), FakeDelivery(), FakeClock()
        self.metrics = ProducerMetrics(CollectorRegistry())
        self.journal = Journal(folder / "journal.sqlite", days=14)
        self.health = SourceHealth(120, self.clock, self.metrics)
        self.poller = Poller(
            self.source,  # type: ignore[arg-type]
            ChainFollower(self.source, self.journal, 100, self.metrics),  # type: ignore[arg-type]
            Publisher(self.journal, self.delivery, self.clock, self.metrics),
            self.health,
            folder / "unreadable",
            self.clock,
            self.metrics,
            tip_every=3,
        )

    def steps(self, count: int) -> list[str]:
        """Make so many steps; returns their requests."""
        before = len(self.source.requests)
        for _ in range(count):
            self.poller.step()
        return self.source.requests[before:]


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(tmp_path)
    loop.source.blocks = {9: block(9, [item(90)])}
    loop.source.page = [item(1)]
    yield loop
    loop.journal.close()


def test_the_first_start_brings_the_newest_block_then_polls(loop: Loop) -> None:
    assert loop.steps(8) == ["tip", "block", "page", "page", "tip", "page", "page", "page"]
    assert loop.delivery.keys(TRANSACTIONS) == [tx_hash(90), tx_hash(1)]
    assert loop.delivery.keys(BLOCKS) == [block_hash(9)]


def test_catching_up_leaves_every_second_request_to_the_mempool(loop: Loop) -> None:
    loop.steps(4)
    loop.source.blocks |= {height: block(height) for height in (10, 11, 12)}
    assert loop.steps(8) == ["tip", "block", "page", "block", "tip", "page", "block", "page"]
    assert loop.delivery.keys(BLOCKS) == [block_hash(height) for height in (9, 10, 11, 12)]
    assert metric_value(loop.metrics, "blocks_behind") == 0


def test_blocks_behind_are_counted(loop: Loop) -> None:
    loop.steps(4)
    loop.source.blocks |= {height: block(height) for height in (10, 11, 12)}
    loop.steps(1)
    assert metric_value(loop.metrics, "blocks_behind") == 3


def test_a_failing_source_costs_no_block(loop: Loop) -> None:
    loop.source.errors = [SourceError("timeout", "no answer")] * 5
    loop.steps(30)
    assert loop.delivery.keys(BLOCKS) == [block_hash(9)]


def test_an_unreadable_page_is_counted_kept_and_requested_again(loop: Loop) -> None:
    loop.steps(2)
    loop.source.errors = [UnreadableResponseError("not read", b'{"transactions":[]}')]
    assert loop.steps(2) == ["page", "page"]
    assert metric_value(loop.metrics, "unreadable_pages_total") == 1
    (kept,) = (loop.folder / "unreadable").iterdir()
    assert kept.read_bytes() == b'{"transactions":[]}'
    assert loop.delivery.keys(TRANSACTIONS) == [tx_hash(90), tx_hash(1)]


def test_a_mostly_unusable_block_is_requested_again_until_it_is_read(loop: Loop) -> None:
    good = loop.source.blocks[9]
    loop.source.blocks = {9: block(9, [item(90, size=...)])}
    loop.steps(4)
    assert loop.delivery.keys(BLOCKS) == []
    loop.source.blocks = {9: good}
    loop.steps(4)
    assert loop.delivery.keys(TRANSACTIONS) == [tx_hash(1), tx_hash(90)]


def test_a_mostly_unusable_block_does_not_stop_the_chain_for_ever(loop: Loop) -> None:
    loop.source.blocks = {9: block(9, [item(90, size=...)])}
    loop.steps(30)
    assert loop.delivery.keys(BLOCKS) == [block_hash(9)]
    assert metric_value(loop.metrics, "dead_letters_total", reason="malformed") == 1
    assert metric_value(loop.metrics, "unreadable_pages_total") == 5


def test_a_silent_source_is_noted_and_an_answer_ends_it(loop: Loop) -> None:
    loop.source.errors = [SourceError("timeout", "no answer")]
    loop.clock.now += 500
    loop.steps(1)
    assert loop.health.silent_since is not None
    loop.steps(1)
    assert loop.health.silent_since is None


def test_a_block_that_is_not_found_is_an_answer(loop: Loop) -> None:
    loop.clock.now += 500
    loop.source.errors = [BlockNotFoundError("not_found", "gone")]
    loop.steps(1)
    assert loop.health.silent_since is None


def test_it_first_delivers_what_was_held_and_runs_until_it_is_stopped(loop: Loop) -> None:
    loop.delivery.dead = True
    with pytest.raises(StoppedError):
        loop.poller.run()
    assert loop.source.requests == ["tip", "block"]
    held = loop.journal.held()
    loop.delivery.dead = False
    loop.source.errors = [StoppedError()]  # type: ignore[list-item]
    with pytest.raises(StoppedError):
        loop.poller.run()
    assert loop.delivery.records == held


def test_only_the_newest_responses_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "unreadable"
    for second in range(25):
        path = keep_response(folder, str(second).encode(), NOW + second)
    assert path.read_bytes() == b"24"
    kept = [path.read_bytes() for path in sorted(folder.iterdir())]
    assert kept == [str(second).encode() for second in range(15, 25)]


def test_only_the_beginning_of_a_huge_response_is_kept(tmp_path: Path) -> None:
    path = keep_response(tmp_path, b"x" * 20_000_000, NOW)
    assert path.stat().st_size == 1_000_000
