import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import NOON, a_hash, a_transaction

from core.tables import TIMESTAMP
from data_processing import last_spenders
from data_processing.chores.replacements import Minute, Replacements, periods_to_replay
from data_processing.lake_tables import LakeTables
from data_processing.last_spenders import LastSpenders, Spends, pair_of
from monitoring.stream_metrics import StreamMetrics

START = datetime.fromtimestamp(NOON, UTC)
SCHEMA = pa.schema(
    {
        "hash": pa.string(),
        "fee": pa.int64(),
        "spent_outpoints": pa.list_(pa.string()),
        "append_time": TIMESTAMP,
    }
)


class Mempool:
    """Transactions that spend given outpoints, one a second."""

    def __init__(self) -> None:
        self.rng, self.now = random.Random(3), START

    def spends(self, *outpoints: str, fee: int = 100) -> dict[str, Any]:
        self.now += timedelta(seconds=1)
        return {
            "hash": a_hash(self.rng),
            "fee": fee,
            "spent_outpoints": list(outpoints),
            "append_time": self.now,
        }


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), SCHEMA)


def test_a_replacement_names_both_and_the_fee_change() -> None:
    pool, spenders = Mempool(), LastSpenders(1_000)
    first, second = pool.spends("7:0", fee=100), pool.spends("7:0", fee=350)
    assert spenders.add(table(first)) == []
    (replacement,) = spenders.add(table(second))
    assert replacement == {
        "outpoint": "7:0",
        "hash": second["hash"],
        "replaced_hash": first["hash"],
        "fee": 350,
        "replaced_fee": 100,
        "fee_change": 250,
        "append_time": second["append_time"],
        "date": second["append_time"].date(),
    }


def test_both_may_come_in_one_batch_and_a_chain_links_neighbours() -> None:
    pool, spenders = Mempool(), LastSpenders(1_000)
    a, b, c = (pool.spends("7:0") for _ in range(3))
    pairs = [(r["hash"], r["replaced_hash"]) for r in spenders.add(table(a, b, c))]
    assert pairs == [(b["hash"], a["hash"]), (c["hash"], b["hash"])]


def test_several_outpoints_in_common_are_one_replacement() -> None:
    pool, spenders = Mempool(), LastSpenders(1_000)
    spenders.add(table(pool.spends("7:0", "8:1")))
    assert len(spenders.add(table(pool.spends("8:1", "7:0", "9:9")))) == 1


def test_one_that_spends_what_two_spent_replaces_both() -> None:
    pool, spenders = Mempool(), LastSpenders(1_000)
    spenders.add(table(pool.spends("1:0"), pool.spends("2:0")))
    assert len(spenders.add(table(pool.spends("1:0", "2:0")))) == 2


def test_other_outpoints_and_unknown_ones_replace_nothing() -> None:
    pool, spenders = Mempool(), LastSpenders(1_000)
    unknown = pool.spends() | {"spent_outpoints": None}
    assert spenders.add(table(pool.spends("1:0"), pool.spends("1:1"), unknown)) == []
    assert len(spenders) == 2


def test_the_last_spender_counts_whatever_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_spenders, "_RUN_OUTPOINTS", 1)
    pool, spenders = Mempool(), LastSpenders(1_000)
    previous = pool.spends("1:0")
    assert spenders.add(table(previous)) == []
    for days in (0, 2, -4, 400, -398):
        pool.now += timedelta(days=days)
        spender = pool.spends("1:0")
        (replacement,) = spenders.add(table(spender))
        assert replacement["replaced_hash"] == previous["hash"]
        previous = spender


def test_the_outpoints_spent_first_are_forgotten_beyond_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(last_spenders, "_RUN_OUTPOINTS", 5)
    pool, spenders = Mempool(), LastSpenders(100)
    for n in range(200):
        spenders.add(table(pool.spends(f"{n}:0")))
    assert 100 <= len(spenders) <= 105
    assert spenders.add(table(pool.spends("90:0"))) == []
    assert len(spenders.add(table(pool.spends("101:0")))) == 1


MINUTES = st.lists(st.tuples(st.integers(1, 60_000), st.integers(0, 9)), max_size=30)


@given(MINUTES, st.integers(1, 200_000))
def test_the_newest_minutes_are_replayed_in_bounded_periods(
    sizes: list[tuple[int, int]], most: int
) -> None:
    minutes = [
        Minute(START + timedelta(minutes=n), rows, rows * each)
        for n, (rows, each) in enumerate(sizes)
    ]
    periods = periods_to_replay(minutes, most)
    inside = [[m for m in minutes if since <= m.at < until] for since, until in periods]
    replayed = [minute for of_period in inside for minute in of_period]
    assert replayed == minutes[len(minutes) - len(replayed) :]
    spent = sum(minute.outpoints for minute in replayed)
    assert spent >= most or replayed == minutes
    assert not replayed or spent - replayed[0].outpoints < most
    assert all(len(of) == 1 or sum(m.rows for m in of) <= 50_000 for of in inside)


