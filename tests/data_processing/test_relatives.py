"""A flagged fee is judged together with unconfirmed parents or the child, on Spark and Delta."""

import random
from typing import Any

import pyarrow as pa
import pytest
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import a_block, a_transaction

from core.detector.champion import Champion
from core.detector.explanation import explanation
from core.detector.rules import rules_of_row
from core.detector.verdict import Verdict
from core.topics import BLOCKS
from core.transaction import DETECTOR_FIELDS, tx_index
from data_processing.chores import backlog
from data_processing.chores.replacements import Replacements
from data_processing.lake_tables import LakeTables
from data_processing.last_spenders import LastSpenders
from monitoring.stream_metrics import StreamMetrics

pytestmark = pytest.mark.stack

GOING_RATE = 20.0


def paying(
    rng: random.Random, fee: int, *parents: dict[str, Any], **changes: Any
) -> dict[str, Any]:
    """A transaction of 250 virtual bytes that spends an output of each parent."""
    size = {"size": 250, "weight": 1_000, "output_value": 10**8, "input_value": 10**8 + fee}
    spent = [f"{tx_index(each['hash'])}:0" for each in parents]
    spends = {"spent_outpoints": spent} if parents else {}
    return a_transaction(rng, fee=fee, **(size | spends | changes))


def quiet(rng: random.Random) -> list[dict[str, Any]]:
    """Transactions that pay the going rate."""
    return [paying(rng, int(GOING_RATE * 250)) for _ in range(20)]


def row_of(tables: LakeTables, transaction: dict[str, Any]) -> dict[str, Any] | None:
    sql = f"SELECT * FROM scored_transactions WHERE hash = '{transaction['hash']}'"
    rows: list[dict[str, Any]] = tables.query(sql, "scored_transactions").to_pylist()
    return rows[0] if rows else None


def test_a_child_that_pays_for_its_parent_is_no_accident(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    writer.write(kafka.records(*quiet(rng)))
    kafka.later(minutes=2)
    parent = paying(rng, 0, size=1_750, weight=7_000)
    child, alone = paying(rng, 210_000, parent), paying(rng, 210_000)
    batch = writer.write(kafka.records(child, parent, alone))
    assert batch.verdicts["flagged_by"].to_pylist() == ["rule"]
    assert row_of(tables, child) is None  # without a champion only what a rule flags is written
    row = row_of(tables, alone)
    assert row is not None and row["package_fee_rate"] is None


@pytest.mark.parametrize("confirmed", [False, True])
def test_only_a_parent_that_waits_counts(
    confirmed: bool, writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    parent = paying(rng, 250, size=1_750, weight=7_000)
    writer.write(kafka.records(*quiet(rng), parent))
    if confirmed:
        kafka.later(minutes=1)
        writer.write(kafka.records(a_block(rng, 800_000, [parent["hash"]]), topic=BLOCKS))
    kafka.later(minutes=1)
    child = paying(rng, 210_000, parent)
    assert writer.write(kafka.records(child)).flagged == confirmed


@pytest.mark.parametrize("height", [800_000, 800_001])
def test_of_what_is_first_seen_in_a_block_the_same_block_counts(
    height: int, writer: Writer, kafka: FakeKafka, rng: random.Random
) -> None:
    writer.write(kafka.records(*quiet(rng)))
    kafka.later(minutes=2)
    mined: dict[str, Any] = {"source": "block", "block_height": 800_000}
    parent = paying(rng, 0, size=1_750, weight=7_000, **mined)
    child = paying(rng, 210_000, parent, **mined | {"block_height": height})
    assert writer.write(kafka.records(parent, child)).flagged == (height != 800_000)


def test_verdicts_are_those_of_the_champion_on_the_numbers_of_the_package(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables, champion: Champion
) -> None:
    writer.write(kafka.records(*quiet(rng)))
    kafka.later(minutes=2)
    writer.champion = champion
    parent = paying(rng, 0)
    child = paying(rng, 10_000_000, parent)
    writer.write(kafka.records(parent, child))
    found = {each["fee"]: row_of(tables, each) for each in (parent, child)}
    row = found[10_000_000]
    assert row is not None
    assert row["package_fee_rate"] == 20_000.0  # of both, still far above the market
    assert (row["is_anomaly"], row["fee"]) == (True, 10_000_000)
    judged = row | {"fee": 5_000_000, "input_value": 10**8 + 5_000_000}
    numbers = pa.table({name: [judged[name]] for name in DETECTOR_FIELDS})
    (expected,) = champion.verdicts(numbers).to_pylist()
    assert {name: row[name] for name in ("anomaly_score", "reasons", "pattern")} == {
        name: expected[name] for name in ("anomaly_score", "reasons", "pattern")
    }
    said = explanation(Verdict.from_row(row), rules_of_row(row))
    assert "It is judged by 20,000 sat/vB, the effective fee rate with a parent or child" in said
    row = found[0]
    assert row is not None
    assert row["package_fee_rate"] == GOING_RATE  # what it lacks of it, and no more


def test_a_replacement_of_ten_times_the_fee_is_flagged_also_after_a_crash(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    tables: LakeTables,
    metrics: StreamMetrics,
    champion: Champion,
) -> None:
    first = paying(rng, 500, spent_outpoints=["7:0"])
    steps = [paying(rng, fee, spent_outpoints=["7:0"]) for fee in (4_999, 49_990)]
    writer.write(kafka.records(*quiet(rng), first))
    for step, flagged in zip(steps, (0, 1), strict=True):
        kafka.later(seconds=5)
        assert writer.write(kafka.records(step)).flagged == flagged
    row = row_of(tables, steps[1])
    assert row is not None
    assert (row["flagged_by"], row["replaced_fee"]) == ("rule", 4_999)
    assert rules_of_row(row) == ("fee_multiplied",)

    tables.spark_table("scored_transactions").delete(f"hash = '{row['hash']}'")
    writer.champion = champion
    Replacements(tables, LastSpenders(), 0, metrics).run()
    (day, count), *_ = backlog.unscored_dates(tables).items()
    backlog.score_date(tables, day, count, writer.broadcast)
    again = row_of(tables, steps[1])
    assert again is not None
    assert again["flagged_by"] in ("rule", "both")
    assert again["replaced_fee"] == 4_999
