"""The producer put together from its parts, on a thread of its own."""

import logging
import random
from pathlib import Path
from threading import Event, Thread

from core.settings import KafkaSettings, ProducerSettings, SourceSettings
from data_ingestion.blockchain_client import BlockchainClient, Timeouts
from data_ingestion.budget import RequestBudget
from data_ingestion.clock import StoppedError, SystemClock
from data_ingestion.delivery import KafkaDelivery
from data_ingestion.following import BlockFollower
from data_ingestion.ingestion import Ingestion
from data_ingestion.journal import Journal
from data_ingestion.pages import UnreadablePages
from data_ingestion.publishing import Publisher
from data_ingestion.source_state import SourceState
from data_ingestion.status import StatusServer
from monitoring.producer_metrics import ProducerMetrics

log = logging.getLogger(__name__)

_LAST_SECONDS = 1.0
_WATCH_SECONDS = 1.0


class Producer:
    """Ingests from `start` until `stop` is set; `folder` is where its journal lies.

    A signal only sets `stop`: what is on the thread's hands is never cut in the middle.
    """

    def __init__(
        self,
        source: SourceSettings,
        settings: ProducerSettings,
        kafka: KafkaSettings,
        folder: Path,
        stop: Event,
        metrics: ProducerMetrics,
    ) -> None:
        clock = SystemClock(stop)
        self._stop, self._grace = stop, settings.grace_seconds
        self._failed = False
        self._journal = journal = Journal(folder / "journal.sqlite", settings.memory_days)
        budget = RequestBudget(
            source.request_interval_seconds,
            source.backoff_max_seconds,
            clock,
            journal,
            random.random,
        )
        timeouts = Timeouts(source.request_timeout_seconds, source.block_timeout_seconds)
        self._client = BlockchainClient(source.blockchain_api_url, timeouts, budget, clock, metrics)
        self._delivery = KafkaDelivery(
            kafka.bootstrap_servers, kafka.kafka_partitions, self._grace, clock, metrics
        )
        state = SourceState(source.silent_after_seconds, clock, metrics)
        self._ingestion = Ingestion(
            self._client,
            BlockFollower(self._client, journal, settings.max_blocks_behind, metrics),
            Publisher(journal, self._delivery, clock, metrics),
            UnreadablePages(folder / "unreadable"),
            state,
            clock,
            metrics,
            settings.tip_check_requests,
        )
        self._source = state
        self._status = StatusServer(metrics.registry, state)
        self._thread = Thread(target=self._run, name="ingestion", daemon=True)

    def start(self, address: str, port: int) -> None:
        """Serve the status and begin; raises `OSError` when the port is taken."""
        self._status.start(address, port)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._delivery.connect()
            self._ingestion.run()
        except StoppedError:
            log.info("stopped")
        except Exception:
            log.exception("ingestion failed")
            self._failed = True
        finally:
            self._stop.set()

    def watch(self) -> None:
        """Tell of a silent source, until `stop` is set."""
        while not self._stop.wait(_WATCH_SECONDS):
            self._source.tell()

    def end(self) -> int:
        """Wait for the thread within the grace; returns the process's exit status.

        A thread that still reads from the source has nothing on its way to the broker.
        """
        self._thread.join(self._grace + _LAST_SECONDS)
        self._status.stop()
        if not self._thread.is_alive():
            self._delivery.close()
            self._client.close()
            self._journal.close()
        return int(self._failed)
