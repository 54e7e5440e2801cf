import random
import shutil

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import a_transaction

from core.lake import OriginMismatchError, open_or_create_table, table_uri
from core.tables import ENGINES, TABLES
from data_processing.lake_tables import (
    LakeTables,
    ProtocolError,
    check_protocol,
    create_tables,
    properties,
)

pytestmark = pytest.mark.stack


def test_every_table_has_todays_columns_and_the_protocol_of_its_readers(tables: LakeTables) -> None:
    for name, schema in TABLES.items():
        table = DeltaTable(table_uri(tables.lake, name))
        assert [field.name for field in table.schema().fields] == schema.names
        assert table.metadata().partition_columns == ["date"]
        check_protocol(table, name)


def test_the_log_has_statistics_of_times_and_of_no_other_column(
    writer: Writer, kafka: FakeKafka, rng: random.Random
) -> None:
    writer.write(kafka.records(a_transaction(rng)))
    table = DeltaTable(table_uri(writer.tables.lake, "raw_transactions"))
    files = pa.table(table.get_add_actions(flatten=True))
    assert {name for name in files.column_names if name.startswith("max.")} == {
        "max.append_time",
        "max.event_time",
    }
    assert files["num_records"].to_pylist() == [1]


def test_creating_the_tables_again_changes_nothing(tables: LakeTables) -> None:
    create_tables(tables.lake, "simulated", 2)
    assert [DeltaTable(table_uri(tables.lake, name)).version() for name in TABLES] == [0] * len(
        TABLES
    )


def test_a_setting_that_changes_reaches_every_table_at_the_next_start(
    writer: Writer, kafka: FakeKafka, rng: random.Random
) -> None:
    writer.write(kafka.records(a_transaction(rng)))
    lake = writer.tables.lake
    rows = writer.tables.rows_by_date("raw_transactions")
    create_tables(lake, "simulated", 48)
    for name in TABLES:
        table = DeltaTable(table_uri(lake, name))
        found = table.metadata().configuration
        assert found["delta.deletedFileRetentionDuration"] == "interval 48 hours"
        assert found["delta.logRetentionDuration"] == "interval 48 hours"
        assert found["bitcoin.origin"] == "simulated"
        check_protocol(table, name)
    versions = [DeltaTable(table_uri(lake, name)).version() for name in TABLES]
    create_tables(lake, "simulated", 48)
    assert [DeltaTable(table_uri(lake, name)).version() for name in TABLES] == versions
    writer.write(kafka.records(a_transaction(rng)))
    assert sum(writer.tables.rows_by_date("raw_transactions").values()) == sum(rows.values()) + 1


def test_a_table_of_an_earlier_version_is_given_the_properties_of_today(
    spark: SparkSession, tables: LakeTables
) -> None:
    uri = table_uri(tables.lake, "confirmations")
    spark.sql(f"ALTER TABLE delta.`{uri}` SET TBLPROPERTIES ('delta.checkpointInterval' = '10')")
    spark.sql(f"ALTER TABLE delta.`{uri}` UNSET TBLPROPERTIES ('delta.dataSkippingStatsColumns')")
    create_tables(tables.lake, "simulated", 2)
    found = DeltaTable(uri).metadata().configuration
    wanted = properties(TABLES["confirmations"], 2)
    assert {key: found.get(key) for key in wanted} == wanted


def test_a_lake_of_the_other_origin_is_refused(tables: LakeTables) -> None:
    with pytest.raises(OriginMismatchError, match="holds simulated data"):
        create_tables(tables.lake, "live", 2)


def test_a_table_of_an_earlier_version_is_given_the_columns_it_lacks(
    tables: LakeTables,
) -> None:
    uri = table_uri(tables.lake, "raw_transactions")
    shutil.rmtree(uri)
    earlier = TABLES["raw_transactions"].remove(
        TABLES["raw_transactions"].get_field_index("outpoints_cut")
    )
    open_or_create_table(tables.lake, "raw_transactions", earlier, "simulated", ["date"])
    create_tables(tables.lake, "simulated", 2)
    assert set(tables.frame("raw_transactions").columns) == set(TABLES["raw_transactions"].names)


def test_a_table_that_its_readers_cannot_read_is_refused(
    spark: SparkSession, tables: LakeTables
) -> None:
    uri = table_uri(tables.lake, "quarantine")
    spark.sql(
        f"ALTER TABLE delta.`{uri}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')"
    )
    with pytest.raises(ProtocolError, match="quarantine has Delta protocol"):
        create_tables(tables.lake, "simulated", 2)


def test_no_table_takes_rows_from_two_engines(spark: SparkSession, tables: LakeTables) -> None:
    assert set(ENGINES) == set(TABLES)
    for name, schema in TABLES.items():
        if ENGINES[name] == "spark":
            with pytest.raises(AssertionError, match="written by spark alone"):
                tables.append_arrow(name, schema.empty_table())
            with pytest.raises(AssertionError, match="written by spark alone"):
                tables.replace_dates(name, schema.empty_table(), [])
        else:
            with pytest.raises(AssertionError, match="written by delta-rs alone"):
                tables.append(name, tables.frame(name), 0)
            with pytest.raises(AssertionError, match="written by delta-rs alone"):
                tables.spark_table(name)
