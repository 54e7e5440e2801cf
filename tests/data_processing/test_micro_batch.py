"""Micro-batches on real Spark and Delta: each record once, whatever it holds, after any crash."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import NOON, a_transaction

from core.detector.champion import Champion
from core.tables import RAW_TRANSACTIONS, SCORED_TRANSACTIONS
from core.transaction import DETECTOR_FIELDS
from data_processing.chores import backlog
from data_processing.lake_tables import LakeTables
from data_processing.movements import SIDES

pytestmark = pytest.mark.stack


@pytest.fixture(params=[True, False], ids=["few", "many"])
def writer(tables: LakeTables, request: pytest.FixtureRequest) -> Writer:
    """Few records go another way than many; what is written is the same."""
    return Writer(tables, few=request.param)


def some(rng: random.Random, count: int) -> list[dict[str, Any]]:
    return [a_transaction(rng) for _ in range(count)]


def hashes_of(transactions: list[dict[str, Any]]) -> list[str]:
    return sorted(t["hash"] for t in transactions)


def test_a_batch_goes_to_raw_and_scored_with_todays_columns(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion, tables: LakeTables
) -> None:
    writer.champion = champion
    transaction = a_transaction(rng, time=NOON - 60)
    writer.write(kafka.records(transaction))
    raw = tables.query("SELECT * FROM raw_transactions", "raw_transactions")
    scored = tables.query("SELECT * FROM scored_transactions", "scored_transactions")
    assert raw.schema.names == RAW_TRANSACTIONS.names
    assert scored.schema.names == SCORED_TRANSACTIONS.names
    row, verdict = raw.to_pylist()[0], scored.to_pylist()[0]
    assert {name: row[name] for name in transaction} == transaction
    assert row["event_time"] == datetime.fromtimestamp(NOON - 60, UTC)
    assert row["date"] == kafka.now.date()
    assert verdict["fee_rate"] == transaction["fee"] / (transaction["weight"] / 4)
    assert verdict["model_version"] == "1"
    assert verdict["reasons"][0].keys() == {
        *("feature", "value", "usual_low", "usual_high", "contribution")
    }


def test_stream_and_champion_give_the_same_bits(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion, tables: LakeTables
) -> None:
    writer.champion = champion
    writer.write(kafka.records(*some(rng, 200)))
    sql = 'SELECT * FROM scored_transactions ORDER BY "hash"'
    scored = tables.query(sql, "scored_transactions")
    verdicts = champion.verdicts(scored.select(DETECTOR_FIELDS))
    assert scored["anomaly_score"].to_pylist() == verdicts["anomaly_score"].to_pylist()
    assert scored["is_anomaly"].to_pylist() == verdicts["is_anomaly"].to_pylist()


def test_a_topic_that_holds_everything_three_times_gives_one_row_a_hash(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion
) -> None:
    writer.champion = champion
    transactions = some(rng, 30)
    first = writer.write(kafka.records(*transactions, *transactions[:10]))
    kafka.later(hours=1)
    again = writer.write(kafka.records(*transactions[10:], *transactions))
    assert (first.repeats, again.repeats) == (10, 50)
    assert writer.hashes_in("raw_transactions") == hashes_of(transactions)
    assert writer.hashes_in("scored_transactions") == hashes_of(transactions)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_repeat_is_recognised_however_old_it_is(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion, restarted: bool
) -> None:
    """As when a producer sends what its old journal held, or a block has what waited for weeks."""
    writer.champion = champion
    old, new = some(rng, 20), some(rng, 20)
    writer.write(kafka.records(*old))
    for days in (1, 28):
        kafka.later(days=days)
        writer.write(kafka.records(*new[:10]))
        if restarted:
            writer.restart()
    again = writer.write(kafka.records(*old, *new))
    assert (again.new.num_rows, again.repeats) == (10, 30)
    assert writer.hashes_in("raw_transactions") == hashes_of(old + new)
    assert writer.hashes_in("scored_transactions") == hashes_of(old + new)


def a_payment(rng: random.Random, **changes: Any) -> dict[str, Any]:
    """A transaction with what is inside it."""
    sides = {
        "input_addresses": ["bc1qpayer"],
        "input_values": [9_000],
        "output_addresses": ["bc1qpayee", "6a0101", "bc1qpayer"],
        "output_values": [5_000, 0, 3_000],
    }
    return a_transaction(rng, **(sides | changes))


def movements(tables: LakeTables) -> list[tuple[Any, ...]]:
    """Every movement once, as readers take them."""
    sql = "SELECT DISTINCT address, hash, spent, position, value FROM movements ORDER BY 2, 3, 4"
    return [tuple(row.values()) for row in tables.query(sql, "movements").to_pylist()]


def movements_of(transaction: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (address, transaction["hash"], spent, position, value)
        for side, spent in (("output", False), ("input", True))
        for position, (address, value) in enumerate(
            zip(
                transaction.get(f"{side}_addresses") or (),
                transaction.get(f"{side}_values") or (),
                strict=True,
            )
        )
    ]


def test_each_new_transaction_is_found_by_every_address_inside_it(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    old, new = a_payment(rng), a_payment(rng)
    without, half = a_transaction(rng), a_payment(rng, input_addresses=None, input_values=None)
    writer.write(kafka.records(old, without))
    batch = writer.write(kafka.records(old, new, half, b"bad"))
    expected = sorted(each for t in (old, new, half) for each in movements_of(t))
    assert sorted(movements(tables)) == expected
    assert sum(tables.rows_by_date("movements").values()) == len(expected), "repeats add none"
    row = tables.query("SELECT * FROM movements LIMIT 1", "movements").to_pylist()[0]
    assert (row["append_time"], row["date"]) == (kafka.now, kafka.now.date())
    assert not set(batch.new.column_names) & set(SIDES)


def test_a_crash_before_the_transactions_are_written_leaves_no_address_out(
    writer: Writer, kafka: FakeKafka, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions = [a_payment(rng) for _ in range(3)]
    records = kafka.records(*transactions)

    def cut_off(*_: Any) -> None:
        raise OSError("killed")

    monkeypatch.setattr(writer.tables, "append", cut_off)
    with pytest.raises(OSError, match="killed"):
        writer.write(records)
    monkeypatch.undo()
    assert writer.hashes_in("raw_transactions") == []
    writer.restart()
    writer.write(records)
    expected = sorted(each for t in transactions for each in movements_of(t))
    assert sorted(movements(writer.tables)) == expected
    assert sum(writer.tables.rows_by_date("movements").values()) == 2 * len(expected)
    assert writer.hashes_in("raw_transactions") == hashes_of(transactions)


@pytest.mark.parametrize("days", [2, -2, 400])
def test_one_batch_by_a_wrong_clock_of_the_broker_doubles_nothing(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables, days: int
) -> None:
    before, wrong, after = some(rng, 5), some(rng, 5), some(rng, 5)
    first = kafka.records(*before, b"bad")
    writer.write(first)
    kafka.later(days=days)
    second = kafka.records(*wrong, b"worse")
    writer.write(second)
    kafka.later(days=-days, minutes=1)
    third = kafka.records(*before, *wrong, *after, b"worst")
    assert writer.write(third).repeats == 10
    for _ in ("read again by the same process", "read again by the next one"):
        for records in (second, first, third):
            again = writer.write(records)
            assert (again.new.num_rows, again.rejects.num_rows) == (0, 0)
        writer.restart()
    assert writer.hashes_in("raw_transactions") == hashes_of(before + wrong + after)
    assert tables.frame("quarantine").count() == 3


def test_a_clock_in_1970_and_one_in_2100_change_neither_windows_nor_memory(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    wrong = [a_transaction(rng, time=at, first_seen=at) for at in (0, 4_102_444_800)]
    writer.write(kafka.records(*wrong))
    kafka.later(minutes=1)
    assert writer.write(kafka.records(*wrong)).repeats == 2
    rows = tables.query("SELECT event_time, append_time FROM raw_transactions", "raw_transactions")
    assert rows["event_time"] == rows["append_time"]
    assert len(writer.hashes_in("raw_transactions")) == 2


def test_bad_records_go_to_quarantine_with_their_bytes_and_the_rest_goes_on(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    good = a_transaction(rng, unknown_field={"nested": [1, 2]})
    text = json.dumps(a_transaction(rng))
    bad = [
        None,
        b"",
        b'{"hash":null}',
        text.replace('"fee": ', '"fee": -').encode(),
        text.replace('"fee": ', '"fee": NaN, "was": ').encode(),
        json.dumps(a_transaction(rng, size="250")).encode(),
        b"\xff\xfe\x00",
        b"[" * 10_000,
    ]
    batch = writer.write(kafka.records(*bad, good))
    rows = tables.query('SELECT * FROM quarantine ORDER BY "offset"', "quarantine").to_pylist()
    assert [row["value"] for row in rows] == bad
    assert all(row["reason"] for row in rows)
    assert [row["offset"] for row in rows] == list(range(len(bad)))
    kinds = batch.rejects["kind"].to_pylist()
    assert kinds[:2] + kinds[3:] == [
        *("empty", "empty", "out_of_range", "wrong_type", "wrong_type", "not_json", "not_json")
    ]
    assert writer.hashes_in("raw_transactions") == [good["hash"]]


def test_a_message_of_two_megabytes_is_written_whether_good_or_bad(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    good = a_transaction(rng, memo="x" * 2**21)
    bad = b"y" * 2**21
    writer.write(kafka.records(good, bad))
    assert writer.hashes_in("raw_transactions") == [good["hash"]]
    assert tables.query("SELECT value FROM quarantine", "quarantine")["value"].to_pylist() == [bad]


def test_a_batch_of_empty_topics_writes_nothing(writer: Writer, kafka: FakeKafka) -> None:
    assert writer.writer.write(kafka.records()) is None
    assert writer.tables.rows_by_date("raw_transactions") == {}


def test_a_batch_cut_off_before_scoring_is_neither_doubled_nor_left_unscored(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    champion: Champion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer.champion = champion
    transactions = some(rng, 20)
    records = kafka.records(*transactions, b"bad")
    append = writer.tables.append

    def cut_off(name: str, *args: Any) -> None:
        if name == "scored_transactions":
            raise OSError("killed")
        append(name, *args)

    monkeypatch.setattr(writer.tables, "append", cut_off)
    with pytest.raises(OSError, match="killed"):
        writer.write(records)
    monkeypatch.undo()

    writer.restart()
    again = writer.write(records)
    assert (again.new.num_rows, again.rejects.num_rows) == (0, 0)
    missing = backlog.unscored_dates(writer.tables)
    assert sum(missing.values()) == 20
    for day, count in missing.items():
        backlog.score_date(writer.tables, day, count, writer.broadcast)
    assert writer.hashes_in("raw_transactions") == hashes_of(transactions)
    assert writer.hashes_in("scored_transactions") == hashes_of(transactions)
    quarantined = writer.tables.query("SELECT value FROM quarantine", "quarantine")
    assert quarantined["value"].to_pylist() == [b"bad"]


def test_what_came_before_the_first_champion_is_scored_once_it_is_there(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion
) -> None:
    before, after = some(rng, 15), some(rng, 5)
    assert not writer.write(kafka.records(*before)).scored
    kafka.later(days=1)
    writer.write(kafka.records(*some(rng, 0), *after[:2]))
    writer.champion = champion
    writer.write(kafka.records(*after[2:]))
    for day, count in backlog.unscored_dates(writer.tables).items():
        backlog.score_date(writer.tables, day, count, writer.broadcast)
    assert backlog.unscored_dates(writer.tables) == {}
    assert writer.hashes_in("scored_transactions") == hashes_of(before + after)


def test_a_moved_champion_scores_the_next_batch_and_no_batch_has_two_versions(
    writer: Writer, kafka: FakeKafka, rng: random.Random, champion: Champion, tables: LakeTables
) -> None:
    for version in ("1", "2"):
        writer.champion = replace(champion, version=version)
        writer.write(kafka.records(*some(rng, 10)))
        kafka.later(seconds=5)
    rows = tables.query(
        "SELECT scored_at, COUNT(DISTINCT model_version) AS versions, MAX(model_version) AS v "
        "FROM scored_transactions GROUP BY 1 ORDER BY 1",
        "scored_transactions",
    )
    assert rows["versions"].to_pylist() == [1, 1]
    assert rows["v"].to_pylist() == ["1", "2"]


def test_times_far_from_the_append_time_fall_in_its_partition_alone(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    late = kafka.now - timedelta(days=6)
    writer.write(kafka.records(a_transaction(rng, time=int(late.timestamp()))))
    row = tables.query("SELECT * FROM raw_transactions", "raw_transactions").to_pylist()[0]
    assert (row["event_time"], row["date"]) == (late, kafka.now.date())


def test_a_batch_that_reaches_over_days_is_recognised_whole_when_it_is_read_again(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    old, new = some(rng, 5), some(rng, 5)
    frame = kafka.records(*old, b"bad")
    kafka.later(days=3)
    records = frame.union(kafka.records(*new, b"worse"))
    writer.write(records)
    writer.restart()
    again = writer.write(records)
    assert (again.new.num_rows, again.repeats, again.rejects.num_rows) == (0, 10, 0)
    assert writer.hashes_in("raw_transactions") == hashes_of(old + new)
    assert tables.frame("quarantine").count() == 2
