import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.watch_lists import ANN, BOB, an_entry

from core.casework import WATCH_LIST
from core.severity import SEVERITIES, Severity
from core.watch_list import WatchedEntry, changes
from core.watch_list_files import MAX_LINES, MOST_BAD, csv_text, guarded, read_file

DEFAULTS = {"name": "Sanctioned", "reason": "on the public list"}
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
WORDS = st.text(min_size=1, max_size=40).filter(lambda text: text.strip() and text.isprintable())


def test_a_public_list_has_one_address_a_line() -> None:
    text = f"# addresses\r\n{ANN}\r\n\r\n{BOB}\r\n"
    entries, bad = read_file(text, DEFAULTS | {"severity": "critical"})
    assert not bad
    assert [each.entry for each in entries] == [ANN, BOB]
    assert entries[0].name == "Sanctioned" and entries[1].severity == "critical"


def test_a_csv_has_its_columns_in_any_order_and_others_are_not_read() -> None:
    text = f'\ufeffSeverity,note,Address,Name\nhigh,x,{ANN},"Ann, of A"\n,,{BOB},\n'
    (ann, bob), bad = read_file(text, DEFAULTS)
    assert not bad
    assert (ann.entry, ann.name, ann.severity) == (ANN, "Ann, of A", "high")
    assert (bob.entry, bob.name, bob.severity) == (BOB, "Sanctioned", "medium")


def test_each_bad_line_is_named_with_its_number_and_reason() -> None:
    text = f'entry,name,severity\n{ANN},Ann,high\nno address!,x,low\n"{BOB}\n{BOB},Bob,urgent\n,x,'
    _, bad = read_file(text, DEFAULTS)
    assert [line.number for line in bad] == [3, 4, 5, 6]
    assert bad[0].value == "no address!"
    reasons = ["entry: it is not an address", "no line of CSV", "severity: ", "entry: it is miss"]
    assert all(part in line.reason for part, line in zip(reasons, bad, strict=True))


def test_a_file_of_too_many_entries_says_so() -> None:
    _, bad = read_file(f"{ANN}\n" * (MAX_LINES + 2), DEFAULTS)
    assert [line.number for line in bad] == [MAX_LINES + 1]


def test_a_file_of_millions_of_bad_lines_is_given_up() -> None:
    assert len(read_file("!\n" * 2_000_000, DEFAULTS).bad) == MOST_BAD


@given(st.text(max_size=400))
def test_any_text_is_read_or_has_bad_lines(text: str) -> None:
    entries, bad = read_file(text, DEFAULTS)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    lines = [line for line in text.split("\n") if line.strip()]
    assert len(entries) + len(bad) <= len(lines)


@given(st.lists(st.tuples(WORDS, WORDS, st.sampled_from(SEVERITIES)), min_size=1, max_size=5))
def test_what_is_exported_is_read_again_the_same(
    given_rows: list[tuple[str, str, Severity]],
) -> None:
    entries = [
        WatchedEntry(entry=f"1BoatSLRHtKNngkdXEeobR7{number}", name=n, reason=r, severity=s)
        for number, (n, r, s) in enumerate(given_rows)
    ]
    text = csv_text(changes(WATCH_LIST.empty_table(), entries, "Eve", NOW).rows)
    assert read_file(text, {}) == (entries, [])


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "'=1", "\t=1"])
def test_a_cell_that_a_spreadsheet_would_compute_is_guarded(cell: str) -> None:
    assert guarded(cell).startswith("'")
    if cell.isprintable():
        rows = changes(WATCH_LIST.empty_table(), [an_entry(ANN, name=cell)], "=me", NOW).rows
        for row in csv.reader(io.StringIO(csv_text(rows))):
            assert not any(value.startswith(("=", "+", "-", "@")) for value in row)
