import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.case_samples import NOON, a_flag, a_hash

from casework.flags import MOST_LISTED, flag_row, message_of
from casework.linking import trace
from core.case_rows import CASE_MEMBERS
from core.severity import SEVERITIES

REQUIRED = {"sequence": 1, "number": 1, "joined_at": NOON}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def test_a_message_fills_its_columns() -> None:
    row = flag_row(a_flag(7, pattern="dust", patterns=["dust", "low_fee"]), NOON)
    assert row["key"] == row["hash"] == a_hash(7)
    assert (row["kind"], row["severity"]) == ("flagged", "low")
    assert row["patterns"] == ["dust", "low_fee"]
    assert row["output_values"] == [400_007, 600_000]
    assert row["event_time"].isoformat() == "2026-11-23T12:07:00+00:00"
    assert set(row) <= set(CASE_MEMBERS.names)


def test_a_message_of_an_earlier_version_has_the_first_pattern_and_the_records_time() -> None:
    old = {"hash": a_hash(1), "pattern": "dust", "explanation": "Unusual.", "is_anomaly": True}
    row = flag_row(old, NOON)
    assert row["patterns"] == ["dust"]
    assert row["event_time"] == NOON
    assert row["output_addresses"] is None


def test_each_hit_of_the_watch_list_is_a_message_of_its_own() -> None:
    hit = {"entry": 3, "name": "Cold wallet", "severity": "high", "what": "was_paid"}
    watched = a_flag(1, kind="watched", is_anomaly=False, watch_severity="high", watched=[hit])
    row = flag_row(watched, NOON)
    assert (row["kind"], row["severity"], row["is_anomaly"]) == ("watched", "high", False)
    assert row["watched"] == [hit | {"entry": "3"}]
    other = flag_row(watched | {"watched": [hit | {"what": ["paid", "replaced"]}]}, NOON)
    assert len({row["key"], other["key"], a_hash(1)}) == 3
    assert other["watched"][0]["what"] == "paid, replaced"


def test_longer_lists_are_cut_and_wrong_ones_left_out() -> None:
    many = [f"bc1q{number}" for number in range(MOST_LISTED + 1)]
    assert flag_row(a_flag(1, input_addresses=many), NOON)["input_addresses"] == many[:-1]
    assert flag_row(a_flag(1, input_addresses=["<b>"]), NOON)["input_addresses"] is None
    assert flag_row(a_flag(1, spent_outpoints=["x:1"]), NOON)["spent_outpoints"] is None


@pytest.mark.parametrize(
    "value",
    [None, b"", b"{", b"[]", b'"a"', b"[" * 100_000, b"\xff", b'{"hash": 1}', b'{"hash": "ab"}']
    + [json.dumps({"hash": a_hash(1).upper()}).encode()],
)
def test_a_record_that_names_no_transaction_is_no_message(value: bytes | None) -> None:
    assert message_of(value) is None


@given(st.dictionaries(st.sampled_from(sorted({*a_flag(1), "kind", "watched"})), ANYTHING))
def test_whatever_the_fields_hold_the_row_fits_the_table_and_can_be_linked(
    changes: dict[str, Any],
) -> None:
    row = flag_row(a_flag(1) | changes | {"hash": a_hash(1)}, NOON)
    (read,) = pa.Table.from_pylist([row | REQUIRED], CASE_MEMBERS).to_pylist()
    assert read["severity"] in SEVERITIES
    assert trace(read).hash == a_hash(1)


@pytest.mark.parametrize(
    "what", [r'"\ud800"', "[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900]
)
def test_a_hit_that_no_column_can_hold_does_not_keep_the_others_from_their_cases(what: str) -> None:
    """What fails here would be read again for ever, and nothing after it."""
    hit = f'{{"entry": "a", "what": {what}}}'
    text = f'{{"hash": "{a_hash(1)}", "kind": "watched", "watched": [{hit}]}}'
    message = message_of(text.encode())
    assert message is not None
    row = REQUIRED | flag_row(message, NOON)
    written = pa.Table.from_pylist([row], CASE_MEMBERS).to_pylist()[0]
    assert [hit["entry"] for hit in written["watched"]] == ["a"]
