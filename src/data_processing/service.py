"""The stream as a process: connects its parts, runs until a signal, reports how it ended."""

import logging
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from kafka.errors import KafkaError
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from core.casework import CaseworkStore
from core.mutes import MutesReader
from core.registry.follower import ChampionFollower
from core.settings import DataSettings, KafkaSettings, StreamSettings
from core.topics import ensure_topics
from core.watch_list import WatchListInForce
from data_processing import writer_lock
from data_processing.chores import Chore
from data_processing.chores.address_summing import AddressDays
from data_processing.chores.announcements import Announcements
from data_processing.chores.backlog import Backlog
from data_processing.chores.housekeeping import Housekeeping
from data_processing.chores.outbox import Outbox
from data_processing.chores.replacements import Replacements
from data_processing.chores.webhook import Webhook
from data_processing.chores.window_statistics import WindowStatistics
from data_processing.lake_claim import LakeClaim
from data_processing.lake_recovery import delete_unbacked_scores, repair_logs, restore_movements
from data_processing.lake_tables import LakeTables, create_tables
from data_processing.last_spenders import LastSpenders
from data_processing.micro_batch import MicroBatchWriter
from data_processing.query import StreamQuery
from data_processing.seen_transactions import SeenTransactions
from data_processing.session import start_session
from data_processing.start_offsets import TOPICS, SourceSettings, source_settings
from data_processing.stream_checkpoint import stream_folder
from data_processing.telemetry import bind_gauges
from data_processing.topic_checks import TopicGuard, check_append_times
from data_processing.waiting_records import WaitingRecords
from data_processing.watch_matching import WatchMatching
from data_processing.worker_scoring import ChampionBroadcast
from monitoring.prometheus_metrics import new_registry, serve
from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)

_RETRY_SECONDS, _REMIND_SECONDS = 2.0, 60.0
_JAVA_CAUSE = re.compile(r"^Caused by: (?:[\w.$]+\.)?(\w+(?:Exception|Error)\b.*)$", re.MULTILINE)
_PYTHON_CAUSE = re.compile(
    r"^.*Traceback \(most recent call last\):\n(?:[ \t].*\n)+(?:\w+\.)*(\w+.*)$", re.MULTILINE
)
_FROM_PYTHON = "Py4JException: An exception was raised by the Python Proxy"
_MAX_REASON = 400


@dataclass(frozen=True)
class StreamConfig:
    """The settings of the stream; `lock_seconds` is how long it waits for another writer to end."""

    stream: StreamSettings
    data: DataSettings
    kafka: KafkaSettings
    lock_seconds: float = 20.0


def run(config: StreamConfig, address: str, follower: ChampionFollower) -> int:
    """Run until SIGTERM, SIGINT or a failure; return the exit code, 0 after a signal.

    The metrics and the Spark UI listen on `address`.
    """
    stop = threading.Event()
    with _hidden_from_child_processes(signal.SIGTERM):
        spark = start_session(config.stream, address, config.data.lake)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    metrics = StreamMetrics(new_registry("stream"))
    try:
        serve(metrics.registry, address, config.stream.stream_metrics_port)
        follower.loop.on_turn = metrics.turn_recorder(follower.loop.name)
        follower.start()
        if wait_for_topics(config.kafka, stop):
            check_append_times(config.kafka.bootstrap_servers, TOPICS)
            claim = LakeClaim(config.data.lake, config.data.data_origin, config.data.data_dir)
            tables = _open_lake(spark, config, claim)
            query = _build_query(tables, config, follower, metrics, stop, claim)
            source = source_settings(tables, config.kafka.bootstrap_servers, config.data.data_dir)
            _count_what_waits(config.kafka, source, metrics)
            query.run(source, config.stream)
    except Exception as error:  # any error at all must be the last line of the log
        if not stop.is_set():
            with suppress(Py4JError):  # Java may have ended; its traces would follow that line
                spark.sparkContext.setLogLevel("OFF")
            log.critical("event=stream_failed reason=%s", failure_reason(error))
            return 1
        # A micro-batch was interrupted: the next start reads its records again.
        log.warning("event=stream_interrupted reason=%s", failure_reason(error))
    log.info("event=stream_stopped reason=requested")
    return 0