def test_a_pair_is_the_same_in_either_order() -> None:
    one: dict[str, object] = {"hash": "a", "replaced_hash": "b"}
    assert pair_of(one) == pair_of({"hash": "b", "replaced_hash": "a"}) == ("a", "b")


def test_of_equal_outpoints_the_last_is_kept() -> None:
    hashes = np.frombuffer(bytes(range(96)), "V32")
    spends = Spends(np.array([5, 3, 5]), hashes, np.array([1, 2, 3])).last_of_each()
    assert (spends.keys.tolist(), spends.fees.tolist()) == ([3, 5], [2, 3])


@given(st.lists(st.lists(st.lists(st.integers(0, 6), max_size=3), max_size=5), max_size=6))
def test_in_any_batches_each_outpoint_is_replaced_from_its_last_spender(
    batches: list[list[list[int]]],
) -> None:
    pool, spenders, last = Mempool(), LastSpenders(1_000), dict[int, str]()
    expected, actual = [], []
    for batch in batches:
        rows = [pool.spends(*(f"{n}:0" for n in spent)) for spent in batch]
        pairs = set()
        for row, spent in zip(rows, batch, strict=True):
            pairs |= {
                (row["hash"], last[n]) for n in spent if last.get(n, row["hash"]) != row["hash"]
            }
            last |= dict.fromkeys(spent, row["hash"])
        expected.append(pairs)
        actual.append({(r["hash"], r["replaced_hash"]) for r in spenders.add(table(*rows))})
    assert actual == expected


def written(tables: LakeTables) -> list[tuple[str, str, int]]:
    rows = tables.query("SELECT * FROM replacements", "replacements").to_pylist()
    return sorted((r["hash"], r["replaced_hash"], r["fee_change"]) for r in rows)


@pytest.mark.stack
def test_a_replacement_is_written_once_though_the_process_dies_before_or_after(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables, metrics: StreamMetrics
) -> None:
    first, second, third = (
        a_transaction(rng, spent_outpoints=["7:0"], fee=fee) for fee in (100, 350, 900)
    )
    writer.write(kafka.records(first))
    kafka.later(seconds=5)
    chore = Replacements(tables, writer.spenders, 0, metrics)
    chore.on_batch(writer.write(kafka.records(second)))
    assert chore.due()

    writer.restart()
    restarted = Replacements(tables, writer.spenders, 0, metrics)
    assert restarted.due()
    restarted.run()
    expected = [(second["hash"], first["hash"], 250)]
    assert written(tables) == expected

    writer.restart()
    restarted = Replacements(tables, writer.spenders, 0, metrics)
    assert not restarted.due()
    kafka.later(seconds=5)
    restarted.on_batch(writer.write(kafka.records(third)))
    restarted.run()
    assert written(tables) == sorted([*expected, (third["hash"], second["hash"], 550)])


@pytest.mark.stack
def test_they_are_written_together_and_not_more_often_than_set(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables, metrics: StreamMetrics
) -> None:
    clock = timedelta()
    chore = Replacements(tables, writer.spenders, 15, metrics, clock=lambda: clock.total_seconds())
    chore.on_batch(
        writer.write(kafka.records(*(a_transaction(rng, spent_outpoints=["7:0"]) for _ in "ab")))
    )
    chore.run()
    kafka.later(seconds=1)
    chore.on_batch(writer.write(kafka.records(a_transaction(rng, spent_outpoints=["7:0"]))))
    clock += timedelta(seconds=14)
    assert not chore.due()
    clock += timedelta(seconds=1)
    assert chore.due()


@pytest.mark.stack
@pytest.mark.parametrize("ahead", [0, 2])
def test_at_the_start_days_are_searched_though_a_row_is_stamped_ahead(
    writer: Writer,
    kafka: FakeKafka,
    rng: random.Random,
    tables: LakeTables,
    metrics: StreamMetrics,
    ahead: int,
) -> None:
    first = a_transaction(rng, spent_outpoints=["7:0"], fee=100)
    writer.write(kafka.records(first))
    kafka.later(days=3 + ahead)
    writer.write(kafka.records(a_transaction(rng)))
    kafka.later(days=-ahead)
    second = a_transaction(rng, spent_outpoints=["7:0"], fee=350)
    writer.write(kafka.records(second))
    restarted = Replacements(tables, LastSpenders(), 0, metrics)
    restarted.run()
    assert written(tables) == [(second["hash"], first["hash"], 250)]
    assert not Replacements(tables, LastSpenders(), 0, metrics).due()
