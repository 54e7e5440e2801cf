"""A micro-batch on real Spark and Delta: once each, whatever comes and whenever it is cut off."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.data_processing.conftest import Kafka, Stream
from tests.data_processing.samples import NOON, a_transaction

from core.detector.champion import Champion
from core.tables import RAW_TRANSACTIONS, SCORED_TRANSACTIONS
from data_processing import backlog
from data_processing.sinks import Sinks

pytestmark = pytest.mark.stack

Hashes = Callable[[str], list[str]]


def some(rng: random.Random, count: int) -> list[dict[str, Any]]:
    return [a_transaction(rng) for _ in range(count)]


def hashes_of(transactions: list[dict[str, Any]]) -> list[str]:
    return sorted(t["hash"] for t in transactions)


def test_a_batch_goes_to_raw_and_scored_with_todays_columns(
    stream: Stream, kafka: Kafka, rng: random.Random, champion: Champion, sinks: Sinks
) -> None:
    stream.champion = champion
    transaction = a_transaction(rng, time=NOON - 60)
    stream.take(kafka.records(transaction))
    raw = sinks.ask("SELECT * FROM raw_transactions", "raw_transactions")
    scored = sinks.ask("SELECT * FROM scored_transactions", "scored_transactions")
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
    stream: Stream, kafka: Kafka, rng: random.Random, champion: Champion, sinks: Sinks
) -> None:
    stream.champion = champion
    stream.take(kafka.records(*some(rng, 200)))
    sql = 'SELECT * FROM scored_transactions ORDER BY "hash"'
    scored = sinks.ask(sql, "scored_transactions")
    verdicts = champion.verdicts(scored.select(scored.schema.names[1:8]))
    assert scored["anomaly_score"].to_pylist() == verdicts["anomaly_score"].to_pylist()
    assert scored["is_anomaly"].to_pylist() == verdicts["is_anomaly"].to_pylist()


def test_a_topic_that_holds_everything_three_times_gives_one_row_a_hash(
    stream: Stream, kafka: Kafka, rng: random.Random, champion: Champion, hashes_in: Hashes
) -> None:
    stream.champion = champion
    transactions = some(rng, 30)
    first = stream.take(kafka.records(*transactions, *transactions[:10]))
    kafka.later(hours=1)
    again = stream.take(kafka.records(*transactions[10:], *transactions))
    assert (first.repeats, again.repeats) == (10, 50)
    assert hashes_in("raw_transactions") == hashes_of(transactions)
    assert hashes_in("scored_transactions") == hashes_of(transactions)


def test_a_repeat_is_recognised_through_the_whole_horizon_after_a_restart(
    stream: Stream, kafka: Kafka, rng: random.Random, hashes_in: Hashes
) -> None:
    old, new = some(rng, 1), some(rng, 1)
    stream.take(kafka.records(*old))
    kafka.later(hours=23, minutes=59)
    stream.take(kafka.records(*new))
    stream.restart()
    assert stream.take(kafka.records(*old)).repeats == 1
    assert hashes_in("raw_transactions") == hashes_of(old + new)


def test_a_clock_in_1970_and_one_in_2100_change_neither_windows_nor_memory(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks, hashes_in: Hashes
) -> None:
    wrong = [a_transaction(rng, time=at, first_seen=at) for at in (0, 4_102_444_800)]
    stream.take(kafka.records(*wrong))
    kafka.later(minutes=1)
    assert stream.take(kafka.records(*wrong)).repeats == 2
    rows = sinks.ask("SELECT event_time, append_time FROM raw_transactions", "raw_transactions")
    assert rows["event_time"] == rows["append_time"]
    assert len(hashes_in("raw_transactions")) == 2


def test_bad_records_go_to_quarantine_with_their_bytes_and_the_rest_goes_on(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks, hashes_in: Hashes
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
    taken = stream.take(kafka.records(*bad, good))
    rows = sinks.ask('SELECT * FROM quarantine ORDER BY "offset"', "quarantine").to_pylist()
    assert [row["value"] for row in rows] == bad
    assert all(row["reason"] for row in rows)
    assert [row["offset"] for row in rows] == list(range(len(bad)))
    kinds = taken.rejects["kind"].to_pylist()
    assert kinds[:2] + kinds[3:] == [
        *("empty", "empty", "out_of_range", "wrong_type", "wrong_type", "not_json", "not_json")
    ]
    assert hashes_in("raw_transactions") == [good["hash"]]


def test_a_message_of_two_megabytes_is_taken_whether_good_or_bad(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks, hashes_in: Hashes
) -> None:
    good = a_transaction(rng, memo="x" * 2**21)
    bad = b"y" * 2**21
    stream.take(kafka.records(good, bad))
    assert hashes_in("raw_transactions") == [good["hash"]]
    assert sinks.ask("SELECT value FROM quarantine", "quarantine")["value"].to_pylist() == [bad]


def test_a_batch_of_topics_that_are_still_empty_is_nothing(stream: Stream, kafka: Kafka) -> None:
    assert stream.intake.take(kafka.records()) is None
    assert stream.sinks.rows_by_date("raw_transactions") == {}


def test_a_batch_cut_off_before_scoring_is_neither_doubled_nor_left_unscored(
    stream: Stream,
    kafka: Kafka,
    rng: random.Random,
    champion: Champion,
    hashes_in: Hashes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream.champion = champion
    transactions = some(rng, 20)
    batch = kafka.records(*transactions, b"bad")
    append = stream.sinks.append

    def cut_off(name: str, *args: Any) -> None:
        if name == "scored_transactions":
            raise OSError("killed")
        append(name, *args)

    monkeypatch.setattr(stream.sinks, "append", cut_off)
    with pytest.raises(OSError, match="killed"):
        stream.take(batch)
    monkeypatch.undo()

    stream.restart()
    again = stream.take(batch)
    assert (again.new.num_rows, again.rejects.num_rows) == (0, 0)
    missing = backlog.unscored_dates(stream.sinks)
    assert sum(missing.values()) == 20
    for day, count in missing.items():
        backlog.score_date(stream.sinks, day, count, stream.copies)
    assert hashes_in("raw_transactions") == hashes_of(transactions)
    assert hashes_in("scored_transactions") == hashes_of(transactions)
    quarantined = stream.sinks.ask("SELECT value FROM quarantine", "quarantine")
    assert quarantined["value"].to_pylist() == [b"bad"]


def test_what_came_before_the_first_champion_is_scored_once_it_is_there(
    stream: Stream, kafka: Kafka, rng: random.Random, champion: Champion, hashes_in: Hashes
) -> None:
    before, after = some(rng, 15), some(rng, 5)
    assert not stream.take(kafka.records(*before)).scored
    kafka.later(days=1)
    stream.take(kafka.records(*some(rng, 0), *after[:2]))
    stream.champion = champion
    stream.take(kafka.records(*after[2:]))
    for day, count in backlog.unscored_dates(stream.sinks).items():
        backlog.score_date(stream.sinks, day, count, stream.copies)
    assert backlog.unscored_dates(stream.sinks) == {}
    assert hashes_in("scored_transactions") == hashes_of(before + after)


def test_a_moved_champion_scores_the_next_batch_and_no_batch_has_two_versions(
    stream: Stream, kafka: Kafka, rng: random.Random, champion: Champion, sinks: Sinks
) -> None:
    from dataclasses import replace

    for version in ("1", "2"):
        stream.champion = replace(champion, version=version)
        stream.take(kafka.records(*some(rng, 10)))
        kafka.later(seconds=5)
    rows = sinks.ask(
        "SELECT scored_at, COUNT(DISTINCT model_version) AS versions, MAX(model_version) AS v "
        "FROM scored_transactions GROUP BY 1 ORDER BY 1",
        "scored_transactions",
    )
    assert rows["versions"].to_pylist() == [1, 1]
    assert rows["v"].to_pylist() == ["1", "2"]


def test_times_far_from_the_append_time_fall_in_its_partition_alone(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks
) -> None:
    late = kafka.now - timedelta(days=6)
    stream.take(kafka.records(a_transaction(rng, time=int(late.timestamp()))))
    row = sinks.ask("SELECT * FROM raw_transactions", "raw_transactions").to_pylist()[0]
    assert (row["event_time"], row["date"]) == (late, kafka.now.date())


def test_a_batch_that_reaches_over_days_is_recognised_whole_when_it_is_read_again(
    stream: Stream, kafka: Kafka, rng: random.Random, hashes_in: Hashes, sinks: Sinks
) -> None:
    old, new = some(rng, 5), some(rng, 5)
    frame = kafka.records(*old, b"bad")
    kafka.later(days=3)
    batch = frame.union(kafka.records(*new, b"worse"))
    stream.take(batch)
    stream.restart()
    again = stream.take(batch)
    assert (again.new.num_rows, again.repeats, again.rejects.num_rows) == (0, 10, 0)
    assert hashes_in("raw_transactions") == hashes_of(old + new)
    assert sinks.frame("quarantine").count() == 2
