"""Following the chain: which block to ask for next, one request at a time.

Blocks are asked for oldest first, by height, from the one after the cursor. Each must name the
block below it as its parent; where it does not, another branch has won and its blocks are followed
back, parent by parent, to the one that was published, then published upwards. At one height the
block published last counts.
"""

import logging

from data_ingestion.blockchain_client import BlockchainClient, NotThereError
from data_ingestion.journal import Journal
from data_ingestion.raw_json import RawBlock, Tip
from monitoring.producer_metrics import ProducerMetrics

log = logging.getLogger(__name__)


class BlockFollower:
    """Finds the blocks between the journal's cursor and the tip of the source.

    After a stop at most `most_behind` blocks are made up; those below are skipped and counted.
    """

    def __init__(
        self, client: BlockchainClient, journal: Journal, most_behind: int, metrics: ProducerMetrics
    ) -> None:
        self._client = client
        self._journal = journal
        self._most_behind = most_behind
        self._metrics = metrics
        self._tip: Tip | None = None
        self._branch: list[tuple[int, str]] = []
        self._first_kept = 0
        self._root: str | None = None

    @property
    def behind(self) -> int:
        """Blocks that are still to be fetched."""
        if self._branch:
            return len(self._branch)
        known = self._journal.tip()
        if self._tip is None:
            return 0
        return 1 if known is None else max(self._tip.height - known[0], 0)

    def look(self) -> None:
        """Ask for the tip, with one request; raises `SourceError`."""
        self._tip = tip = self._client.latest_block()
        known = self._journal.tip()
        if known is not None and not self._branch:
            if tip.height <= known[0] and self._journal.block_at(tip.height) != tip.hash:
                self._branch = [(tip.height, tip.hash)]
            self._keep_from(tip.height - self._most_behind + 1)

    def _keep_from(self, height: int) -> None:
        """Give up the blocks below this height that were not published yet."""
        skipped = height - self._next_height()
        if skipped > 0:
            self._first_kept = height
            self._metrics.blocks_skipped.inc(skipped)
            log.warning("blocks skipped count=%d first_kept=%d", skipped, height)

    def _next_height(self) -> int:
        known = self._journal.tip()
        return max(known[0] + 1, self._first_kept) if known else 0

    def fetch(self) -> RawBlock | None:
        """The next block to publish, or None where its branch has first to be followed back.

        Makes one request; raises `SourceError`.
        """
        try:
            block = self._client.block(self._reference())
        except NotThereError:
            self._give_up()
            raise
        if self._branch and self._branch[-1][1] == block.hash:
            self._branch.pop()
        if self._linked(block):
            return block
        self._branch += [(block.height, block.hash), (block.height - 1, block.prev_block)]
        return None

    def again(self, block: RawBlock) -> None:
        """Ask for the same block once more."""
        self._branch.append((block.height, block.hash))

    def _reference(self) -> str | int:
        if self._branch:
            return self._branch[-1][1]
        assert self._tip is not None
        return self._next_height() or self._tip.hash

    def _linked(self, block: RawBlock) -> bool:
        """Whether the block below is its parent, or lies where nothing is to be published."""
        below = self._journal.block_at(block.height - 1)
        known = self._journal.tip()
        if known is None or below == block.prev_block or block.hash == self._root:
            return True
        if below is None and block.height <= self._next_height():
            return True
        if below is not None and not self._branch:
            self._metrics.reorganisations.inc()
            log.warning("reorganisation height=%d hash=%s", block.height, block.hash)
        return len(self._branch) >= self._most_behind

    def _give_up(self) -> None:
        """What to do about a block that the source does not know.

        A missing parent is left out and its child published without it. A missing height is looked
        for from the tip down. A missing tip is asked for anew.
        """
        if len(self._branch) > 1:
            height, missing = self._branch.pop()
            self._root = self._branch[-1][1]
            log.warning("block unknown to the source height=%d hash=%s", height, missing)
            self._metrics.blocks_skipped.inc(max(height - self._next_height() + 1, 1))
        elif not self._branch and self._tip is not None:
            self._branch = [(self._tip.height, self._tip.hash)]
        else:
            self._branch, self._tip = [], None
