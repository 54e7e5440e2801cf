import random
import shutil
from collections.abc import Iterator

import pytest
from local import jars
from prometheus_client import CollectorRegistry
from pyspark.sql import SparkSession
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_processes import QUICK_JAVA
from tests.support.stream_samples import a_champion

from core.detector.champion import Champion
from core.settings import StreamSettings
from data_processing.lake_tables import LakeTables, create_tables
from data_processing.session import start_session
from monitoring.stream_metrics import StreamMetrics


@pytest.fixture(scope="session")
def spark(java: None) -> Iterator[SparkSession]:
    """One session for all tests, started as the stream starts it, with the project's jars."""
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
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake with every table, all empty; not to be written."""
    lake = str(tmp_path_factory.mktemp("empty") / "lake")
    create_tables(lake, "simulated", 2)
    return lake


@pytest.fixture
def tables(spark: SparkSession, empty_lake: str, lake: str) -> LakeTables:
    """A new lake with every table, all empty."""
    shutil.copytree(empty_lake, lake)
    return LakeTables(spark, lake, "simulated")


@pytest.fixture
def kafka(spark: SparkSession) -> FakeKafka:
    return FakeKafka(spark)


@pytest.fixture
def writer(tables: LakeTables) -> Writer:
    return Writer(tables)
