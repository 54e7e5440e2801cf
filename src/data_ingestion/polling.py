"""The polling loop: which request comes next, and what happens with its answer.

One request in every few is for the newest block. While there are blocks to publish, every second of
the others is for a block. The rest are for unconfirmed transactions.
"""

import logging
from pathlib import Path

from data_ingestion.blockchain_client import (
    BlockchainClient,
    BlockNotFoundError,
    RawBlock,
    SourceError,
    UnreadableResponseError,
)
from data_ingestion.chain_follower import ChainFollower
from data_ingestion.clock import Clock
from data_ingestion.publishing import Publisher, UnusableBlockError
from data_ingestion.source_health import SourceHealth
from monitoring.producer_metrics import ProducerMetrics

log = logging.getLogger(__name__)

_BLOCK_ATTEMPTS = 5
"""How often a mostly unusable block is requested before its items become dead letters."""

_KEPT_RESPONSES = 10
_KEPT_BYTES = 1_000_000
_SAMPLE_ITEMS = 100


class Poller:
    """Makes one request after another and publishes the answers.

    One request in `tip_every` is for the newest block. Responses that cannot be read are kept in
    `unreadable_folder`.
    """

    def __init__(
        self,
        client: BlockchainClient,
        follower: ChainFollower,
        publisher: Publisher,
        health: SourceHealth,
        unreadable_folder: Path,
        clock: Clock,
        metrics: ProducerMetrics,
        tip_every: int,
    ) -> None:
        self._client = client
        self._follower = follower
        self._publisher = publisher
        self._health = health
        self._unreadable_folder = unreadable_folder
        self._clock = clock
        self._metrics = metrics
        self._tip_every = tip_every
        self._requests_since_tip = tip_every
        self._block_is_next = True
        self._block_attempts = 0

    def run(self) -> None:
        """Deliver what the last process held, then poll until `StoppedError` is raised."""
        self._publisher.deliver_held()
        while True:
            self.step()

    def step(self) -> None:
        """Make one request and publish what it returns."""
        try:
            self._request()
        except BlockNotFoundError as error:
            self._health.answered()
            log.warning("event=block_not_found reason=%s", error)
        except SourceError as error:
            self._failed(error)
        else:
            self._health.answered()
        self._metrics.blocks_behind.set(self._follower.behind)

    def _request(self) -> None:
        self._requests_since_tip += 1
        behind = self._follower.behind > 0
        if self._requests_since_tip > self._tip_every:
            self._follower.request_tip()
            self._requests_since_tip = 0
        elif behind and self._block_is_next:
            self._block_is_next = False
            self._publish_block()
        else:
            self._block_is_next = True
            self._publisher.publish_page(self._client.unconfirmed())

    def _publish_block(self) -> None:
        raw = self._follower.request_block()
        if raw is None:
            return
        try:
            self._publisher.publish_block(
                raw, accept_unusable=self._block_attempts >= _BLOCK_ATTEMPTS
            )
        except UnusableBlockError as error:
            self._block_attempts += 1
            self._follower.retry(raw)
            raise _unreadable(raw, error) from error
        self._block_attempts = 0
        log.info("event=block_published height=%d transactions=%d", raw.height, len(raw.tx))

    def _failed(self, error: SourceError) -> None:
        self._health.failed(error.result, str(error))
        if isinstance(error, UnreadableResponseError):
            self._metrics.unreadable_pages.inc()
            path = keep_response(self._unreadable_folder, error.body, self._clock.time())
            log.warning("event=response_unreadable file=%s reason=%s", path, error)
        else:
            log.info("event=request_failed result=%s reason=%s", error.result, error)


def _unreadable(raw: RawBlock, error: Exception) -> UnreadableResponseError:
    sample = b"\n".join(bytes(item) for item in raw.tx[:_SAMPLE_ITEMS])
    return UnreadableResponseError(f"block {raw.hash}: {error}", sample)


def keep_response(folder: Path, body: bytes, now: float) -> Path:
    """Write the beginning of a response for diagnosis; returns its file, named by its Unix time.

    The folder never holds more than ten files of a megabyte: the oldest are deleted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:017.3f}.json"
    path.write_bytes(body[:_KEPT_BYTES])
    for old in sorted(folder.glob("*.json"))[:-_KEPT_RESPONSES]:
        old.unlink()
    return path
