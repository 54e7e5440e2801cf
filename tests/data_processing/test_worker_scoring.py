import random
from copy import copy
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from tests.support.micro_batches import FakeKafka, record_batch
from tests.support.stream_samples import a_transaction, as_json

from core.detector.champion import Champion
from data_processing.lake_tables import spark_schema
from data_processing.record_parsing import PARSED_RECORDS
from data_processing.worker_scoring import ChampionBroadcast, parse_and_score


def test_only_transactions_are_scored(champion: Champion) -> None:
    good = as_json(a_transaction(random.Random(0)))
    batches = parse_and_score(lambda: champion)(iter([record_batch(b"bad", good, None)]))
    rows = pa.Table.from_batches(batches).to_pylist()
    assert {row["offset"]: row["model_version"] for row in rows} == {0: None, 1: "1", 2: None}


def test_without_a_champion_the_columns_are_the_same() -> None:
    batches = parse_and_score(lambda: None)(
        iter([record_batch(as_json(a_transaction(random.Random(0))))])
    )
    table = pa.Table.from_batches(batches)
    assert table.schema == PARSED_RECORDS
    assert table["anomaly_score"].null_count == 1


@pytest.mark.stack
def test_a_champion_that_is_replaced_leaves_no_file_behind(
    spark: SparkSession, champion: Champion
) -> None:
    current = [champion]
    broadcast = ChampionBroadcast(spark.sparkContext, lambda: current[0])
    sizes = []
    for _ in range(4):
        current[0] = copy(champion)
        records = FakeKafka(spark).records(a_transaction(random.Random(0)))
        score = parse_and_score(broadcast.current())
        scored = records.mapInArrow(score, spark_schema(PARSED_RECORDS))
        assert scored.toArrow()["model_version"].to_pylist() == [champion.version]
        folder = Path(spark.sparkContext._temp_dir).parent
        sizes.append(sum(file.stat().st_size > 50_000 for file in folder.rglob("*")))
    assert len(set(sizes)) == 1, "one file, that of the champion in use"


def test_asking_for_a_champion_does_not_touch_the_broadcast_that_a_job_may_use(
    champion: Champion,
) -> None:
    current: list[Champion | None] = [None]
    broadcast = ChampionBroadcast(None, lambda: current[0])  # type: ignore[arg-type]
    assert not broadcast.available
    current[0] = champion
    assert broadcast.available, "without a Spark context, a broadcast would fail"
