import os
import random
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from tests.support.stream_samples import a_hash

from data_processing.seen_transactions import (
    SeenKeys,
    append_hours,
    are_first,
    as_keys,
    keys_of_hashes,
    record_keys,
)


def test_a_key_is_recognised_until_its_hour_is_forgotten() -> None:
    seen = SeenKeys()
    first, second = as_keys([b"a" * 16]), as_keys([b"b" * 16])
    seen.add(first, np.array([100]))
    seen.add(second, np.array([101]))
    seen.forget_before(datetime.fromtimestamp(101 * 3_600 - 1, UTC))
    assert seen.contains(first).all()
    seen.forget_before(datetime.fromtimestamp(101 * 3_600, UTC))
    assert not seen.contains(first).any()
    assert seen.contains(second).all()


def test_nothing_is_recognised_at_first() -> None:
    assert not SeenKeys().contains(as_keys([b"a" * 16])).any()
    assert not SeenKeys().contains(as_keys([])).size


def test_memory_agrees_with_a_set_over_many_batches() -> None:
    rng = random.Random(1)
    seen, model = SeenKeys(), set[bytes]()
    for hour in range(20):
        batch = [rng.randbytes(2) + b"\0" * 14 for _ in range(500)]
        keys = as_keys(batch)
        assert seen.contains(keys).tolist() == [value in model for value in batch]
        new = ~seen.contains(keys) & are_first(keys)
        seen.add(keys[new], np.full(new.sum(), hour))
        model |= set(batch)
    assert len(seen) == len(model)


def test_two_million_hashes_take_no_more_than_their_bytes() -> None:
    seen = SeenKeys()
    for hour in range(20):
        keys = np.frombuffer(os.urandom(16 * 100_000), "S16")
        seen.add(keys, np.full(len(keys), hour))
    assert len(seen) == 2_000_000
    assert sum(keys.nbytes for keys in seen._by_hour.values()) == 32_000_000


def test_of_equal_keys_only_the_first_is_first() -> None:
    assert are_first(as_keys([b"b" * 16, b"a" * 16, b"b" * 16])).tolist() == [True, True, False]


def test_hashes_that_differ_in_their_first_half_have_different_keys() -> None:
    rng = random.Random(0)
    hashes = [a_hash(rng) for _ in range(1_000)]
    assert len(set(keys_of_hashes(pa.chunked_array([hashes])).tolist())) == 1_000


def test_a_record_s_key_is_of_its_place_and_time() -> None:
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
    keys = record_keys(pa.Table.from_pylist(rows, schema))
    assert len(set(keys.tolist())) == len(rows)


def test_hours_are_counted_from_1970() -> None:
    times = pa.chunked_array([[datetime(1970, 1, 2, 3, 59, tzinfo=UTC)]], pa.timestamp("us", "UTC"))
    assert append_hours(times).tolist() == [27]
