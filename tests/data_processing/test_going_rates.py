"""The markets that the stream writes: once each, the same after any crash, beside every score."""

import random
from datetime import timedelta
from typing import Any

import pytest
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import NOON, a_transaction

from core.detector.champion import Champion
from data_processing.going_rates import GoingRates, rates_of_date
from data_processing.lake_tables import LakeTables

pytestmark = pytest.mark.stack

MINUTE = NOON // 60 * 60


def paying(rng: random.Random, rate: int, count: int) -> list[dict[str, Any]]:
    """Transactions of 1,000 weight units that pay so many sat/vB."""
    fees = {"size": 250, "weight": 1_000, "fee": 250 * rate}
    value = {"output_value": 10**6, "input_value": 10**6 + 250 * rate}
    return [a_transaction(rng, **fees, **value) for _ in range(count)]


def markets(tables: LakeTables) -> dict[int, float]:
    rows = tables.query("SELECT * FROM market ORDER BY minute", "market").to_pylist()
    assert all(row["date"] == row["minute"].date() for row in rows)
    return {round(row["minute"].timestamp()) - MINUTE: row["fee_rate"] for row in rows}


def judged_beside(tables: LakeTables) -> list[float]:
    sql = "SELECT market_fee_rate AS m FROM scored_transactions ORDER BY append_time"
    return list(tables.query(sql, "scored_transactions")["m"].to_pylist())


def test_a_minute_has_one_market_from_what_came_before_it(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion, tables: LakeTables
) -> None:
    writer.champion = champion
    writer.write(kafka.records(*paying(rng, 10, 3)))
    writer.write(kafka.records(*paying(rng, 40, 9)))
    kafka.later(minutes=1)
    writer.write(kafka.records(*paying(rng, 80, 2)))
    assert markets(tables) == {0: 10.0, 60: 40.0}
    assert judged_beside(tables) == [10.0] * 12 + [40.0] * 2
    assert writer.writer.rates.newest == 40.0


def test_the_first_transactions_after_a_stop_are_judged_beside_what_they_pay_themselves(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion, tables: LakeTables
) -> None:
    writer.champion = champion
    writer.write(kafka.records(*paying(rng, 40, 120)))
    kafka.later(minutes=60)
    writer.write(kafka.records(*paying(rng, 5, 60)))
    assert markets(tables) == {0: 40.0, 3_600: 5.0}
    assert judged_beside(tables) == [40.0] * 120 + [5.0] * 60


def test_a_crash_before_the_market_is_written_changes_nothing(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    champion: Champion,
    tables: LakeTables,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer.champion = champion
    writer.write(kafka.records(*paying(rng, 10, 3)))
    kafka.later(minutes=1)
    second = kafka.records(*paying(rng, 40, 4))
    with monkeypatch.context() as crash, pytest.raises(ZeroDivisionError):
        crash.setattr(GoingRates, "_write", lambda *_: 1 / 0)
        writer.write(second)
    assert markets(tables) == {0: 10.0}
    writer.restart()
    assert markets(tables) == {0: 10.0, 60: 10.0}, "the start writes what the crash left out"
    assert writer.write(second).repeats == 4, "its raw rows are committed"
    kafka.later(minutes=1)
    writer.write(kafka.records(*paying(rng, 40, 1)))
    assert markets(tables) == {0: 10.0, 60: 10.0, 120: 40.0}


def test_a_restart_goes_on_with_the_transactions_of_the_table(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion, tables: LakeTables
) -> None:
    writer.champion = champion
    writer.write(kafka.records(*paying(rng, 10, 5)))
    writer.restart()
    kafka.later(minutes=2)
    writer.write(kafka.records(*paying(rng, 90, 1)))
    assert markets(tables) == {0: 10.0, 120: 10.0}


def test_one_batch_by_a_clock_that_is_ahead_leaves_the_next_markets_as_they_were(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion, tables: LakeTables
) -> None:
    writer.champion = champion
    writer.write(kafka.records(*paying(rng, 10, 5)))
    kafka.later(days=2)
    writer.write(kafka.records(*paying(rng, 70, 1)))
    kafka.later(days=-2, minutes=1)
    writer.write(kafka.records(*paying(rng, 10, 1)))
    assert markets(tables)[60] == 10.0


def test_dates_of_an_earlier_version_get_their_markets_from_their_rows(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    for rate, minutes in ((10, 1), (30, 24 * 60), (50, 1), (70, 1)):
        writer.write(kafka.records(*paying(rng, rate, 5)))
        kafka.later(minutes=minutes)
    written = markets(tables)
    today = (kafka.now - timedelta(minutes=1)).date()
    tables.open("market").delete()
    GoingRates(tables)
    assert markets(tables) == written and len(written) == 4
    assert [10.0, *rates_of_date(tables, today).values()][-2:] == list(written.values())[-2:]
    tables.open("market").delete(f"date = '{today - timedelta(days=1)}'")
    assert GoingRates(tables).newest == list(written.values())[-1]
    assert markets(tables) == written, "a hole in the middle is filled too"


def test_without_a_champion_what_a_rule_flags_is_written_at_once(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    wild = a_transaction(rng, fee=900_000_000, output_value=10**5, input_value=900_100_000)
    batch = writer.write(kafka.records(*paying(rng, 10, 5), wild))
    assert (batch.scored, batch.flagged) == (False, 1)
    assert writer.hashes_in("scored_transactions") == [wild["hash"]]
    (row,) = tables.query("SELECT * FROM scored_transactions", "scored_transactions").to_pylist()
    assert (row["model_version"], row["flagged_by"]) == ("rules", "rule")


def test_a_coinbase_is_no_part_of_the_market(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    coinbase = {"fee": 0, "inputs_count": 1, "input_value": 0, "source": "block"}
    mined = [a_transaction(rng, **coinbase, block_height=9) for _ in range(9)]
    writer.write(kafka.records(*mined, *paying(rng, 10, 3)))
    assert markets(tables) == {0: 10.0}
