"""Following the chain over gaps, reorganisations and blocks that are gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.data_ingestion.samples import NOW, block, block_hash, value

from core.topics import BLOCKS
from data_ingestion.blockchain_client import NotThereError
from data_ingestion.following import BlockFollower
from data_ingestion.journal import Journal
from data_ingestion.raw_json import RawBlock, Tip
from data_ingestion.records import Record
from monitoring.producer_metrics import ProducerMetrics


class FakeChain:
    """A source that knows some blocks and counts how often it is asked."""

    def __init__(self) -> None:
        self.known: dict[str, RawBlock] = {}
        self.main: dict[int, RawBlock] = {}
        self.asked: list[str | int] = []

    def extend(self, heights: range, branch: int = 0, parent: int | None = None) -> None:
        for height in heights:
            below = branch if parent is None or height != heights.start else parent
            made = block(height, branch=branch, parent=below)
            self.known[made.hash] = self.main[height] = made

    def latest_block(self) -> Tip:
        newest = self.main[max(self.main)]
        return Tip(newest.hash, newest.height)

    def block(self, reference: str | int) -> RawBlock:
        self.asked.append(reference)
        found = self.main.get(reference) if isinstance(reference, int) else None
        found = found or self.known.get(str(reference))
        if found is None:
            raise NotThereError("not_found", str(reference))
        return found


class Follow:
    """A follower whose blocks are published at once."""

    def __init__(self, journal: Journal, most_behind: int = 100) -> None:
        self.chain = FakeChain()
        self.journal = journal
        self.metrics = ProducerMetrics(CollectorRegistry())
        self.published: list[str] = []
        self.restart(most_behind)

    def restart(self, most_behind: int = 100) -> None:
        client = self.chain
        self.follower = BlockFollower(client, self.journal, most_behind, self.metrics)  # type: ignore[arg-type]

    def look_and_fetch(self) -> list[str]:
        """Look once, then publish until nothing is behind; the hashes in their order."""
        before = len(self.published)
        self.follower.look()
        for _ in range(1_000):
            if not self.follower.behind:
                return self.published[before:]
            self.fetch()
        raise AssertionError("never catches up")

    def fetch(self) -> None:
        try:
            found = self.follower.fetch()
        except NotThereError:
            if not self.follower.behind:
                self.follower.look()
            return
        if found is not None:
            record = Record(BLOCKS, found.hash, b"", height=found.height)
            self.journal.settle([record], NOW)
            self.published.append(found.hash)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.sqlite", days=14)
    yield opened
    opened.close()


@pytest.fixture
def follow(journal: Journal) -> Follow:
    return Follow(journal)


def hashes(heights: range, branch: int = 0) -> list[str]:
    return [block_hash(height, branch) for height in heights]


def test_it_begins_at_the_tip(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    assert follow.look_and_fetch() == hashes(range(50, 51))


def test_nothing_new_needs_no_block(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.look_and_fetch()
    assert follow.look_and_fetch() == []
    assert len(follow.chain.asked) == 1


def test_a_gap_is_made_up_oldest_first_with_one_request_a_block(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.look_and_fetch()
    follow.chain.extend(range(51, 58))
    assert follow.look_and_fetch() == hashes(range(51, 58))
    assert len(follow.chain.asked) == 1 + 7


def test_a_gap_beyond_the_bound_is_skipped_and_counted(journal: Journal) -> None:
    follow = Follow(journal, most_behind=5)
    follow.chain.extend(range(1, 11))
    follow.look_and_fetch()
    follow.chain.extend(range(11, 31))
    assert follow.look_and_fetch() == hashes(range(26, 31))
    assert value(follow.metrics, "blocks_skipped_total") == 15


def test_looking_again_does_not_count_the_same_blocks_twice(journal: Journal) -> None:
    follow = Follow(journal, most_behind=5)
    follow.chain.extend(range(1, 11))
    follow.look_and_fetch()
    follow.chain.extend(range(11, 31))
    follow.follower.look()
    follow.chain.extend(range(31, 32))
    assert follow.look_and_fetch() == hashes(range(27, 32))
    assert value(follow.metrics, "blocks_skipped_total") == 16


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_a_longer_branch_is_followed_back_and_published_upwards(follow: Follow, depth: int) -> None:
    follow.chain.extend(range(1, 51))
    follow.look_and_fetch()
    fork = 51 - depth
    follow.journal.settle(
        [Record(BLOCKS, block_hash(h), b"", height=h) for h in range(fork - 1, 51)], NOW
    )
    follow.chain.extend(range(fork, 52), branch=1, parent=0)
    assert follow.look_and_fetch() == hashes(range(fork, 52), branch=1)
    assert value(follow.metrics, "reorganisations_total") == 1


def test_a_branch_of_the_same_height_is_followed_too(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.look_and_fetch()
    follow.chain.extend(range(50, 51), branch=1, parent=0)
    assert follow.look_and_fetch() == hashes(range(50, 51), branch=1)


def test_a_branch_that_loses_again_is_published_over(follow: Follow) -> None:
    follow.chain.extend(range(1, 50))
    follow.look_and_fetch()
    follow.chain.extend(range(50, 51))
    follow.look_and_fetch()
    follow.chain.extend(range(50, 52), branch=1, parent=0)
    follow.look_and_fetch()
    follow.chain.extend(range(50, 53))
    assert follow.look_and_fetch() == hashes(range(50, 53))
    assert follow.journal.block_at(50) == block_hash(50)


def test_a_backend_that_lags_brings_nothing_new(follow: Follow) -> None:
    follow.chain.extend(range(1, 50))
    follow.look_and_fetch()
    follow.chain.extend(range(50, 51))
    follow.look_and_fetch()
    del follow.chain.main[50]
    assert follow.look_and_fetch() == []


def test_the_place_survives_a_restart(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.look_and_fetch()
    follow.chain.extend(range(51, 54))
    follow.restart()
    assert follow.look_and_fetch() == hashes(range(51, 54))


def test_a_source_that_begins_higher_is_followed_from_its_first_block(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.look_and_fetch()
    follow.chain.known.clear()
    follow.chain.main.clear()
    follow.chain.extend(range(60, 64), branch=9)
    assert follow.look_and_fetch() == hashes(range(60, 64), branch=9)
    assert value(follow.metrics, "blocks_skipped_total") == 9
    assert value(follow.metrics, "reorganisations_total") == 0


def test_a_source_that_begins_lower_is_followed_too(follow: Follow) -> None:
    follow.chain.extend(range(1, 50))
    follow.look_and_fetch()
    follow.chain.extend(range(50, 53))
    follow.look_and_fetch()
    follow.chain.known.clear()
    follow.chain.main.clear()
    follow.chain.extend(range(49, 52), branch=9)
    assert follow.look_and_fetch()[-1] == block_hash(51, 9)
    assert follow.journal.tip() == (51, block_hash(51, 9))


def test_a_parent_that_the_source_does_not_know_is_left_out(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.look_and_fetch()
    follow.chain.extend(range(50, 53), branch=1, parent=0)
    del follow.chain.known[block_hash(50, 1)]
    assert follow.look_and_fetch() == hashes(range(51, 53), branch=1)
    assert value(follow.metrics, "blocks_skipped_total") == 1


def test_a_tip_that_vanishes_is_asked_for_anew(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.follower.look()
    gone = follow.chain.known.pop(block_hash(50))
    follow.fetch()
    follow.fetch()
    follow.chain.known[gone.hash] = gone
    assert follow.look_and_fetch() == [gone.hash]


def test_a_block_can_be_asked_for_again(follow: Follow) -> None:
    follow.chain.extend(range(1, 51))
    follow.follower.look()
    found = follow.follower.fetch()
    assert found is not None
    follow.follower.again(found)
    assert follow.follower.behind == 1
    assert follow.follower.fetch() is found
