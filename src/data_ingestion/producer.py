"""The producer: connects the parts of ingestion and runs them on a thread."""

import logging
import random
import sqlite3
import time
from pathlib import Path
from threading import Event, Thread

from core.settings import KafkaSettings, ProducerSettings, SourceSettings
from data_ingestion.blockchain_client import BlockchainClient
from data_ingestion.chain_follower import ChainFollower
from data_ingestion.clock import StoppedError, SystemClock
from data_ingestion.journal import is_damage, open_journal, set_aside
from data_ingestion.kafka_delivery import KafkaDelivery
from data_ingestion.polling import Poller
from data_ingestion.publishing import Publisher
from data_ingestion.request_budget import RequestBudget
from data_ingestion.source_health import HealthServer, SourceHealth
from monitoring.producer_metrics import ProducerMetrics

log = logging.getLogger(__name__)

_JOIN_EXTRA_SECONDS = 1.0
_HEALTH_CHECK_SECONDS = 1.0


class Producer:
    """Ingests from `start` until `stop` is set; `folder` holds its journal.

    A signal handler only sets `stop`: the thread finishes what it has begun.
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
        self._journal_path = folder / "journal.sqlite"
        self._journal = journal = open_journal(
            self._journal_path, settings.memory_days, clock.time()
        )
        budget = RequestBudget(
            source.request_interval_seconds,
            source.backoff_max_seconds,
            clock,
            journal,
            random.random,
        )
        self._client = BlockchainClient(source, budget, clock, metrics)
        self._delivery = KafkaDelivery(
            kafka.bootstrap_servers,
            kafka.kafka_partitions,
            self._grace,
            clock,
            metrics,
            kafka.kafka_replication,
        )
        self._health = SourceHealth(source.silent_after_seconds, clock, metrics)
        self._poller = Poller(
            self._client,
            ChainFollower(self._client, journal, settings.max_blocks_behind, metrics),
            Publisher(journal, self._delivery, clock, metrics),
            self._health,
            folder / "unreadable",
            clock,
            metrics,
            settings.tip_check_requests,
        )
        self._server = HealthServer(metrics.registry, self._health)
        self._thread = Thread(target=self._ingest, name="ingestion", daemon=True)

    def start(self, address: str, port: int) -> None:
        """Answer HTTP and start the thread; raises `OSError` if the port is taken."""
        self._server.start(address, port)
        self._thread.start()

    def _ingest(self) -> None:
        try:
            self._delivery.connect()
            self._poller.run()
        except StoppedError:
            log.info("event=producer_stopped")
        except sqlite3.DatabaseError as error:
            self._failed = True
            if not is_damage(error):
                log.error("event=ingestion_failed reason=the journal cannot be used: %s", error)
                return
            self._journal.close()
            set_aside(self._journal_path, time.time(), str(error))
        except Exception:
            log.exception("event=ingestion_failed")
            self._failed = True
        finally:
            self._stop.set()

    def wait(self) -> None:
        """Wait until `stop` is set; meanwhile, log a silent source."""
        while not self._stop.wait(_HEALTH_CHECK_SECONDS):
            self._health.log_silence()

    def shut_down(self) -> int:
        """Wait for the thread for as long as the grace; returns the exit status of the process.

        A thread that is still alive then reads from the source: it holds nothing for the broker.
        """
        self._thread.join(self._grace + _JOIN_EXTRA_SECONDS)
        self._server.stop()
        if not self._thread.is_alive():
            self._delivery.close()
            self._client.close()
            self._journal.close()
        return int(self._failed)
