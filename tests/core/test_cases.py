from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake.exceptions import DeltaError
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.case_samples import NOON, ListTopic, a_builder, a_flag, build

from core.case_index import INDEX_ROWS, CaseFilter, CaseIndex, Place
from core.case_rows import CASE_EVENTS, Handling
from core.cases import CaseBook
from core.casework import CaseworkStore
from core.severity import SEVERITIES

ROW = {"merged_into": None, "joined_at": NOON, "event_time": NOON, "size": 1, "value": 5}
STEPS = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from(SEVERITIES), st.sampled_from([None, 1, 2])),
    min_size=1,
    max_size=14,
)


def index_rows(steps: list[tuple[int, str, int | None]]) -> list[dict[str, Any]]:
    """Rows of `INDEX_SQL`: members, and merges of a number into a lower one, each once."""
    rows, gone = [], set[int]()
    for sequence, (number, severity, into) in enumerate(steps, 1):
        row = ROW | {"sequence": sequence, "number": number, "severity": severity}
        row |= {"patterns": ["dust"] if number % 2 else []}
        if into is not None and into < number and number not in gone:
            gone.add(number)
            row |= {"merged_into": into, "severity": None, "patterns": None}
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, INDEX_ROWS)


@settings(max_examples=60)
@given(STEPS, st.integers(0, 14))
def test_rows_make_the_same_index_however_they_come(steps: Any, cut: int) -> None:
    rows = index_rows(steps)
    whole = CaseIndex().with_rows(table(rows))
    parts = CaseIndex().with_rows(table(rows[:cut])).with_rows(table(rows[cut:]))
    assert parts.page(CaseFilter(), None, 99) == whole.page(CaseFilter(), None, 99)
    cases = whole.page(CaseFilter(), None, 99)
    assert sum(case.size for case in cases) == sum(row["merged_into"] is None for row in rows)
    assert [case.place for case in cases] == sorted((c.place for c in cases), reverse=True)
    dusty = {case.number for case in cases if "dust" in case.patterns}
    assert {c.number for c in whole.page(CaseFilter(pattern="dust"), None, 99)} == dusty


@settings(max_examples=60)
@given(STEPS, st.lists(st.tuples(st.integers(1, 7), st.integers(0, 9), st.booleans())))
def test_states_of_all_cases_at_once_are_those_of_each(steps: Any, done: Any) -> None:
    handled = {n: Handling(through or None, touched) for n, through, touched in done}
    index = CaseIndex().with_rows(table(index_rows(steps))).with_handling(handled)
    cases = index.page(CaseFilter(), None, 99)
    for state, count in index.counts(CaseFilter()).items():
        assert count == sum(case.state == state for case in cases)
        assert all(case.state == state for case in index.page(CaseFilter(state), None, 99))
    still_open = sum(case.state != "closed" for case in cases)
    assert sum(index.open_by_severity().values()) == still_open


@given(STEPS)
def test_pages_one_after_the_other_have_every_case_once(steps: Any) -> None:
    index = CaseIndex().with_rows(table(index_rows(steps)))
    seen, after = list[int](), None
    while page := index.page(CaseFilter(), after, 2):
        seen += [case.number for case in page]
        after = Place(*page[-1].place)
    assert seen == [case.number for case in index.page(CaseFilter(), None, 99)]


def test_a_book_follows_the_tables_and_notices_others_in_their_place(tmp_path: Path) -> None:
    root = tmp_path / "casework"
    book = CaseBook(CaseworkStore(str(root), "simulated"))
    assert book.page(CaseFilter(), None, 9).cases == []
    topic = ListTopic()
    builder = a_builder(str(root), topic)
    for number in (100, 200):
        topic.add(a_flag(number))
        builder.turn(0)
        assert len(book.page(CaseFilter(), None, 9).cases) == number // 100
    root.rename(tmp_path / "old")
    build(str(root), a_flag(300))
    with suppress(DeltaError, OSError):  # the table went away under an open reader
        book.index()
    (case,) = book.page(CaseFilter(), None, 9).cases
    assert case.number == 1 and len(book.members(case)) == 1
    root.rename(tmp_path / "older")
    build(str(root), a_flag(400))
    assert [row["sequence"] for row in book.members(case)] == [1], "of the table that is there"


def test_a_case_has_the_members_that_its_figures_count(tmp_path: Path) -> None:
    root = str(tmp_path / "casework")
    payer = {"input_addresses": ["bc1qpayer"]}
    topic = ListTopic()
    builder = a_builder(root, topic)
    topic.add(a_flag(1, **payer))
    builder.turn(0)
    book = CaseBook(CaseworkStore(root, "simulated"))
    case = book.find(1)
    assert case is not None
    topic.add(a_flag(2, **payer))
    builder.turn(0)
    assert [len(book.members(case)), case.size] == [1, 1], "the second joined after it was read"
    case = book.find(1)
    assert case is not None
    assert [len(book.members(case)), case.size] == [2, 2]


def an_event(number: int, action: str, at: datetime, label: str | None = None) -> dict[str, Any]:
    event = {"id": f"{number}-{action}", "number": number, "at": at, "author": "ann"}
    return event | {"action": action, "label": label, "through": 2}


def test_an_event_is_read_though_the_clock_was_ahead_at_one_before(tmp_path: Path) -> None:
    store = build(str(tmp_path / "casework"), a_flag(1), a_flag(2))
    book = CaseBook(store)
    ahead = an_event(1, "seen", NOON + timedelta(days=1))
    for event in (ahead, an_event(2, "closed", NOON, "known")):
        store.append("case_events", pa.Table.from_pylist([event], CASE_EVENTS))
        states = [case.state for case in book.page(CaseFilter(), None, 9).cases]
    assert states == ["closed", "open"]


def test_events_of_several_writers_count_in_the_order_of_their_times(tmp_path: Path) -> None:
    store = build(str(tmp_path / "casework"), a_flag(1))
    book = CaseBook(store)
    for action, second, label in (("closed", 30, "known"), ("seen", 20, None)):
        event = an_event(1, action, NOON.replace(second=second), label)
        store.append("case_events", pa.Table.from_pylist([event], CASE_EVENTS))
        case = book.find(1)
        assert case is not None
        assert case.state == "closed"
