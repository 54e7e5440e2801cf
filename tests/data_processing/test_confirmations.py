import random
from typing import Any

import pytest
from tests.data_processing.conftest import Kafka, Stream
from tests.data_processing.samples import a_block, a_hash

from core.topics import BLOCKS
from data_processing.sinks import Sinks

pytestmark = pytest.mark.stack


class Chain:
    """Blocks on each other, of the hashes they are told to hold."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def block(self, height: int, below: dict[str, Any] | None, *hashes: str) -> dict[str, Any]:
        previous = below["hash"] if below else "0" * 64
        return a_block(self.rng, height, list(hashes), previous_hash=previous)


def confirmed(sinks: Sinks) -> dict[str, tuple[int, str]]:
    rows = sinks.ask("SELECT * FROM confirmations", "confirmations").to_pylist()
    assert len({row["hash"] for row in rows}) == len(rows), "one row a hash"
    return {row["hash"]: (row["block_height"], row["block_hash"]) for row in rows}


def test_a_reorganisation_moves_and_takes_back_confirmations(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks
) -> None:
    chain = Chain(rng)
    a, b, c, d = (a_hash(rng) for _ in range(4))
    one = chain.block(100, None, a)
    two = chain.block(101, one, b, c)
    stream.take(kafka.records(one, two, topic=BLOCKS))
    assert confirmed(sinks) == {a: (100, one["hash"]), **dict.fromkeys((b, c), (101, two["hash"]))}

    kafka.later(minutes=10)
    other = chain.block(101, one, c, d)
    three = chain.block(102, other, b)
    stream.take(kafka.records(other, three, topic=BLOCKS))
    assert confirmed(sinks) == {
        a: (100, one["hash"]),
        b: (102, three["hash"]),
        c: (101, other["hash"]),
        d: (101, other["hash"]),
    }


def test_blocks_that_are_read_again_change_nothing_even_after_a_reorganisation(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks
) -> None:
    chain = Chain(rng)
    a, b = a_hash(rng), a_hash(rng)
    old = kafka.records(chain.block(100, None, a), topic=BLOCKS)
    stream.take(old)
    kafka.later(minutes=1)
    new = kafka.records(chain.block(100, None, b), topic=BLOCKS)
    stream.take(new)
    before = confirmed(sinks)
    assert set(before) == {b}
    stream.restart()
    for batch in (old, new):
        assert stream.take(batch).confirmed == 0
    assert confirmed(sinks) == before


def test_a_block_below_those_known_joins_them(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks
) -> None:
    chain = Chain(rng)
    a, b = a_hash(rng), a_hash(rng)
    stream.take(kafka.records(chain.block(100, None, a), topic=BLOCKS))
    stream.take(kafka.records(chain.block(90, None, b), topic=BLOCKS))
    assert {height for height, _ in confirmed(sinks).values()} == {100, 90}


def test_blocks_and_transactions_in_one_batch_do_not_mix(
    stream: Stream, kafka: Kafka, rng: random.Random, sinks: Sinks
) -> None:
    block = Chain(rng).block(100, None, a_hash(rng), a_hash(rng))
    taken = stream.take(kafka.records(block, b"bad", topic=BLOCKS))
    assert (taken.new.num_rows, taken.rejects.num_rows, taken.confirmed) == (0, 1, 2)
    quarantined = sinks.ask("SELECT topic FROM quarantine", "quarantine")
    assert quarantined["topic"].to_pylist() == [BLOCKS]
