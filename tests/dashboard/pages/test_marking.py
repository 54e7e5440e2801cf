from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.support.casework_rows import NOW, a_mute, mark_row
from tests.support.dashboard_backend import as_text

from dashboard.activity.filters import Filters
from dashboard.marking_callbacks import whole_hash
from dashboard.pages.marking import (
    mark_state,
    mute_body,
    muted_link,
    mutes_list,
    prefilled,
    shape_words,
)
from dashboard.pages.precision_panel import MOST_GROUPS, precision_panel
from dashboard.services import Services

ROW = {
    "patterns": ["dust_fan_out", "zero_fee"],
    "fee_rate": 30.06,
    "output_value": 123_456_789,
    "outputs_count": 40,
}
ZONE = ZoneInfo("Europe/Berlin")


def test_the_form_begins_with_the_transaction_and_ends_in_what_the_api_takes() -> None:
    form = prefilled(ROW, ["payer", "other"], datetime(2026, 11, 29, 12, tzinfo=UTC))
    body = mute_body(form | {"note": None}, ZONE)
    assert body == {
        "address": "payer",
        "pattern": "dust_fan_out",
        "fee_rate_min": 15.0,
        "fee_rate_max": 60.1,
        "output_value_min": 61_700_000,
        "output_value_max": 247_000_000,
        "outputs_count_min": 40,
        "outputs_count_max": 40,
        "until": "2026-12-30T00:00:00+01:00",
        "note": "",
    }


@pytest.mark.parametrize("rate", [0.0, 0.0042, 0.02, 0.07, 17.9, 1_234_567.8])
@pytest.mark.parametrize("value", [0, 1, 330, 987_654_321, 2_099_999_997_690_000])
def test_the_form_begins_with_ranges_that_have_the_transaction(rate: float, value: int) -> None:
    row = ROW | {"fee_rate": rate, "output_value": value}
    body = mute_body(prefilled(row, [], NOW) | {"note": ""}, ZONE)
    assert body["fee_rate_min"] <= rate <= body["fee_rate_max"]
    assert body["output_value_min"] <= value <= body["output_value_max"]


def test_what_is_left_empty_is_no_bound() -> None:
    empty = dict.fromkeys(prefilled(ROW, [], NOW)) | {"until": "2026-12-01", "note": "why"}
    assert mute_body(empty, ZONE).keys() == {"until", "note"}
    assert prefilled(ROW | {"patterns": None, "pattern": "dust"}, [], NOW)["pattern"] == "dust"


@pytest.mark.parametrize("until", [None, "", "soon", "2026-13-01"])
def test_a_date_that_is_none_is_refused(until: str | None) -> None:
    with pytest.raises(ValueError, match=r"."):
        mute_body(prefilled(ROW, [], NOW) | {"until": until, "note": ""}, ZONE)


def test_text_of_people_is_text() -> None:
    markup = "<img src=x onerror=alert(1)>"
    history = [mark_row("a", "useful", note=markup, author=markup)]
    mute = a_mute()._replace(note=markup, author=markup)
    shown = as_text([mark_state(history, mute, ZONE), mutes_list([(mute, 3)], 25, ZONE)])
    assert shown.count(markup) == 6
    assert "dangerously" not in shown and '"type": "Markdown"' not in shown


def test_a_mute_is_told_in_words() -> None:
    mute = a_mute(address="payer", fee_rate_max=12.5, output_value_min=10**8, outputs_count_min=2)
    assert shape_words(mute) == (
        "paid by payer, fee rate ≤ 12.5 sat/vB, output value ≥ 1 BTC, outputs ≥ 2"
    )


def test_the_link_keeps_the_other_filters() -> None:
    filters = Filters.from_query("?range=6h&flagged=1")
    (show,) = muted_link("7 muted: show", filters, "/")
    assert show.href == "?range=6h&flagged=1&muted=1"
    (hide,) = muted_link("7 muted: hide", Filters(muted=True), "/bitcoin/")
    assert hide.href == "/bitcoin/"
    assert muted_link("", filters, "/") == []


def test_a_hash_is_found_by_the_digits_of_a_point(services: Services) -> None:
    snapshot = services.recent.snapshot
    hash = snapshot.rows.hashes()[0]
    assert whole_hash(snapshot, f"#{hash[:16]}") == whole_hash(snapshot, f"#{hash}") == hash
    assert whole_hash(snapshot, "#transactions") is None
    assert whole_hash(snapshot, f"#{'0' * 20}") is None
    assert whole_hash(snapshot, "#' OR 1=1 --") is whole_hash(snapshot, None) is None


def test_the_precision_stands_with_its_interval_and_numbers() -> None:
    assert "Nobody has marked a flag yet" in as_text(precision_panel([]))
    weeks = [
        mark_row(f"{n}", "useful", event_time=NOW - timedelta(weeks=n), model_version=str(n))
        for n in range(12)
    ]
    shown = as_text(precision_panel([*weeks, mark_row("x", "known", patterns=[])]))
    assert "12 useful, 0 not, 1 known" in shown and "no known pattern" in shown
    assert "2026-W48" in shown and "2026-W35" not in shown
    assert shown.count("whisker") == 1 + 2 + 2 * MOST_GROUPS
