from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.support.dashboard_backend import as_text
from tests.support.inside_lake import (
    CHILD,
    EARLIER,
    FAMILY,
    GRANDCHILD,
    PARENT,
    a_payment,
    write_insides,
    write_verdict,
)

from core.transaction_details import Relative, inside_of
from dashboard.lake.address_reads import kin_of
from dashboard.lake.sources import Lake
from dashboard.pages.inside_panel import MOST_SHOWN, inside_section, kin_view

UTC_ZONE = ZoneInfo("UTC")


def shown(row: dict[str, Any], parents: list[Relative] | None = None) -> str:
    return as_text(inside_section(inside_of(row), row, parents or [], "/here/"))


def test_both_sides_have_a_link_to_each_address_its_value_and_its_share() -> None:
    text = shown(PARENT)
    assert "/here/address/bc1qstranger" in text and "/here/address/bc1qmiddle" in text
    assert "0.0006 BTC" in text and "60,000 sat" in text
    assert '"60.0%"' in text and '"40.0%"' in text


def test_data_dust_and_equal_outputs_are_marked() -> None:
    dust = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
    outputs = [(dust, 293), (dust, 294), ("bc1qa", 7_000), ("bc1qb", 7_000), ("6a0101", 0)]
    text = shown(a_payment(1, timedelta(), {"7:0": ("bc1qpayer", 20_000)}, outputs))
    assert text.count('"dust"') == 1
    assert text.count("one of 2 of equal value") == 2
    assert "OP_RETURN" in text and "carries data" in text
    assert "/here/address/6a0101" not in text


def test_of_a_long_list_the_first_are_shown_and_the_others_counted() -> None:
    outputs = [(f"bc1qout{number}", 1_000 + number) for number in range(MOST_SHOWN + 73)]
    payout = a_payment(1, timedelta(), {}, outputs)
    text = shown(payout)
    assert f"bc1qout{MOST_SHOWN - 1}" in text and f'bc1qout{MOST_SHOWN}"' not in text
    assert "and 73 more" in text and "kept" not in text
    assert "the coins are new" in text
    cut = payout | {"outputs_cut": True, "outputs_count": 3_000}
    assert f"and {3_000 - MOST_SHOWN:,} more; {MOST_SHOWN + 73} are kept" in shown(cut)


def test_a_spent_output_leads_to_its_transaction_where_the_lake_has_it() -> None:
    parent = Relative(PARENT["hash"], PARENT["append_time"], 70_000)
    assert f"#{PARENT['hash']}" in shown(CHILD, [parent])
    assert "from " not in shown(CHILD)


@pytest.mark.parametrize("side", ["input", "output"])
def test_what_was_not_kept_is_said(side: str) -> None:
    assert "Only the facts above were kept" in shown(EARLIER)
    half = CHILD | {f"{side}_addresses": None}
    assert "not kept" in shown(half) and "/here/address/" in shown(half)


@pytest.fixture
def lake_of_family(lake: str) -> Lake:
    write_insides(lake, *FAMILY)
    return Lake(lake, "simulated")


def test_relatives_are_shown_hop_by_hop(lake_of_family: Lake, lake: str) -> None:
    write_verdict(Path(lake), GRANDCHILD, flagged=True)
    one = kin_of(lake_of_family, PARENT["hash"], PARENT["append_time"], 1)
    text = as_text(kin_view(one, UTC_ZONE))
    assert f"#{CHILD['hash']}" in text and GRANDCHILD["hash"] not in text
    assert "no parent in this lake" in text
    two = kin_of(lake_of_family, PARENT["hash"], None, 2)
    text = as_text(kin_view(two, UTC_ZONE))
    assert f"#{GRANDCHILD['hash']}" in text and "flagged" in text
    above = as_text(kin_view(kin_of(lake_of_family, GRANDCHILD["hash"], None, 2), UTC_ZONE))
    assert f"#{CHILD['hash']}" in above and f"#{PARENT['hash']}" in above


def test_what_has_no_relatives_or_is_not_there_shows_none(lake_of_family: Lake) -> None:
    assert kin_view(kin_of(lake_of_family, EARLIER["hash"], None, 2), UTC_ZONE) == []
    assert kin_view(kin_of(lake_of_family, "f" * 64, None, 1), UTC_ZONE) == []
    at_another_time = EARLIER["append_time"].astimezone(UTC) + timedelta(days=1)
    assert kin_view(kin_of(lake_of_family, CHILD["hash"], at_another_time, 1), UTC_ZONE) == []
