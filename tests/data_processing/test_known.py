import os
import random
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from tests.data_processing.samples import a_hash

from data_processing.known import (
    KnownKeys,
    as_keys,
    firsts,
    hours,
    keys_of_hashes,
    receipt_keys,
)


def test_a_key_is_known_until_its_hour_is_forgotten() -> None:
    known = KnownKeys()
    first, second = as_keys([b"a" * 16]), as_keys([b"b" * 16])
    known.add(first, np.array([100]))
    known.add(second, np.array([101]))
    known.forget_before(datetime.fromtimestamp(101 * 3_600 - 1, UTC))
    assert known.contains(first).all()
    known.forget_before(datetime.fromtimestamp(101 * 3_600, UTC))
    assert not known.contains(first).any()
    assert known.contains(second).all()


def test_nothing_is_known_at_first() -> None:
    assert not KnownKeys().contains(as_keys([b"a" * 16])).any()
    assert not KnownKeys().contains(as_keys([])).size


def test_memory_agrees_with_a_set_over_many_batches() -> None:
    rng = random.Random(1)
    known, model = KnownKeys(), set[bytes]()
    for hour in range(20):
        batch = [rng.randbytes(2) + b"\0" * 14 for _ in range(500)]
        keys = as_keys(batch)
        assert known.contains(keys).tolist() == [value in model for value in batch]
        new = ~known.contains(keys) & firsts(keys)
        known.add(keys[new], np.full(new.sum(), hour))
        model |= set(batch)
    assert len(known) == len(model)


def test_two_million_hashes_take_no_more_than_their_bytes() -> None:
    known = KnownKeys()
    for hour in range(20):
        keys = np.frombuffer(os.urandom(16 * 100_000), "S16")
        known.add(keys, np.full(len(keys), hour))
    assert len(known) == 2_000_000
    assert sum(keys.nbytes for keys in known._by_hour.values()) == 32_000_000


def test_of_equal_keys_the_first_is_the_first() -> None:
    assert firsts(as_keys([b"b" * 16, b"a" * 16, b"b" * 16])).tolist() == [True, True, False]


def test_hashes_that_differ_in_their_first_half_have_different_keys() -> None:
    rng = random.Random(0)
    hashes = [a_hash(rng) for _ in range(1_000)]
    assert len(set(keys_of_hashes(pa.chunked_array([hashes])).tolist())) == 1_000


def test_a_record_is_known_by_place_and_time() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    rows = [
        {"topic": topic, "partition": partition, "offset": offset, "append_time": time}
        for topic in ("a", "b")
        for partition in (0, 1)
        for offset in (5, 2**40)
        for time in (at, at.replace(microsecond=1_000))
    ]
    schema = pa.schema(
        {
            "topic": pa.string(),
            "partition": pa.int32(),
            "offset": pa.int64(),
            "append_time": pa.timestamp("us", "UTC"),
        }
    )
    keys = receipt_keys(pa.Table.from_pylist(rows, schema))
    assert len(set(keys.tolist())) == len(rows)


def test_hours_are_counted_from_1970() -> None:
    times = pa.chunked_array([[datetime(1970, 1, 2, 3, 59, tzinfo=UTC)]], pa.timestamp("us", "UTC"))
    assert hours(times).tolist() == [27]
