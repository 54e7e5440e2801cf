"""The loop: which request comes next, and what becomes of its answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.data_ingestion.samples import (
    FakeClock,
    FakeDelivery,
    block,
    block_hash,
    item,
    name,
    tip,
    value,
)

from core.topics import BLOCKS, TRANSACTIONS
from data_ingestion.blockchain_client import NotThereError, SourceError, UnreadablePageError
from data_ingestion.clock import StoppedError
from data_ingestion.following import BlockFollower
from data_ingestion.ingestion import Ingestion
from data_ingestion.journal import Journal
from data_ingestion.pages import UnreadablePages
from data_ingestion.publishing import Publisher
from data_ingestion.raw_json import RawBlock, Tip
from data_ingestion.source_state import SourceState
from monitoring.producer_metrics import ProducerMetrics


class FakeSource:
    """Answers from what a test sets; fails with `errors` first."""

    def __init__(self) -> None:
        self.page: list[bytes] = []
        self.blocks: dict[int, RawBlock] = {}
        self.errors: list[SourceError] = []
        self.asked: list[str] = []

    def _ask(self, endpoint: str) -> None:
        self.asked.append(endpoint)
        if self.errors:
            raise self.errors.pop(0)

    def unconfirmed(self) -> list[bytes]:
        self._ask("page")
        return self.page

    def latest_block(self) -> Tip:
        self._ask("tip")
        return tip(max(self.blocks))

    def block(self, reference: str | int) -> RawBlock:
        self._ask("block")
        by_name = {found.hash: found for found in self.blocks.values()}
        found = by_name.get(str(reference)) or self.blocks.get(int(reference))
        assert found is not None
        return found


class Loop:
    """The loop over a fake source and a fake broker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source, self.delivery, self.clock = FakeSource(), FakeDelivery(), FakeClock()
        self.metrics = ProducerMetrics(CollectorRegistry())
        self.journal = Journal(folder / "journal.sqlite", days=14)
        self.state = SourceState(120, self.clock, self.metrics)
        self.ingestion = Ingestion(
            self.source,  # type: ignore[arg-type]
            BlockFollower(self.source, self.journal, 100, self.metrics),  # type: ignore[arg-type]
            Publisher(self.journal, self.delivery, self.clock, self.metrics),
            UnreadablePages(folder / "unreadable"),
            self.state,
            self.clock,
            self.metrics,
            tip_every=3,
        )

    def steps(self, count: int) -> list[str]:
        """Take so many steps; what was asked for in them."""
        before = len(self.source.asked)
        for _ in range(count):
            self.ingestion.step()
        return self.source.asked[before:]


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    made.source.blocks = {9: block(9, [item(90)])}
    made.source.page = [item(1)]
    yield made
    made.journal.close()


def test_the_first_start_brings_the_newest_block_then_polls(loop: Loop) -> None:
    assert loop.steps(8) == ["tip", "block", "page", "page", "tip", "page", "page", "page"]
    assert loop.delivery.keys(TRANSACTIONS) == [name(90), name(1)]
    assert loop.delivery.keys(BLOCKS) == [block_hash(9)]


def test_catching_up_leaves_every_second_request_to_the_mempool(loop: Loop) -> None:
    loop.steps(4)
    loop.source.blocks |= {height: block(height) for height in (10, 11, 12)}
    assert loop.steps(8) == ["tip", "block", "page", "block", "tip", "page", "block", "page"]
    assert loop.delivery.keys(BLOCKS) == [block_hash(height) for height in (9, 10, 11, 12)]
    assert value(loop.metrics, "blocks_behind") == 0


def test_blocks_behind_are_told(loop: Loop) -> None:
    loop.steps(4)
    loop.source.blocks |= {height: block(height) for height in (10, 11, 12)}
    loop.steps(1)
    assert value(loop.metrics, "blocks_behind") == 3


def test_a_failing_source_costs_no_block(loop: Loop) -> None:
    loop.source.errors = [SourceError("timeout", "no answer")] * 5
    loop.steps(30)
    assert loop.delivery.keys(BLOCKS) == [block_hash(9)]


def test_an_unreadable_page_is_counted_kept_and_asked_for_again(loop: Loop) -> None:
    loop.steps(2)
    loop.source.errors = [UnreadablePageError("not read", b'{"transactions":[]}')]
    assert loop.steps(2) == ["page", "page"]
    assert value(loop.metrics, "unreadable_pages_total") == 1
    (kept,) = (loop.folder / "unreadable").iterdir()
    assert kept.read_bytes() == b'{"transactions":[]}'
    assert loop.delivery.keys(TRANSACTIONS) == [name(90), name(1)]


def test_a_mostly_unusable_block_is_asked_for_again_until_it_is_read(loop: Loop) -> None:
    good = loop.source.blocks[9]
    loop.source.blocks = {9: block(9, [item(90, size=...)])}
    loop.steps(4)
    assert loop.delivery.keys(BLOCKS) == []
    loop.source.blocks = {9: good}
    loop.steps(4)
    assert loop.delivery.keys(TRANSACTIONS) == [name(1), name(90)]


def test_a_mostly_unusable_block_does_not_stop_the_chain_for_ever(loop: Loop) -> None:
    loop.source.blocks = {9: block(9, [item(90, size=...)])}
    loop.steps(30)
    assert loop.delivery.keys(BLOCKS) == [block_hash(9)]
    assert value(loop.metrics, "dead_letters_total", reason="malformed") == 1
    assert value(loop.metrics, "unreadable_pages_total") == 5


def test_a_silent_source_is_told_and_an_answer_ends_it(loop: Loop) -> None:
    loop.source.errors = [SourceError("timeout", "no answer")]
    loop.clock.now += 500
    loop.steps(1)
    assert loop.state.silent_since is not None
    loop.steps(1)
    assert loop.state.silent_since is None


def test_a_block_that_is_not_there_is_an_answer(loop: Loop) -> None:
    loop.clock.now += 500
    loop.source.errors = [NotThereError("not_found", "gone")]
    loop.steps(1)
    assert loop.state.silent_since is None


def test_it_first_delivers_what_was_left_and_runs_until_told_to_stop(loop: Loop) -> None:
    loop.delivery.dead = True
    with pytest.raises(StoppedError):
        loop.ingestion.run()
    assert loop.source.asked == ["tip", "block"]
    held = loop.journal.held()
    loop.delivery.dead = False
    loop.source.errors = [StoppedError()]  # type: ignore[list-item]
    with pytest.raises(StoppedError):
        loop.ingestion.run()
    assert loop.delivery.taken == held
