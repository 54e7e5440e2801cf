"""Puts the stream together: waits for what it needs, takes the lock, lays the tables, resumes."""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from kafka.errors import KafkaError
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from core.lake import open_table
from core.registry.follower import ChampionFollower
from core.settings import DataSettings, KafkaSettings, StreamSettings
from core.topics import ensure_topics
from data_processing import foundation, resume, vital_signs, writer_lock
from data_processing.announcements import Announcements
from data_processing.chores import Backlog, Chore, Statistics, flagged_times
from data_processing.housekeeping import Housekeeping
from data_processing.intake import ChampionCopies, Intake
from data_processing.progress import ProgressListener
from data_processing.replacements import Replacements
from data_processing.running import Source, Stream
from data_processing.sinks import Sinks
from data_processing.webhook import Webhook
from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)

_RETRY_SECONDS, _REMIND_SECONDS = 2.0, 60.0


@dataclass(frozen=True)
class Place:
    """Where this stream works: its settings in one."""

    stream: StreamSettings
    data: DataSettings
    kafka: KafkaSettings


def wait_for_topics(kafka: KafkaSettings, stop: threading.Event) -> bool:
    """Create the missing topics as soon as a broker answers; False when stopped before that."""
    reminded = -_REMIND_SECONDS
    while not stop.is_set():
        try:
            ensure_topics(kafka.bootstrap_servers, kafka.kafka_partitions)
            return True
        except KafkaError as error:
            if time.monotonic() - reminded >= _REMIND_SECONDS:
                reminded = time.monotonic()
                log.info("waiting for Kafka at %s: %s", kafka.bootstrap_servers, error)
        stop.wait(_RETRY_SECONDS)
    return False


def assemble(
    spark: SparkSession,
    place: Place,
    follower: ChampionFollower,
    metrics: StreamMetrics,
    stop: threading.Event,
) -> Stream:
    """Take the lake and read from its tables what is to be done.

    Raises `SecondWriterError`, `OriginMismatchError` and `ProtocolError`.
    """
    lake, origin = place.data.lake, place.data.data_origin
    writer_lock.hold(spark, writer_lock.lock_path(lake, place.data.data_dir))
    foundation.lay(spark, lake, origin, place.stream.vacuum_after_hours)
    sinks = Sinks(spark, lake, origin)
    memory = resume.Memory(sinks, place.stream.dedup_horizon_hours)
    champion = ChampionCopies(spark.sparkContext, lambda: follower.current)
    vital_signs.show(metrics, lambda: follower.current, memory.known, lake)
    spark.streams.addListener(ProgressListener(metrics))
    intake = Intake(sinks, memory, champion)
    return Stream(spark, intake, _chores(sinks, place, champion, metrics), metrics, stop)


def _chores(
    sinks: Sinks, place: Place, champion: ChampionCopies, metrics: StreamMetrics
) -> list[Chore]:
    settings = place.stream
    announcements = Announcements(
        sinks, place.kafka.bootstrap_servers, _listeners(settings), metrics
    )
    announcements.recover(timedelta(hours=settings.dedup_horizon_hours))
    statistics = Statistics(sinks, settings.statistics_seconds, settings.retention_days, metrics)

    def scored(at: datetime) -> None:
        announcements.committed(at)
        statistics.flagged(flagged_times(sinks, at))

    return [
        announcements,
        Backlog(sinks, champion, metrics, scored),
        statistics,
        Replacements(sinks, settings.dedup_horizon_hours, settings.statistics_seconds, metrics),
        Housekeeping(sinks, settings, metrics),
    ]


def _listeners(settings: StreamSettings) -> list[Webhook]:
    if settings.webhook_url is None:
        return []
    webhook = Webhook(settings.webhook_url, settings.webhook_per_minute)
    webhook.start()
    return [webhook]


def start(stream: Stream, spark: SparkSession, place: Place) -> StreamingQuery:
    """Start the query where the tables, or its checkpoint, say."""
    sinks = Sinks(spark, place.data.lake, place.data.data_origin)
    table = open_table(sinks.lake, "raw_transactions", sinks.origin)
    assert table is not None, "the foundation is laid"
    brokers = place.kafka.bootstrap_servers
    name = resume.checkpoint_name(str(table.metadata().id), brokers)
    checkpoint = place.data.data_dir.resolve() / "checkpoints" / "stream" / name
    offsets = "earliest"  # with a checkpoint Spark reads on from there, whatever is said here
    if not (checkpoint / "offsets").is_dir():
        offsets = resume.starting_offsets(brokers, resume.newest(sinks))
    return stream.start(Source(brokers, offsets, str(checkpoint)), place.stream)
