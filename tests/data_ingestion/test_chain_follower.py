"""Following the chain over gaps, reorganisations and blocks that are gone."""

from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry
from tests.support.blockchain_samples import NOW, block, block_hash
from tests.support.ingestion_fakes import metric_value

from core.topics import BLOCKS
from data_ingestion.blockchain_client import (
    BlockNotFoundError,
    RawBlock,
    SourceError,
    Tip,
    UnreadableResponseError,
)
from data_ingestion.chain_follower import MAX_UNUSABLE_ANSWERS, ChainFollower
from data_ingestion.journal import Journal, Record
from monitoring.producer_metrics import ProducerMetrics


class FakeSource:
    """A source that has some blocks and records the requests for them."""

    def __init__(self) -> None:
        self.blocks: dict[str, RawBlock] = {}
        self.main: dict[int, RawBlock] = {}
        self.requests: list[str | int] = []
        self.unusable: dict[str, SourceError] = {}
        """The failure of a block that the source answers, but not as a block."""

    def extend(self, heights: range, branch: int = 0, parent: int | None = None) -> None:
        for height in heights:
            below = branch if parent is None or height != heights.start else parent
            added = block(height, branch=branch, parent=below)
            self.blocks[added.hash] = self.main[height] = added

    def latest_block(self) -> Tip:
        newest = self.main[max(self.main)]
        return Tip(newest.hash, newest.height)

    def block(self, reference: str | int) -> RawBlock:
        self.requests.append(reference)
        if len(self.requests) > 1_000:
            raise AssertionError("it never stops asking")
        by_height = self.main.get(reference) if isinstance(reference, int) else None
        requested = by_height or self.blocks.get(str(reference))
        if requested is None:
            raise BlockNotFoundError("not_found", str(reference))
        if requested.hash in self.unusable:
            raise self.unusable[requested.hash]
        return requested


class Follow:
    """A follower whose blocks are published at once."""

    def __init__(self, journal: Journal, max_behind: int = 100) -> None:
        self.chain = FakeSource()
        self.journal = journal
        self.metrics = ProducerMetrics(CollectorRegistry())
        self.published: list[str] = []
        self.restart(max_behind)

    def restart(self, max_behind: int = 100) -> None:
        source = self.chain
        self.follower = ChainFollower(source, self.journal, max_behind, self.metrics)  # type: ignore[arg-type]

    def catch_up(self) -> list[str]:
        """Request the tip, then publish until nothing is behind; the hashes in their order."""
        before = len(self.published)
        self.follower.request_tip()
        for _ in range(1_000):
            if not self.follower.behind:
                return self.published[before:]
            self.publish_next()
        raise AssertionError("never catches up")

    def check_tip(self) -> None:
        """Request the tip, then the blocks until the follower waits for the next tip."""
        self.follower.request_tip()
        for _ in range(1_000):
            if not self.follower.behind:
                return
            with suppress(SourceError):
                self.follower.request_block()
        raise AssertionError("never gives up")

    def publish_next(self) -> None:
        try:
            block = self.follower.request_block()
        except SourceError:
            if not self.follower.behind:
                self.follower.request_tip()
            return
        if block is not None:
            record = Record(BLOCKS, block.hash, b"", height=block.height)
            self.journal.acknowledge([record], NOW)
            self.published.append(block.hash)


@pytest.fixture
def follow(journal: Journal) -> Follow:
    return Follow(journal)


def hashes(heights: range, branch: int = 0) -> list[str]:
    return [block_hash(height, branch) for height in heights]


