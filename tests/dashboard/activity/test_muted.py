"""What a mute leaves out of the table, and what goes on counting it."""

import csv
import io

import pytest
from tests.support.casework_rows import add_marks, add_mute, mark_row
from tests.support.dashboard_backend import Backend, http_client
from tests.support.muted_lake import PAYER, lasting, pay

from dashboard.activity.chips import chips
from dashboard.activity.filters import Filters
from dashboard.activity.page_text import page_text
from dashboard.activity.view import ActivityView
from dashboard.services import Services

ALL = "?range=24h&flagged=1"


@pytest.fixture
def muted(backend: Backend) -> tuple[Services, set[str], str]:
    """A dashboard with a mute of one payer's transactions, their hashes, and the mute's id."""
    paid = set(backend.flagged[::2])
    pay(backend, sorted(paid))
    services = backend.services()
    mute = lasting(backend, address=PAYER)
    add_mute(services.casework, mute)
    services.recent.refresh()
    return services, paid, mute.id


def view(services: Services, query: str) -> ActivityView:
    return services.views.view(Filters.from_query(query), "dark", "UTC")


def hashes(view: ActivityView) -> set[str]:
    return {row["hash"] for row in view.table}


def test_the_table_leaves_the_muted_out_and_all_numbers_count_them(
    backend: Backend, muted: tuple[Services, set[str], str]
) -> None:
    services, paid, _ = muted
    shown = view(services, ALL)
    assert hashes(shown) == set(backend.flagged) - paid
    assert shown.summary.flagged == len(backend.flagged)
    assert int(shown.aggregates.anomalies.sum()) == len(backend.flagged)
    text = page_text(shown, Filters.from_query(ALL), 5)
    assert text.muted_note == f"{len(paid)} muted: show"
    assert f"; {len(paid)} muted" in text.tiles["flagged"].note
    assert text.table_note.endswith(f"of {len(backend.flagged) - len(paid)}")


def test_a_reader_may_ask_for_them_and_sees_which_they_are(
    backend: Backend, muted: tuple[Services, set[str], str]
) -> None:
    services, paid, _ = muted
    filters = Filters.from_query(f"{ALL}&muted=1")
    shown = view(services, filters.query)
    assert hashes(shown) == set(backend.flagged)
    assert {row["hash"] for row in shown.table if row["muted"]} == paid
    assert page_text(shown, filters, 5).muted_note == f"{len(paid)} muted: hide"
    assert ("muted shown", ALL) in [(chip.words, chip.query) for chip in chips(filters)]
    assert not Filters(muted=True).row_filters


def test_where_all_are_muted_the_charts_are_drawn_nevertheless(backend: Backend) -> None:
    services = backend.services()
    add_mute(services.casework, lasting(backend, pattern="version_3"))
    services.recent.refresh()
    query = f"{ALL}&pattern=version_3"
    shown, filters = view(services, query), Filters.from_query(query)
    text = page_text(shown, filters, 5)
    assert shown.summary.flagged == shown.aggregates.muted > 0 and not shown.table
    assert text.muted_note == f"{shown.aggregates.muted} muted: show"
    assert set(text.empty.values()) == {""} and not text.table_note


def test_an_older_range_leaves_the_same_out_and_counts_the_same(
    backend: Backend, muted: tuple[Services, set[str], str]
) -> None:
    services, paid, _ = muted
    memory, lake = view(services, ALL), view(services, "?range=7d&flagged=1")
    assert lake.problem is None
    assert hashes(lake) == hashes(memory)
    assert lake.aggregates.muted == memory.aggregates.muted == len(paid)


def test_the_csv_has_them_with_the_mute(
    backend: Backend, muted: tuple[Services, set[str], str]
) -> None:
    services, paid, id = muted
    text = http_client(services).get(f"/export.csv{ALL}").get_data(as_text=True)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["hash"] for row in rows} == set(backend.flagged)
    assert {row["hash"] for row in rows if row["muted_by"] == id} == paid
    assert {row["muted_by"] for row in rows if row["hash"] not in paid} == {""}


def test_when_the_mute_ends_they_are_in_the_table_again(backend: Backend) -> None:
    clock = [backend.now]
    services = backend.services(clock=lambda: clock[0])
    mute = lasting(backend, pattern="version_3")
    add_mute(services.casework, mute)
    services.recent.refresh()
    hidden = view(services, ALL)
    assert hidden.aggregates.muted > 0
    assert len(hidden.table) == len(backend.flagged) - hidden.aggregates.muted
    clock[0] = mute.until
    services.recent.refresh()
    later = view(services, "?range=7d&flagged=1")
    assert later.aggregates.muted == 0 and hashes(later) == set(backend.flagged)


def test_marked_rows_carry_their_mark(backend: Backend, services: Services) -> None:
    add_marks(services.casework, mark_row(backend.flagged[0], "not_useful"))
    services.recent.refresh()
    marks = {row["hash"]: row["mark"] for row in view(services, ALL).table}
    assert marks[backend.flagged[0]] == "not_useful"
    assert set(marks.values()) == {"not_useful", None}
