from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.activity.filters import Filters, parse_btc, problems
from dashboard.activity.queries import bin_edges

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?range=24h",
        "?range=custom&start=2026-11-22T10:00:00Z&end=2026-11-23T10:00:00Z",
        "?range=6h&threshold=0.617&value_min=0.00000001&value_max=20999999.9769",
        "?fee_rate_min=1.5&fee_rate_max=300&inputs_min=2&outputs_max=10",
        "?pattern=coinjoin,none&flagged=1&hash=00ab&order=newest",
        "?times_min=0.5&times_max=31&flagged_by=rule,both&order=times&axis=times",
        "?fee_rate_min=0.0000001&fee_rate_max=1234567",
    ],
)
def test_filters_survive_their_own_url(query: str) -> None:
    assert Filters.from_query(query).query == query


@given(st.floats(0, 1e15, exclude_max=True), st.floats(0, 1e15, exclude_max=True))
def test_a_number_survives_the_url_with_every_digit(least: float, most: float) -> None:
    filters = Filters(fee_rate_min=least, times_max=most)
    assert Filters.from_query(filters.query) == filters


@pytest.mark.parametrize("pasted", [" 00AB\tcd\n", "00ab cd", "00ab\u00a0cd", "0" * 64 + " 1"])
def test_a_hash_is_read_without_the_spaces_that_it_was_copied_with(pasted: str) -> None:
    filters = Filters.from_parameters({"hash": pasted})
    assert filters.hash in ("00abcd", "0" * 64)
    assert Filters.from_query(filters.query) == filters


@given(st.text(max_size=80), st.text(max_size=30))
def test_nonsense_in_a_url_is_left_out_and_never_an_error(name: str, value: str) -> None:
    for field in ("range", "start", "threshold", "value_min", "inputs_max", "pattern", name):
        filters = Filters.from_parameters({field: value})
        assert Filters.from_query(filters.query).query == filters.query
    Filters.from_query(f"?{name}={value}")


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "1e99", "0x10"])
def test_a_number_that_is_not_one_is_no_filter(text: str) -> None:
    assert Filters.from_query(f"?threshold={text}&value_min={text}&inputs_min={text}") == Filters()


def test_an_amount_in_btc_is_exact_to_the_satoshi() -> None:
    assert parse_btc("0.29") == 29_000_000
    assert parse_btc("20999999.97690000") == 2_099_999_997_690_000
    assert parse_btc("21000001") is None


@pytest.mark.parametrize("text", ["1E+999999", "1e999999999999", "NaN", "sNaN", "-1", "²", ""])
def test_what_is_no_amount_is_ignored(text: str) -> None:
    assert parse_btc(text) is None
    assert Filters.from_parameters({"value_min": text}) == Filters()


def test_a_custom_range_without_a_time_is_the_default_range() -> None:
    assert Filters.from_query("?range=custom") == Filters()


def test_a_preset_drops_the_times_of_a_custom_range() -> None:
    filters = Filters.from_query("?range=1h&start=2026-11-22T10:00:00Z")
    assert filters.interval(NOW)[0] == NOW - timedelta(hours=1)


def test_a_range_that_ends_before_it_begins_is_empty_and_not_an_error() -> None:
    filters = Filters.from_query("?range=custom&start=2026-11-23T09:00Z&end=2026-11-22T09:00Z")
    start, end = filters.interval(NOW)
    assert start == end
    assert problems(filters, NOW)["range"].startswith("The end is not after the start")
    assert len(bin_edges(start, end)) >= 2


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("?range=custom&start=2026-11-22T09:00Z&end=2026-11-23T09:00Z", set()),
        ("?range=custom&start=2026-11-22T09:00Z&end=2026-11-22T09:00Z", {"range"}),
        ("?range=custom&start=2026-11-24T09:00Z", {"range"}),
        ("?range=custom&end=2026-11-24T09:00Z", set()),
        ("?value_min=2&value_max=1", {"value"}),
        ("?value_min=2&value_max=2", set()),
        ("?inputs_min=9&inputs_max=1&times_min=2&times_max=0.5", {"inputs", "times"}),
    ],
)
def test_what_nothing_can_pass_is_named(query: str, wrong: set[str]) -> None:
    assert problems(Filters.from_query(query), NOW).keys() == wrong


def test_part_of_an_input_is_no_input() -> None:
    filters = Filters.from_query("?inputs_min=2.5&inputs_max=7.5")
    assert (filters.inputs_min, filters.inputs_max) == (3, 7)


def test_no_score_reaches_a_threshold_above_one() -> None:
    assert Filters.from_query("?threshold=5") == Filters()
    assert Filters.from_query("?threshold=1").threshold == 1
