"""The report of a day: what it counts, what it leaves out, and how it looks."""

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from tests.support.alert_samples import add_members, member
from tests.support.casework_rows import add_marks, mark_row
from tests.support.report_lake import DAY, MIDNIGHT, flag, write_day
from tests.support.scored_lake import append_scored

from core.casework import CaseworkStore
from core.daily_report import FIRST_DAY, daily_report
from core.detector.explanation import NOT_ILLICIT
from core.lake import OriginMismatchError
from core.report_text import as_html, as_text

NO_MODEL = "no model is in use yet"


@pytest.fixture
def store(tmp_path: Path) -> CaseworkStore:
    return CaseworkStore(str(tmp_path / "casework"), "simulated")


@pytest.fixture
def lake(tmp_path: Path) -> str:
    lake = str(tmp_path / "lake")
    write_day(lake)
    return lake


def test_a_day_without_any_table_has_no_rows(tmp_path: Path, store: CaseworkStore) -> None:
    report = daily_report(str(tmp_path / "nowhere"), store, DAY, NO_MODEL)
    assert (report.transactions, report.flagged, report.top, report.precision) == (0, 0, [], None)
    assert "Nothing was flagged." in as_text(report) and "Nothing was flagged." in as_html(report)


def test_a_page_leads_to_the_days_beside_it_where_they_can_be_asked_for(
    tmp_path: Path, store: CaseworkStore
) -> None:
    def links(day: date) -> list[str]:
        page = as_html(daily_report(str(tmp_path / "nowhere"), store, day, NO_MODEL))
        return re.findall(r'href="([^"]*)"', page)

    assert links(date(2026, 3, 1)) == ["?day=2026-02-28", "?day=2026-03-02"]
    assert links(FIRST_DAY) == ["?day=2009-01-04"]


def test_a_day_is_counted_and_its_neighbours_are_not(lake: str, store: CaseworkStore) -> None:
    append_scored(lake, [flag(24 * 60, 0.9), flag(-1, 0.9), flag(-2, 0.4)])
    report = daily_report(lake, store, DAY, NO_MODEL)
    assert (report.transactions, report.scored, report.unscored) == (40, 30, 10)
    assert (report.flagged, report.flagged_before) == (12, 1)
    assert report.by_what == {"model": 11, "both": 1}
    assert report.by_pattern == {"zero_fee": 11, "fee_overpaid": 1, "dust": 1}
    assert sum(report.by_severity.values()) == 12
    assert report.model_versions == {"3": 30}
    assert report.quarantined == {"bitcoin-transactions": 2}
    assert (report.market_median, report.market_before) == (12.0, None)
    (gap,) = report.gaps
    assert gap.start == MIDNIGHT + timedelta(minutes=10)
    assert gap.end == MIDNIGHT + timedelta(minutes=30)


def test_the_ten_most_severe_come_first_with_their_reasons(lake: str, store: CaseworkStore) -> None:
    top = daily_report(lake, store, DAY, NO_MODEL).top
    assert len(top) == 10
    assert [flag.severity for flag in top] == ["high"] * 4 + ["medium"] * 5 + ["low"]
    assert [int(flag.hash, 16) for flag in top][:5] == [11, 10, 9, 3, 8]
    assert "Fee rate 900 sat/vB" in top[0].explanation


def test_that_unusual_is_not_illicit_is_said_once_below_the_ten(
    lake: str, store: CaseworkStore
) -> None:
    report = daily_report(lake, store, DAY, NO_MODEL)
    for text in (as_text(report), as_html(report)):
        assert text.count(NOT_ILLICIT) == 1 and text.count("58 times what others pay") == 10


def test_marks_and_cases_are_counted_where_their_tables_are_there(
    lake: str, store: CaseworkStore
) -> None:
    rows = [
        ("a", "not_useful", MIDNIGHT - timedelta(days=40)),
        ("b", "not_useful", MIDNIGHT - timedelta(days=5)),
        ("b", "useful", MIDNIGHT - timedelta(days=4)),
        ("c", "known", MIDNIGHT),
        ("d", "useful", MIDNIGHT + timedelta(hours=23)),
        ("e", "withdrawn", MIDNIGHT),
        ("f", "not_useful", MIDNIGHT + timedelta(hours=25)),
    ]
    add_marks(store, *(mark_row(hash, mark, marked_at=at) for hash, mark, at in rows))
    joined = [(1, 1, -1), (2, 1, 1), (3, 2, 2), (4, 3, 30)]
    add_members(
        store,
        *(member(s, c, joined_at=MIDNIGHT + timedelta(hours=hours)) for s, c, hours in joined),
    )
    report = daily_report(lake, store, DAY, NO_MODEL)
    assert report.marked == {"known": 1, "useful": 2}
    assert report.precision == pytest.approx(2 / 3)
    assert (report.cases_opened, report.cases_closed) == (1, 0)
    assert "67% were useful: known 1, useful 2" in as_text(report)


def test_marks_of_what_nothing_flagged_count_in_no_precision(
    lake: str, store: CaseworkStore
) -> None:
    marks = [("a", "useful", "rule"), ("b", "known", None), ("c", "useful", None)]
    rows = [mark_row(hash, mark, marked_at=MIDNIGHT, flagged_by=by) for hash, mark, by in marks]
    add_marks(store, *rows)
    report = daily_report(lake, store, DAY, NO_MODEL)
    assert (report.marked, report.precision) == ({"useful": 1}, 1.0)


def test_markup_is_text_on_the_page_and_the_page_loads_nothing(
    lake: str, store: CaseworkStore
) -> None:
    append_scored(lake, [flag(50, 0.95, hash="<script>x</script>", flagged_by="both")])
    page = as_html(daily_report(lake, store, DAY, NO_MODEL))
    assert "&lt;script&gt;" in page and "<script" not in page
    assert "http" not in page and "src=" not in page


def test_a_report_is_json_and_says_what_is_wrong_with_a_lake(
    lake: str, store: CaseworkStore
) -> None:
    content = daily_report(lake, store, DAY, NO_MODEL).as_json()
    assert content["day"] == "2026-11-27"
    assert content["gaps"][0]["start"] == "2026-11-27T00:10:00+00:00"
    with pytest.raises(OriginMismatchError):
        daily_report(lake, CaseworkStore(store.root, "live"), DAY, NO_MODEL)
    with pytest.raises(ValueError, match="a day is from"):
        daily_report(lake, store, date(1, 1, 1), NO_MODEL)
