import shutil
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.dashboard_backend import as_text
from tests.support.inside_lake import (
    CHILD,
    FAMILY,
    GRANDCHILD,
    PARENT,
    UNRELATED,
    a_hash,
    sum_ended_days,
    write_insides,
    write_verdict,
)

from core.counterparties import MOST_COUNTERPARTIES
from dashboard.lake.address_reads import AddressView, address_view
from dashboard.lake.sources import LAKE_ERRORS, Lake
from dashboard.pages.address_page import (
    address_of_path,
    address_page,
    flow_figure,
    unseen_view,
    whole_address,
)

UTC = ZoneInfo("UTC")
ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


@pytest.fixture
def tables(lake: str) -> Lake:
    write_insides(lake, *FAMILY)
    for row in FAMILY:
        if row is not UNRELATED:
            write_verdict(Path(lake), row, flagged=row is GRANDCHILD)
    return Lake(lake, "simulated")


def viewed(lake: Lake, address: str) -> AddressView:
    view = address_view(lake, address)
    assert view is not None
    return view


def test_the_page_has_sums_flags_and_coverage(tables: Lake) -> None:
    text = as_text(address_page(viewed(tables, "bc1qlast"), "/here/", UTC, "dark"))
    assert "0.00019 BTC" in text and "0.00029 BTC" in text and "-0.0001 BTC" in text
    assert f"{PARENT['append_time']:%Y-%m-%d %H:%M:%S}" in text and "not the whole chain" in text
    for row in (CHILD, GRANDCHILD, UNRELATED):
        assert f"#{row['hash']}" in text
    assert "not scored yet" in text and "flagged" in text
    assert "Unusual is not illicit" in text


def test_those_beside_it_have_links_and_flags(tables: Lake) -> None:
    view = viewed(tables, "bc1qhub")
    assert [each.address for each in view.payers] == ["bc1qmiddle", "bc1qlast"]
    text = as_text(address_page(view, "/here/", UTC, "light"))
    assert "/here/address/bc1qmiddle" in text and "No one that it pays is kept" in text
    assert "those in all of its transactions" in text
    many = view._replace(
        sums=view.sums._replace(transactions=282_000),
        payers=view.payers * MOST_COUNTERPARTIES,
    )
    many = many._replace(payers=many.payers[:MOST_COUNTERPARTIES])
    text = as_text(address_page(many, "/here/", UTC, "light"))
    assert "the largest 25 of those in the newest 3 of 282,000 transactions" in text


def test_the_flow_has_a_tick_for_each_flag(tables: Lake) -> None:
    view = viewed(tables, "bc1qlast")
    figure = flow_figure(view, UTC, "dark")
    received, spent, flags = figure["data"]
    assert sum(received["y"]) == pytest.approx(0.00019)
    assert sum(spent["y"]) == pytest.approx(-0.00029)
    assert flags["customdata"] == [GRANDCHILD["hash"][:16]]
    assert len(received["x"]) <= 61
    begin, end = map(datetime.fromisoformat, figure["layout"]["xaxis"]["range"])
    assert (end - begin).total_seconds() >= 6 * view.seconds, "a bar does not fill the width"


def test_the_page_is_the_same_when_ended_days_are_summed(
    tables: Lake, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.address_days.BUSY_MOVEMENTS", 1)
    before = viewed(tables, "bc1qmiddle")
    sum_ended_days(lake)
    assert viewed(tables, "bc1qmiddle") == before and len(before.flow) == 2


def test_what_was_not_seen_is_said(tables: Lake) -> None:
    assert address_view(tables, "bc1qnobody") is None
    assert "has not seen this address" in as_text(unseen_view("bc1qnobody"))
    assert "not an address" in as_text(unseen_view(""))


def test_a_lake_that_cannot_be_read_raises_what_the_page_knows(tables: Lake, lake: str) -> None:
    viewed(tables, "bc1qhub")
    shutil.rmtree(lake)
    with pytest.raises(LAKE_ERRORS):
        address_view(tables, "bc1qhub")


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (f"/here/address/{ADDRESS}", ADDRESS),
        (f"/here/address/{ADDRESS.upper()}/", ADDRESS),
        ("/here/address/", ""),
        ("/here/address/a%20b", ""),
        ("/here/address/' OR 1=1 --", ""),
        (f"/here/address/{'a' * 257}", ""),
        ("/here/model", None),
        ("/address/bc1q", None),
    ],
)
def test_the_path_names_the_address(path: str, address: str | None) -> None:
    assert address_of_path(path, "/here/") == address


def test_a_search_tells_an_address_from_digits_of_a_hash() -> None:
    assert whole_address(f"  {ADDRESS.upper()} ") == ADDRESS
    assert whole_address("3EktnHQD7RiAE6uzMj2ZifT9YgRrkSgzQX") is not None
    for text in ("", None, 7, "3" * 30, a_hash(7), a_hash(7)[:20], "bc1q", "not an address"):
        assert whole_address(text) is None


@given(st.text(alphabet="0123456789abcdefABCDEF", max_size=64))
def test_no_part_of_a_hash_is_taken_for_an_address(digits: str) -> None:
    assert whole_address(digits) is None