def test_it_begins_at_the_tip(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    assert follow.catch_up() == hashes(range(50, 51))


def test_nothing_new_needs_no_block(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    assert follow.catch_up() == []
    assert len(follow.chain.requests) == 1


def test_a_gap_is_made_up_oldest_first_with_one_request_a_block(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    follow.chain.extend(range(51, 58))
    assert follow.catch_up() == hashes(range(51, 58))
    assert len(follow.chain.requests) == 1 + 7


def test_a_gap_beyond_the_bound_is_skipped_and_counted(journal: Journal) -> None:
    follow = Follow(journal, max_behind=5)
    follow.chain.extend(range(1, 11))
    follow.catch_up()
    follow.chain.extend(range(11, 31))
    assert follow.catch_up() == hashes(range(26, 31))
    assert metric_value(follow.metrics, "blocks_skipped_total") == 15


def test_requesting_the_tip_again_does_not_count_the_same_blocks_twice(journal: Journal) -> None:
    follow = Follow(journal, max_behind=5)
    follow.chain.extend(range(1, 11))
    follow.catch_up()
    follow.chain.extend(range(11, 31))
    follow.follower.request_tip()
    follow.chain.extend(range(31, 32))
    assert follow.catch_up() == hashes(range(27, 32))
    assert metric_value(follow.metrics, "blocks_skipped_total") == 16


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_a_longer_branch_is_followed_back_and_published_upwards(follow: Follow, depth: int) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    fork = 51 - depth
    follow.journal.acknowledge(
        [Record(BLOCKS, block_hash(h), b"", height=h) for h in range(fork - 1, 51)], NOW
    )
    follow.chain.extend(range(fork, 52), branch=1, parent=0)
    assert follow.catch_up() == hashes(range(fork, 52), branch=1)
    assert metric_value(follow.metrics, "reorganisations_total") == 1


def test_a_branch_of_the_same_height_is_followed_too(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    follow.chain.extend(range(50, 51), branch=1, parent=0)
    assert follow.catch_up() == hashes(range(50, 51), branch=1)


def test_a_branch_that_loses_again_is_published_over(follow: Follow) -> None:
    follow.chain.extend(range(1, 50))
    follow.catch_up()
    follow.chain.extend(range(50, 51))
    follow.catch_up()
    follow.chain.extend(range(50, 52), branch=1, parent=0)
    follow.catch_up()
    follow.chain.extend(range(50, 53))
    assert follow.catch_up() == hashes(range(50, 53))
    assert follow.journal.block_hash_at(50) == block_hash(50)


def test_a_backend_that_lags_brings_nothing_new(follow: Follow) -> None:
    follow.chain.extend(range(1, 50))
    follow.catch_up()
    follow.chain.extend(range(50, 51))
    follow.catch_up()
    del follow.chain.main[50]
    assert follow.catch_up() == []


def test_the_position_survives_a_restart(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    follow.chain.extend(range(51, 54))
    follow.restart()
    assert follow.catch_up() == hashes(range(51, 54))


def test_a_source_that_begins_higher_is_followed_from_its_first_block(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    follow.chain.blocks.clear()
    follow.chain.main.clear()
    follow.chain.extend(range(60, 64), branch=9)
    assert follow.catch_up() == hashes(range(60, 64), branch=9)
    assert metric_value(follow.metrics, "blocks_skipped_total") == 9
    assert metric_value(follow.metrics, "reorganisations_total") == 0


def test_a_source_that_begins_lower_is_followed_too(follow: Follow) -> None:
    follow.chain.extend(range(1, 50))
    follow.catch_up()
    follow.chain.extend(range(50, 53))
    follow.catch_up()
    follow.chain.blocks.clear()
    follow.chain.main.clear()
    follow.chain.extend(range(49, 52), branch=9)
    assert follow.catch_up()[-1] == block_hash(51, 9)
    assert follow.journal.last_block() == (51, block_hash(51, 9))


def test_a_parent_that_the_source_does_not_have_is_left_out(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    follow.chain.extend(range(50, 53), branch=1, parent=0)
    del follow.chain.blocks[block_hash(50, 1)]
    assert follow.catch_up() == hashes(range(51, 53), branch=1)
    assert metric_value(follow.metrics, "blocks_skipped_total") == 1


@pytest.mark.parametrize("answers", [1, MAX_UNUSABLE_ANSWERS])
def test_a_parent_that_a_server_does_not_have_yet_is_requested_again(
    follow: Follow, answers: int
) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    follow.chain.extend(range(51, 53))
    later = follow.chain.blocks.pop(block_hash(51))
    del follow.chain.main[51]
    follow.follower.request_tip()
    for _ in range(2 + answers):  # by its height, then its child, then by its hash
        follow.publish_next()
    follow.chain.blocks[later.hash] = later
    assert follow.catch_up() == hashes(range(51, 53))
    assert metric_value(follow.metrics, "blocks_skipped_total") == 0


BAD = [UnreadableResponseError("no block", b"{}"), SourceError("too_large", "70 MB")]


@pytest.mark.parametrize("error", BAD, ids=["unreadable", "too_large"])
def test_a_block_that_is_never_valid_is_left_out(follow: Follow, error: SourceError) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    follow.chain.extend(range(51, 55))
    follow.chain.unusable[block_hash(51)] = error
    assert follow.catch_up() == hashes(range(52, 55))
    assert metric_value(follow.metrics, "blocks_skipped_total") == 1
    by_height, by_hash = (follow.chain.requests.count(name) for name in (51, block_hash(51)))
    assert (by_height, by_hash) == (MAX_UNUSABLE_ANSWERS + 1, MAX_UNUSABLE_ANSWERS + 1)


@pytest.mark.parametrize("error", BAD, ids=["unreadable", "too_large"])
def test_a_tip_that_is_never_valid_is_asked_for_once_a_check(
    follow: Follow, error: SourceError
) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    follow.chain.extend(range(51, 52))
    follow.chain.unusable[block_hash(51)] = error
    follow.check_tip()
    for _ in range(20):
        asked = len(follow.chain.requests)
        follow.check_tip()
        assert len(follow.chain.requests) - asked <= 2
    follow.chain.extend(range(52, 54))
    assert follow.catch_up() == hashes(range(52, 54))


@pytest.mark.parametrize("result", ["timeout", "connection", "http_5xx", "http_429"])
def test_a_failing_source_never_costs_a_block(follow: Follow, result: str) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    follow.chain.extend(range(51, 53))
    follow.chain.unusable[block_hash(51)] = SourceError(result, "no answer")
    follow.follower.request_tip()
    for _ in range(50):
        follow.publish_next()
    follow.chain.unusable.clear()
    assert follow.catch_up() == hashes(range(51, 53))


def test_a_tip_that_vanishes_is_requested_again(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.follower.request_tip()
    gone = follow.chain.blocks.pop(block_hash(50))
    follow.publish_next()
    follow.publish_next()
    follow.chain.blocks[gone.hash] = gone
    assert follow.catch_up() == [gone.hash]


def test_a_block_can_be_requested_again(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.follower.request_tip()
    requested = follow.follower.request_block()
    assert requested is not None
    follow.follower.retry(requested)
    assert follow.follower.behind == 1
    assert follow.follower.request_block() is requested


def test_a_tip_that_is_too_high_for_once_costs_no_block(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.catch_up()
    follow.chain.main[1_000_000] = block(1_000_000)
    follow.follower.request_tip()
    del follow.chain.main[1_000_000]
    for _ in range(2):
        follow.publish_next()
    follow.chain.extend(range(51, 55))
    assert follow.catch_up() == hashes(range(51, 55))
