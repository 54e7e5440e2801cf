"""Which block to request next, so that no block of the chain is left out.

Blocks are requested by height, oldest first, from the one after the last that was published. Each
must name the block below it as its parent. If it does not, another branch has won (a
reorganisation): its blocks are requested parent by parent, down to a block that was published, and
then published upwards. At one height the block published last counts.
"""

import logging

from data_ingestion.blockchain_client import BlockchainClient, RawBlock, SourceError, Tip
from data_ingestion.journal import Journal
from monitoring.producer_metrics import ProducerMetrics

log = logging.getLogger(__name__)

MAX_UNUSABLE_ANSWERS = 5
"""How often a block is requested again that the source answers, but never as a valid block.

So often a missing parent too: of several servers behind one address some know a block later.
"""

_UNUSABLE = ("unreadable", "too_large", "not_found")


class ChainFollower:
    """Requests the blocks between the last one published and the newest one of the source.

    At most `max_behind` blocks are fetched after a stop; older ones are skipped and counted.
    """

    def __init__(
        self, client: BlockchainClient, journal: Journal, max_behind: int, metrics: ProducerMetrics
    ) -> None:
        self._client = client
        self._journal = journal
        self._max_behind = max_behind
        self._metrics = metrics
        self._tip: Tip | None = None
        self._branch: list[tuple[int, str]] = []
        """Height and hash of the blocks to request by hash; the last one comes next."""
        self._unusable_answers = 0
        """Answers in a row that were no valid block."""
        self._first_kept = 0
        """Blocks below this height are skipped."""
        self._branch_root: str | None = None
        """Hash of the block to publish although its parent is missing."""

    @property
    def behind(self) -> int:
        """Number of blocks that are still to be published."""
        if self._branch:
            return len(self._branch)
        published = self._journal.last_block()
        if self._tip is None:
            return 0
        return 1 if published is None else max(self._tip.height - published[0], 0)

    def request_tip(self) -> None:
        """Learn the newest block, with one request; raises `SourceError`."""
        self._tip = tip = self._client.latest_block()
        published = self._journal.last_block()
        if published is not None and not self._branch:
            if tip.height <= published[0] and self._journal.block_hash_at(tip.height) != tip.hash:
                self._branch = [(tip.height, tip.hash)]
            self._skip_below(tip.height - self._max_behind + 1)

    def _skip_below(self, height: int) -> None:
        if self._tip is not None and self._tip.height < self._first_kept:
            self._first_kept = 0  # a tip was of another chain
        skipped = height - self._next_height()
        if skipped > 0:
            self._first_kept = height
            self._metrics.blocks_skipped.inc(skipped)
            log.warning("event=blocks_skipped count=%d first_kept_height=%d", skipped, height)

    def _next_height(self) -> int:
        """The height to request next; 0 before the first block is published."""
        published = self._journal.last_block()
        return max(published[0] + 1, self._first_kept) if published else 0

    def request_block(self) -> RawBlock | None:
        """The next block to publish, or None if the blocks below it have to be requested first.

        Makes one request; raises `SourceError`.
        """
        try:
            block = self._client.block(self._next_reference())
        except SourceError as error:
            if self._is_given_up(error.result):
                self._handle_missing_block()
            raise
        self._unusable_answers = 0
        if self._branch and self._branch[-1][1] == block.hash:
            self._branch.pop()
        if self._can_be_published(block):
            return block
        self._branch += [(block.height, block.hash), (block.height - 1, block.prev_block)]
        return None

    def _is_given_up(self, result: str) -> bool:
        """Whether to go on without a block: the source does not have it, or never a usable one."""
        self._unusable_answers += result in _UNUSABLE
        is_parent = len(self._branch) > 1
        if result == "not_found" and not is_parent:
            return True  # nothing is left out: the chain is followed from the tip
        return self._unusable_answers > MAX_UNUSABLE_ANSWERS

    def retry(self, block: RawBlock) -> None:
        """Request this block once more."""
        self._branch.append((block.height, block.hash))

    def _next_reference(self) -> str | int:
        """Hash or height of the block to request next."""
        if self._branch:
            return self._branch[-1][1]
        assert self._tip is not None
        return self._next_height() or self._tip.hash

    def _can_be_published(self, block: RawBlock) -> bool:
        """Whether the block below is its parent, or is not to be published."""
        below = self._journal.block_hash_at(block.height - 1)
        nothing_published = self._journal.last_block() is None
        if nothing_published or below == block.prev_block or block.hash == self._branch_root:
            return True
        if below is None and block.height <= self._next_height():
            return True
        if below is not None and not self._branch:
            self._metrics.reorganisations.inc()
            log.warning("event=reorganisation height=%d hash=%s", block.height, block.hash)
        return len(self._branch) >= self._max_behind

    def _handle_missing_block(self) -> None:
        """Decide what to request instead of a block that the source cannot give.

        A missing parent is skipped and its child published without it. For a missing height, the
        chain is followed from the tip down. A missing tip is requested again.
        """
        if len(self._branch) > 1:
            height, missing = self._branch.pop()
            self._branch_root = self._branch[-1][1]
            log.warning("event=parent_block_missing height=%d hash=%s", height, missing)
            self._metrics.blocks_skipped.inc(max(height - self._next_height() + 1, 1))
        elif not self._branch and self._tip is not None:
            self._branch = [(self._tip.height, self._tip.hash)]
        else:
            self._branch, self._tip = [], None
