import random
from typing import Any

import pytest
from tests.support.micro_batches import FakeKafka, Writer
from tests.support.stream_samples import a_block, a_hash

from core.topics import BLOCKS
from data_processing.lake_tables import LakeTables

pytestmark = pytest.mark.stack


def block_on(
    below: dict[str, Any] | None, rng: random.Random, height: int, *hashes: str
) -> dict[str, Any]:
    previous = below["hash"] if below else "0" * 64
    return a_block(rng, height, list(hashes), previous_hash=previous)


def confirmed(tables: LakeTables) -> dict[str, tuple[int, str]]:
    rows = tables.query("SELECT * FROM confirmations", "confirmations").to_pylist()
    assert len({row["hash"] for row in rows}) == len(rows), "one row a hash"
    return {row["hash"]: (row["block_height"], row["block_hash"]) for row in rows}


def test_a_reorganisation_moves_and_takes_back_confirmations(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    a, b, c, d = (a_hash(rng) for _ in range(4))
    one = block_on(None, rng, 100, a)
    two = block_on(one, rng, 101, b, c)
    writer.write(kafka.records(one, two, topic=BLOCKS))
    assert confirmed(tables) == {a: (100, one["hash"]), **dict.fromkeys((b, c), (101, two["hash"]))}

    kafka.later(minutes=10)
    other = block_on(one, rng, 101, c, d)
    three = block_on(other, rng, 102, b)
    writer.write(kafka.records(other, three, topic=BLOCKS))
    assert confirmed(tables) == {
        a: (100, one["hash"]),
        b: (102, three["hash"]),
        c: (101, other["hash"]),
        d: (101, other["hash"]),
    }


def test_blocks_that_are_read_again_change_nothing_even_after_a_reorganisation(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    a, b = a_hash(rng), a_hash(rng)
    old = kafka.records(block_on(None, rng, 100, a), topic=BLOCKS)
    writer.write(old)
    kafka.later(minutes=1)
    new = kafka.records(block_on(None, rng, 100, b), topic=BLOCKS)
    writer.write(new)
    before = confirmed(tables)
    assert set(before) == {b}
    writer.restart()
    for records in (old, new):
        assert writer.write(records).confirmed == 0
    assert confirmed(tables) == before


def test_a_reorganisation_counts_though_the_broker_s_clock_was_put_back(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    a, b = a_hash(rng), a_hash(rng)
    kafka.later(days=2)
    writer.write(kafka.records(block_on(None, rng, 100, a), topic=BLOCKS))
    kafka.later(days=-2, minutes=10)
    writer.write(kafka.records(block_on(None, rng, 100, b), topic=BLOCKS))
    assert set(confirmed(tables)) == {b}


def test_a_block_below_those_known_joins_them(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    a, b = a_hash(rng), a_hash(rng)
    writer.write(kafka.records(block_on(None, rng, 100, a), topic=BLOCKS))
    writer.write(kafka.records(block_on(None, rng, 90, b), topic=BLOCKS))
    assert {height for height, _ in confirmed(tables).values()} == {100, 90}


def test_blocks_and_transactions_in_one_batch_do_not_mix(
    writer: Writer, kafka: FakeKafka, rng: random.Random, tables: LakeTables
) -> None:
    block = block_on(None, rng, 100, a_hash(rng), a_hash(rng))
    batch = writer.write(kafka.records(block, b"bad", topic=BLOCKS))
    assert (batch.new.num_rows, batch.rejects.num_rows, batch.confirmed) == (0, 1, 2)
    quarantined = tables.query("SELECT topic FROM quarantine", "quarantine")
    assert quarantined["topic"].to_pylist() == [BLOCKS]
