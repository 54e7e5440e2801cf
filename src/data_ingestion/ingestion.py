"""The loop of ingestion: which request comes next, and what becomes of its answer.

One request in a few asks for the tip. While there are blocks to fetch, every second of the others
fetches one; the rest ask for unconfirmed transactions.
"""

import logging

from pydantic import ValidationError

from data_ingestion.blockchain_client import (
    BlockchainClient,
    NotThereError,
    SourceError,
    UnreadablePageError,
)
from data_ingestion.clock import Clock
from data_ingestion.following import BlockFollower
from data_ingestion.pages import UnreadablePages
from data_ingestion.publishing import Publisher, UnusableBlockError
from data_ingestion.raw_json import RawBlock
from data_ingestion.source_state import SourceState
from monitoring.producer_metrics import ProducerMetrics

log = logging.getLogger(__name__)

_BLOCK_ATTEMPTS = 5
"""So often a block that is mostly unusable is asked for before its items become dead letters."""


class Ingestion:
    """Everything between the source and the broker; `tip_every` is in requests."""

    def __init__(
        self,
        client: BlockchainClient,
        follower: BlockFollower,
        publisher: Publisher,
        pages: UnreadablePages,
        source: SourceState,
        clock: Clock,
        metrics: ProducerMetrics,
        tip_every: int,
    ) -> None:
        self._client = client
        self._follower = follower
        self._publisher = publisher
        self._pages = pages
        self._source = source
        self._clock = clock
        self._metrics = metrics
        self._tip_every = tip_every
        self._requests_since_tip = tip_every
        self._block_is_next = True
        self._attempts = 0

    def run(self) -> None:
        """Work until told to stop: ends by `StoppedError`."""
        self._publisher.resume()
        while True:
            self.step()

    def step(self) -> None:
        """Make one request and publish what it brings."""
        try:
            self._request()
        except NotThereError as error:
            self._source.answered()
            log.warning("source %s", error)
        except SourceError as error:
            self._failed(error)
        else:
            self._source.answered()
        self._metrics.blocks_behind.set(self._follower.behind)

    def _request(self) -> None:
        self._requests_since_tip += 1
        behind = self._follower.behind > 0
        if self._requests_since_tip > self._tip_every:
            self._follower.look()
            self._requests_since_tip = 0
        elif behind and self._block_is_next:
            self._block_is_next = False
            self._block()
        else:
            self._block_is_next = True
            self._publisher.page(self._client.unconfirmed())

    def _block(self) -> None:
        raw = self._follower.fetch()
        if raw is None:
            return
        try:
            self._publisher.block(raw, unusable_too=self._attempts >= _BLOCK_ATTEMPTS)
        except (UnusableBlockError, ValidationError) as error:
            self._attempts += 1
            self._follower.again(raw)
            raise _unreadable(raw, error) from error
        self._attempts = 0
        log.info("block published height=%d transactions=%d", raw.height, len(raw.tx))

    def _failed(self, error: SourceError) -> None:
        self._source.failed(str(error))
        if isinstance(error, UnreadablePageError):
            self._metrics.unreadable_pages.inc()
            path = self._pages.keep(error.body, self._clock.time())
            log.warning("page unreadable kept=%s: %s", path, error)
        else:
            log.info("source failed result=%s: %s", error.result, error)


def _unreadable(raw: RawBlock, error: Exception) -> UnreadablePageError:
    sample = b"\n".join(bytes(item) for item in raw.tx[:100])
    return UnreadablePageError(f"block {raw.hash}: {error}", sample)
