import random
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from local import jars
from prometheus_client import CollectorRegistry
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T
from tests.data_processing.processes import QUICK_JAVA
from tests.data_processing.samples import NOON, a_champion, as_json

from core.detector.champion import Champion
from core.settings import StreamSettings
from core.topics import TRANSACTIONS
from data_processing import foundation, resume
from data_processing.intake import ChampionCopies, Intake, Taken
from data_processing.session import start_session
from data_processing.sinks import Sinks
from monitoring.stream_metrics import StreamMetrics

Value = bytes | dict[str, Any] | None
KAFKA = T.StructType(
    [
        T.StructField("topic", T.StringType()),
        T.StructField("partition", T.IntegerType()),
        T.StructField("offset", T.LongType()),
        T.StructField("timestamp", T.TimestampType()),
        T.StructField("value", T.BinaryType()),
    ]
)


@pytest.fixture(scope="session")
def spark(java: None) -> Iterator[SparkSession]:
    """One session for all tests, as the door starts it, with the project's jars."""
    settings = StreamSettings(
        spark_jars_dir=jars.JARS / "spark", spark_ui_port=0, spark_master="local[2]"
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK_JAVA.items():
            patch.setenv(name, value)
        session = start_session(settings, "127.0.0.1")
    yield session
    session.stop()


@pytest.fixture
def rng() -> random.Random:
    return random.Random(42)


@pytest.fixture
def metrics() -> StreamMetrics:
    return StreamMetrics(CollectorRegistry())


@pytest.fixture(scope="session")
def champion() -> Champion:
    return a_champion()


@pytest.fixture(scope="session")
def empty_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake with every table, all empty; not to be written."""
    lake = str(tmp_path_factory.mktemp("empty") / "lake")
    foundation.lay(spark, lake, "simulated", 2)
    return lake


@pytest.fixture
def sinks(spark: SparkSession, empty_lake: str, lake: str) -> Sinks:
    """A lake of the test's own with every table, all empty."""
    shutil.copytree(empty_lake, lake)
    return Sinks(spark, lake, "simulated")


class Kafka:
    """Frames as Spark's Kafka source makes them; offsets go on, time as it is told."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark, self.offset = spark, 0
        self.now = datetime.fromtimestamp(NOON, UTC)

    def later(self, **kwargs: float) -> None:
        self.now += timedelta(**kwargs)

    def records(
        self, *values: bytes | dict[str, Any] | None, topic: str = TRANSACTIONS
    ) -> DataFrame:
        rows = []
        for value in values:
            data = as_json(value) if isinstance(value, dict) else value
            rows.append((topic, 0, self.offset, self.now, data))
            self.offset += 1
        return self.spark.createDataFrame(rows, KAFKA)


@pytest.fixture
def kafka(spark: SparkSession) -> Kafka:
    return Kafka(spark)


class Stream:
    """An intake that can be started again on the same tables, as after a crash."""

    def __init__(self, sinks: Sinks) -> None:
        self.sinks = sinks
        self.champion: Champion | None = None
        self.restart()

    def restart(self) -> None:
        self.copies = ChampionCopies(self.sinks.spark.sparkContext, lambda: self.champion)
        self.intake = Intake(self.sinks, resume.Memory(self.sinks, 24), self.copies)

    def take(self, frame: DataFrame) -> Taken:
        taken = self.intake.take(frame)
        assert taken is not None
        return taken


@pytest.fixture
def stream(sinks: Sinks) -> Stream:
    return Stream(sinks)


@pytest.fixture
def hashes_in(sinks: Sinks) -> Callable[[str], list[str]]:
    def hashes(table: str) -> list[str]:
        found: list[str] = sinks.ask(f'SELECT "hash" FROM {table}', table)["hash"].to_pylist()
        return sorted(found)

    return hashes
