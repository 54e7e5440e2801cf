"""The severity of a message: the first row of the table that holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.settings import ROOT
from core.severity import SEVERITIES, TABLE, highest, rank, row_of, severity, table_document

ORDINARY: dict[str, Any] = {
    "is_anomaly": True,
    "flagged_by": "model",
    "anomaly_score": 0.62,
    "threshold": 0.61,
    "fee": 2_000,
    "fee_rate": 10.0,
    "market_fee_rate": 8.0,
    "output_value": 5_000_000,
    "patterns": [],
}
BTC = 100_000_000

NUMBERS = st.floats() | st.integers(-(2**63), 2**63) | st.none() | st.text(max_size=3)
NUMERIC = ("anomaly_score", "threshold", "fee", "fee_rate", "market_fee_rate", "output_value")
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "is_anomaly": st.booleans(),
        "kind": st.sampled_from(["flagged", "watched"]) | st.none(),
        "watch_severity": st.sampled_from(SEVERITIES) | st.none() | st.text(max_size=3),
        "flagged_by": st.sampled_from(["model", "rule", "both"]) | st.none(),
        "patterns": st.none() | st.lists(st.sampled_from(["dust", "oversized"]) | st.none()),
        "pattern": st.none() | st.just("fee_overpaid"),
        **dict.fromkeys(NUMERIC, NUMBERS),
    },
)


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({}, "other"),
        ({"anomaly_score": 0.67}, "above_threshold"),
        ({"anomaly_score": 0.72}, "far_above_threshold"),
        ({"fee_rate": 80.0}, "above_market"),
        ({"fee_rate": 80.0, "package_fee_rate": 9.0}, "other"),
        ({"fee_rate": 320.0, "fee": BTC // 100}, "far_above_market"),
        ({"fee_rate": 80.0, "fee": BTC}, "fee_lost"),
        ({"fee": BTC}, "other"),
        ({"output_value": 100 * BTC}, "large"),
        ({"output_value": 1_000 * BTC}, "very_large"),
        ({"flagged_by": "rule"}, "by_rule"),
        ({"flagged_by": "both"}, "by_both"),
        ({"flagged_by": "both", "output_value": 100 * BTC}, "large_by_both"),
        ({"patterns": ["zero_fee", "dust_fan_out"]}, "telling_pattern"),
        ({"patterns": None, "pattern": "fee_overpaid"}, "telling_pattern"),
        ({"watch_severity": "high"}, "watched_high"),
        ({"watch_severity": "low", "output_value": 100 * BTC}, "large"),
        ({"is_anomaly": False, "kind": "watched", "output_value": 1_000 * BTC}, "other"),
        ({"is_anomaly": False, "kind": "watched", "watch_severity": "medium"}, "watched_medium"),
    ],
)
def test_the_first_row_that_holds_gives_the_severity(change: dict[str, Any], row: str) -> None:
    assert row_of(ORDINARY | change).name == row


def test_the_table_goes_from_the_most_severe_to_the_least() -> None:
    ranks = [rank(row.severity) for row in TABLE]
    assert ranks == sorted(ranks, reverse=True)
    assert {row.severity for row in TABLE} == set(SEVERITIES)
    assert len({row.name for row in TABLE}) == len(TABLE)


@given(MESSAGES)
def test_every_message_has_a_severity_whatever_it_lacks(message: dict[str, Any]) -> None:
    assert severity(message) in SEVERITIES


@given(MESSAGES, st.sampled_from(SEVERITIES))
def test_a_hit_is_at_least_as_severe_as_its_entry(message: dict[str, Any], entry: Any) -> None:
    assert rank(severity(message | {"watch_severity": entry})) >= rank(entry)


def test_an_empty_message_is_low_and_the_highest_of_some_counts() -> None:
    assert severity({}) == "low"
    assert highest(["low", "critical", "medium"]) == "critical"


def test_the_page_shows_the_table() -> None:
    assert table_document() in (ROOT / "docs" / "alerts.md").read_text()