@contextmanager
def _hidden_from_child_processes(number: signal.Signals) -> Iterator[None]:
    """Processes started in this block, and their children, ignore a signal; this one gets it later.

    A signal to the whole process group would end Java and the workers within a micro-batch.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


def wait_for_topics(kafka: KafkaSettings, stop: threading.Event) -> bool:
    """Create the missing topics as soon as a broker answers; False when stopped before that."""
    reminded = -_REMIND_SECONDS
    while not stop.is_set():
        try:
            ensure_topics(kafka.bootstrap_servers, kafka.kafka_partitions, kafka.kafka_replication)
            return True
        except KafkaError as error:
            if time.monotonic() - reminded >= _REMIND_SECONDS:
                reminded = time.monotonic()
                log.info(
                    "event=waiting_for_kafka servers=%s reason=%s", kafka.bootstrap_servers, error
                )
        stop.wait(_RETRY_SECONDS)
    return False


def _open_lake(spark: SparkSession, config: StreamConfig, claim: LakeClaim) -> LakeTables:
    """Take the writer's lock and the claim, repair the tables' logs, and create the missing tables.

    Raises `SecondWriterError`, `LogDamagedError`, `OriginMismatchError` and `ProtocolError`.
    """
    lake, origin = config.data.lake, config.data.data_origin
    lock = writer_lock.lock_path(lake, config.data.data_dir)
    writer_lock.acquire(spark, lock, config.lock_seconds)
    claim.acquire(config.lock_seconds)
    repair_logs(lake, config.data.data_dir)
    create_tables(lake, origin, config.stream.vacuum_after_hours)
    tables = LakeTables(spark, lake, origin)
    delete_unbacked_scores(tables)
    restore_movements(tables)
    return tables


def _build_query(
    tables: LakeTables,
    config: StreamConfig,
    follower: ChampionFollower,
    metrics: StreamMetrics,
    stop: threading.Event,
    claim: LakeClaim,
) -> StreamQuery:
    seen = SeenTransactions(tables, stream_folder(config.data.data_dir) / "known_keys")
    champion = ChampionBroadcast(tables.spark.sparkContext, lambda: follower.current)
    spenders = LastSpenders()
    watch = _follow_watch_list(tables, config, metrics)
    writer = MicroBatchWriter(tables, seen, champion, spenders, watch)
    bind_gauges(metrics, lambda: follower.current, seen.keys, writer.rates, tables.lake)
    announcements, *chores = _build_chores(tables, config, champion, seen, spenders, metrics)
    guard = TopicGuard(config.kafka.bootstrap_servers, TOPICS, stop)
    return StreamQuery(tables.spark, writer, announcements, chores, metrics, stop, guard, claim)


def _follow_watch_list(
    tables: LakeTables, config: StreamConfig, metrics: StreamMetrics
) -> WatchMatching:
    """Read the list before the first micro-batch, and follow its changes from then on."""
    store = CaseworkStore(config.data.casework, config.data.data_origin)
    watch = WatchMatching(tables, WatchListInForce(store))
    watch.loop.on_turn = metrics.turn_recorder(watch.loop.name)
    metrics.watch_list_entries.set_function(lambda: float(len(watch)))
    metrics.watch_list_read.set_function(lambda: watch.read_at)
    watch.loop.turn()
    watch.loop.start()
    return watch


def _count_what_waits(kafka: KafkaSettings, source: SourceSettings, metrics: StreamMetrics) -> None:
    """Ask the broker from now on what the query has not read."""
    waiting = WaitingRecords(kafka.bootstrap_servers, Path(source.checkpoint))
    waiting.show(metrics)
    waiting.loop.start()


def _build_chores(
    tables: LakeTables,
    config: StreamConfig,
    champion: ChampionBroadcast,
    seen: SeenTransactions,
    spenders: LastSpenders,
    metrics: StreamMetrics,
) -> list[Chore]:
    settings = config.stream
    servers = config.kafka.bootstrap_servers
    if settings.webhook_url is not None:
        outbox = Outbox(servers, stream_folder(config.data.data_dir) / "webhook.json")
        outbox.open()  # before anything is published
        webhook = Webhook(settings.webhook_url, settings.webhook_per_minute, outbox, metrics)
        webhook.loop.on_turn = metrics.turn_recorder(webhook.loop.name)
        webhook.start()
    mutes = MutesReader(CaseworkStore(config.data.casework, config.data.data_origin))
    metrics.mutes.set_function(lambda: len(mutes.in_force()))
    announcements = Announcements(tables, servers, metrics, mutes=mutes)
    announcements.recover(timedelta(hours=settings.dedup_horizon_hours))
    statistics = WindowStatistics(
        tables, settings.statistics_seconds, settings.retention_days, metrics
    )

    def on_backlog_scored(scored_at: datetime) -> None:
        announcements.on_scored(scored_at)
        statistics.on_scored(scored_at)

    return [
        announcements,
        # Before the backlog, which reads what a crash has left unwritten.
        Replacements(tables, spenders, settings.statistics_seconds, metrics),
        Backlog(tables, champion, metrics, on_backlog_scored),
        statistics,
        Housekeeping(tables, seen, settings, metrics),
        # After the sorting of the day that has ended.
        AddressDays(tables),
    ]


def failure_reason(error: BaseException) -> str:
    """The innermost cause of an error in one line, at most 400 characters: Spark wraps causes.

    An error of our own function for a micro-batch is in the text of Java's error, as a traceback.

    >>> failure_reason(OSError(28, "No space left on device"))
    'OSError: [Errno 28] No space left on device'
    """
    text = str(error)
    causes = _JAVA_CAUSE.findall(text)
    if causes and causes[-1].startswith(_FROM_PYTHON):
        causes = _PYTHON_CAUSE.findall(text) or causes
    first = next((line for line in text.splitlines() if line.strip()), "")
    return str(causes[-1] if causes else f"{type(error).__name__}: {first}")[:_MAX_REASON]
