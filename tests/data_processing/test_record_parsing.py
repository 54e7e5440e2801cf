import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.support.micro_batches import record_batch
from tests.support.stream_samples import NOON, a_block, a_hash, a_transaction, as_json

from core.tables import QUARANTINE_KINDS
from core.topics import BLOCKS, TRANSACTIONS
from core.transaction import MAX_MONEY, MAX_WEIGHT, ObservedTransaction
from data_processing.record_parsing import Reject, event_seconds, parse, parse_batch


def reject_of(value: bytes | None, topic: str = TRANSACTIONS) -> Reject:
    parsed = parse(topic, value)
    assert isinstance(parsed, Reject)
    return parsed


ODD: tuple[Any, ...] = (
    *(-5, 0, 1, MAX_MONEY, MAX_MONEY + 1, MAX_WEIGHT, MAX_WEIGHT + 1, 2**63, 10**30, 1.5, 1e300),
    *(float("nan"), float("inf"), None, True, "", "7", "\ud800", [], ["a"], [None], {}, "0" * 64),
)


def odd_record(rng: random.Random) -> bytes:
    """A transaction, or one that is wrong in up to two of its fields, or lacks one."""
    record = a_transaction(rng)
    fields = [*ObservedTransaction.model_fields, "unknown"]
    for name in rng.sample(fields, rng.randint(0, 2)):
        record[name] = rng.choice(ODD)
    if rng.random() < 0.1:
        del record[rng.choice(list(record))]
    return as_json(record)


def test_the_stream_and_the_model_agree_on_every_record() -> None:
    rng = random.Random(1)
    values = [odd_record(rng) for _ in range(10_000)]
    rows = parse_batch(record_batch(*values)).to_pylist()
    valid = 0
    for value, row in zip(values, rows, strict=True):
        try:
            expected = ObservedTransaction.model_validate_json(value)
        except ValidationError:
            assert row["kind"] in QUARANTINE_KINDS
            assert row["reason"]
            assert row["value"] == value
            assert row["key"] is None
        else:
            valid += 1
            assert row["reason"] is None
            columns = {name: row[name] for name in ObservedTransaction.model_fields}
            assert ObservedTransaction.model_validate(columns) == expected
    assert 2_000 < valid < 8_000


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=50))
def test_no_bytes_can_stop_a_batch(values: list[bytes]) -> None:
    for topic in (TRANSACTIONS, BLOCKS):
        rows = parse_batch(record_batch(*values, topic=topic)).to_pylist()
        assert [row["value"] for row in rows] == values


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"not json", "not_json"),
        (b"[1, 2]", "wrong_type"),
        (b'{"hash": null}', "missing_field"),
        (b'{"hash": "\\ud800"}', "not_json"),
        (b"[" * 100_000, "not_json"),
    ],
)
def test_a_rejected_record_has_one_of_few_kinds(value: bytes | None, kind: str) -> None:
    assert reject_of(value).kind == kind


def test_the_reason_names_the_field_and_how_many_more_are_wrong() -> None:
    record = a_transaction(random.Random(0), fee=-1)
    assert reject_of(as_json(record)).reason == "fee: Input should be greater than or equal to 0"
    assert reject_of(as_json(record | {"size": "9"})).reason.endswith("(and 1 more)")


def test_of_a_key_that_a_record_has_twice_the_last_one_counts() -> None:
    text = json.dumps(a_transaction(random.Random(0), fee=7))[:-1] + ', "fee": 8}'
    parsed = parse(TRANSACTIONS, text.encode())
    assert isinstance(parsed, ObservedTransaction)
    assert parsed.fee == 8


def test_a_coinbase_in_a_mempool_is_refused() -> None:
    coinbase = {"fee": 0, "inputs_count": 1, "input_value": 0, "output_value": 5}
    mined = a_transaction(random.Random(0), source="block", **coinbase)
    assert isinstance(parse(TRANSACTIONS, as_json(mined)), ObservedTransaction)
    reject = reject_of(as_json(mined | {"source": "mempool"}))
    assert reject == Reject(
        "out_of_range", "a coinbase transaction is in a block, never in a mempool"
    )


def test_the_largest_amounts_and_sizes_fit() -> None:
    record = a_transaction(
        random.Random(0), size=MAX_WEIGHT, weight=MAX_WEIGHT, input_value=MAX_MONEY
    )
    row = parse_batch(record_batch(as_json(record))).to_pylist()[0]
    assert (row["input_value"], row["size"]) == (MAX_MONEY, MAX_WEIGHT)


@pytest.mark.parametrize(
    ("claimed", "counts"),
    [
        (None, NOON),
        (NOON - 5, NOON - 5),
        (NOON - 7 * 86_400, NOON - 7 * 86_400),
        (NOON - 7 * 86_400 - 1, NOON),
        (NOON + 7_200, NOON + 7_200),
        (NOON + 7_201, NOON),
        (0, NOON),
        (4_102_444_800, NOON),
    ],
)
def test_a_claimed_time_counts_only_near_the_brokers(claimed: int | None, counts: int) -> None:
    assert event_seconds(claimed, float(NOON)) == counts


@given(
    st.datetimes(datetime(2009, 1, 3), datetime(2106, 1, 1), timezones=st.just(UTC))
    | st.just(datetime(2026, 3, 1, 23, 59, 59, 999_999, UTC)),
    st.none() | st.integers(-7_200, 7_200),
)
def test_the_times_of_a_row_are_those_of_its_record(at: datetime, late: int | None) -> None:
    claimed = None if late is None else int(at.timestamp()) - late
    record = a_transaction(random.Random(0), time=claimed)
    (row,) = parse_batch(record_batch(as_json(record), appended=at)).to_pylist()
    assert (row["append_time"], row["date"]) == (at, at.date())
    assert row["event_time"] == (at if claimed is None else datetime.fromtimestamp(claimed, UTC))


def test_a_block_becomes_its_hashes() -> None:
    rng = random.Random(0)
    block = a_block(rng, 800_000, [a_hash(rng), a_hash(rng)])
    row = parse_batch(record_batch(as_json(block), topic=BLOCKS)).to_pylist()[0]
    assert (row["block_hash"], row["block_height"]) == (block["hash"], 800_000)
    assert row["transaction_hashes"] == block["transaction_hashes"]
    assert row["block_time"] == datetime.fromtimestamp(NOON, UTC)
    assert row["key"] is None
    assert row["reason"] is None


def test_a_block_with_an_invalid_hash_is_rejected() -> None:
    block = as_json(a_block(random.Random(0), 1, ["no hash"]))
    assert reject_of(block, BLOCKS).reason.startswith("transaction_hashes.0: ")


def test_a_payment_has_a_fee_rate_a_coinbase_has_none_and_a_block_counts_what_it_confirms() -> None:
    rng = random.Random(3)
    payment = a_transaction(rng, fee=1_000, weight=400)
    changes = {"inputs_count": 1, "input_value": 0, "fee": 0, "output_value": 5, "source": "block"}
    coinbase = a_transaction(rng, **changes)
    rows = parse_batch(record_batch(as_json(payment), as_json(coinbase))).to_pylist()
    assert [row["fee_rate"] for row in rows] == [10.0, None]
    block = as_json(a_block(rng, 7, [a_hash(rng), a_hash(rng)]))
    (row,) = parse_batch(record_batch(block, topic=BLOCKS)).to_pylist()
    assert (row["transactions"], row["fee_rate"], row["key"]) == (2, None, None)
