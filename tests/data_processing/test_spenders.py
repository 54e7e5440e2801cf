import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from tests.data_processing.samples import NOON, a_hash

from core.tables import TIMESTAMP
from data_processing.spenders import KnownSpenders, Spends, pair_of

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
    """Transactions that spend what they are told to, one a second."""

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
    pool, known = Mempool(), KnownSpenders(24)
    first, second = pool.spends("7:0", fee=100), pool.spends("7:0", fee=350)
    assert known.replacements(table(first)) == []
    (found,) = known.replacements(table(second))
    assert found == {
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
    pool, known = Mempool(), KnownSpenders(24)
    a, b, c = (pool.spends("7:0") for _ in range(3))
    pairs = [(r["hash"], r["replaced_hash"]) for r in known.replacements(table(a, b, c))]
    assert pairs == [(b["hash"], a["hash"]), (c["hash"], b["hash"])]


def test_several_outpoints_in_common_are_one_replacement() -> None:
    pool, known = Mempool(), KnownSpenders(24)
    known.replacements(table(pool.spends("7:0", "8:1")))
    assert len(known.replacements(table(pool.spends("8:1", "7:0", "9:9")))) == 1


def test_one_that_spends_what_two_spent_replaces_both() -> None:
    pool, known = Mempool(), KnownSpenders(24)
    known.replacements(table(pool.spends("1:0"), pool.spends("2:0")))
    assert len(known.replacements(table(pool.spends("1:0", "2:0")))) == 2


def test_other_outpoints_and_unknown_ones_replace_nothing() -> None:
    pool, known = Mempool(), KnownSpenders(24)
    unknown = pool.spends() | {"spent_outpoints": None}
    assert known.replacements(table(pool.spends("1:0"), pool.spends("1:1"), unknown)) == []
    assert len(known) == 2


def test_the_last_spender_counts_across_hours_and_is_forgotten_after_the_horizon() -> None:
    pool, known = Mempool(), KnownSpenders(2)
    known.replacements(table(pool.spends("1:0")))
    pool.now += timedelta(hours=1)
    second = pool.spends("1:0")
    known.replacements(table(second))
    pool.now += timedelta(hours=1)
    (found,) = known.replacements(table(pool.spends("1:0")))
    assert found["replaced_hash"] == second["hash"]
    pool.now += timedelta(hours=4)
    known.replacements(table(pool.spends("5:5")))
    assert known.replacements(table(pool.spends("1:0"))) == []


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
    pool, known, last = Mempool(), KnownSpenders(24), dict[int, str]()
    expected, found = [], []
    for batch in batches:
        rows = [pool.spends(*(f"{n}:0" for n in spent)) for spent in batch]
        pairs = set()
        for row, spent in zip(rows, batch, strict=True):
            pairs |= {
                (row["hash"], last[n]) for n in spent if last.get(n, row["hash"]) != row["hash"]
            }
            last |= dict.fromkeys(spent, row["hash"])
        expected.append(pairs)
        found.append({(r["hash"], r["replaced_hash"]) for r in known.replacements(table(*rows))})
    assert found == expected
