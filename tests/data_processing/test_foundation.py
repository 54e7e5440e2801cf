import random
import shutil

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from tests.data_processing.conftest import Kafka, Stream
from tests.data_processing.samples import a_transaction

from core.lake import OriginMismatchError, table_uri
from core.tables import TABLES
from data_processing import foundation
from data_processing.sinks import Sinks

pytestmark = pytest.mark.stack


def test_every_table_has_todays_columns_and_the_protocol_of_its_readers(sinks: Sinks) -> None:
    for name, schema in TABLES.items():
        table = DeltaTable(table_uri(sinks.lake, name))
        assert [field.name for field in table.schema().fields] == schema.names
        assert table.metadata().partition_columns == ["date"]
        foundation.assert_protocol(sinks.lake, name, "simulated")


def test_a_file_tells_readers_the_times_it_holds_and_no_other_column(
    stream: Stream, kafka: Kafka, rng: random.Random
) -> None:
    stream.take(kafka.records(a_transaction(rng)))
    table = DeltaTable(table_uri(stream.sinks.lake, "raw_transactions"))
    told = pa.table(table.get_add_actions(flatten=True))
    assert {name for name in told.column_names if name.startswith("max.")} == {
        "max.append_time",
        "max.event_time",
    }
    assert told["num_records"].to_pylist() == [1]


def test_laying_it_again_changes_nothing(spark: SparkSession, sinks: Sinks) -> None:
    foundation.lay(spark, sinks.lake, "simulated", 2)
    assert [DeltaTable(table_uri(sinks.lake, name)).version() for name in TABLES] == [0] * 6


def test_a_lake_of_the_other_origin_is_refused(spark: SparkSession, sinks: Sinks) -> None:
    with pytest.raises(OriginMismatchError, match="holds simulated data"):
        foundation.lay(spark, sinks.lake, "live", 2)


def test_a_table_of_an_earlier_version_is_given_the_columns_it_lacks(
    spark: SparkSession, sinks: Sinks
) -> None:
    uri = table_uri(sinks.lake, "raw_transactions")
    shutil.rmtree(uri)
    earlier = TABLES["raw_transactions"].remove(
        TABLES["raw_transactions"].get_field_index("outpoints_cut")
    )
    foundation._create(spark, uri, earlier, "simulated", 2)
    foundation.lay(spark, sinks.lake, "simulated", 2)
    assert set(sinks.frame("raw_transactions").columns) == set(TABLES["raw_transactions"].names)


def test_a_table_that_its_readers_cannot_read_is_refused(spark: SparkSession, sinks: Sinks) -> None:
    uri = table_uri(sinks.lake, "quarantine")
    spark.sql(
        f"ALTER TABLE delta.`{uri}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')"
    )
    with pytest.raises(foundation.ProtocolError, match="quarantine has Delta protocol"):
        foundation.lay(spark, sinks.lake, "simulated", 2)
