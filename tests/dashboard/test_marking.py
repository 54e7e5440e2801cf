"""Marks and mutes in Chromium, written through the real API beside the dashboard."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tests.support.api_application import FixedFollower, application
from tests.support.api_process import served
from tests.support.casework_rows import add_mute
from tests.support.dashboard_backend import Backend, make_services
from tests.support.dashboard_browser import WatchedPage, scroll_to, serving
from tests.support.muted_lake import PAYER, lasting, pay

from core.marks import read_marks
from core.mutes import read_mutes
from dashboard.services import Services

pytestmark = pytest.mark.browser

FLAGGED = "/?range=24h&flagged=1"


@pytest.fixture
def marking(backend: Backend, tmp_path: Path) -> Iterator[Services]:
    """A dashboard whose API writes into the tables that it reads."""
    casework = f"{backend.lake}-casework"
    app = application(FixedFollower(), lake=str(backend.lake), casework=casework)
    with served(app, tmp_path / "api.log") as url:
        yield make_services(backend.lake, url, refresh_seconds=1)


@pytest.fixture
def watched(browser: Browser, marking: Services) -> Iterator[WatchedPage]:
    with serving(marking) as url:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        watched = WatchedPage(context.new_page(), url)
        yield watched
        context.close()
        unexpected = [error for error in watched.errors if "503" not in error]
        assert not unexpected, "the API has no model here, and nothing else may fail"


def sign(page: Page, name: str = "ann") -> None:
    page.fill("#author", name)
    page.press("#author", "Tab")


def marks(services: Services) -> dict[str, tuple[str, str]]:
    rows = services.casework.query("SELECT hash, mark, author FROM marks", "marks")
    found: list[dict[str, Any]] = [] if rows is None else rows.to_pylist()
    return {row["hash"]: (row["mark"], row["author"]) for row in found}


def test_a_transaction_is_marked_in_its_panel_and_shows_who_said_what(
    watched: WatchedPage, marking: Services, backend: Backend
) -> None:
    hash = backend.flagged[0]
    page = watched.open(f"{FLAGGED}#{hash}")
    page.wait_for_selector("#drawer.open [data-feature]")
    note, author = (page.locator(each).bounding_box() for each in ("#mark-note", "#author"))
    assert note and author and author["x"] >= note["x"] + note["width"] + 4, "they touch"
    page.click("#mark-useful")
    watched.wait_for_start("#mark-answer", "author: say who does this.")
    sign(page)
    page.fill("#mark-note", "<b>two</b> owners")
    page.click("#mark-useful")
    watched.wait_for_start("#mark-answer", "Marked as useful.")
    watched.wait_for_start("#mark-state .present", "useful by ann at ")
    assert watched.text("#mark-state .present").endswith(": <b>two</b> owners")
    assert page.input_value("#mark-note") == ""
    assert marks(marking) == {hash: ("useful", "ann")}
    page.click("#mark-not_useful")
    watched.wait_for_start("#mark-state .present", "not useful by ann")
    assert watched.text("#mark-state .history summary") == "1 before"
    page.reload()
    page.wait_for_selector("#mark-state .present")
    assert page.input_value("#author") == "ann", "the browser remembers who it is"
    page.click("#mark-withdrawn")
    watched.wait_for_start("#mark-state .present", "withdrawn by ann")
    page.wait_for_selector("#mark-withdrawn", state="hidden")
    assert read_marks(marking.casework) == []


def test_rows_are_selected_by_keys_and_marked_together(
    watched: WatchedPage, marking: Services, backend: Backend
) -> None:
    page = watched.open(FLAGGED)
    scroll_to(page, "#grid")
    page.wait_for_selector("#grid .ag-row")
    assert not page.is_visible("#selection")
    page.locator("#grid .ag-row [col-id='hash']").first.focus()
    for key in ("Space", "ArrowDown", "Space", "ArrowDown", "Space"):
        page.keyboard.press(key)
    watched.wait_for_start("#selection-count", "3 selected")
    page.fill("#select-author", "bob")
    page.press("#select-author", "Tab")
    page.click("#select-known")
    watched.wait_for_start("#selection-answer", "3 marked as known.")
    page.wait_for_selector("#selection", state="hidden")
    found = marks(marking)
    assert len(found) == 3 and set(found.values()) == {("known", "bob")}
    assert set(found) <= set(backend.flagged)
    watched.wait_for(
        "() => document.querySelectorAll('#grid [col-id=mark]')[1].innerText == 'known'"
    )


def test_a_box_selects_without_opening_the_panel(watched: WatchedPage) -> None:
    page = watched.open(FLAGGED)
    scroll_to(page, "#grid")
    page.locator("#grid .ag-row .ag-selection-checkbox input").first.check()
    watched.wait_for_start("#selection-count", "1 selected")
    assert "open" not in (page.get_attribute("#drawer", "class") or "").split()
    page.locator("#grid .ag-row [col-id='time']").first.click()
    page.wait_for_selector("#drawer.open")


def test_a_shape_is_muted_shown_listed_and_heard_again(
    watched: WatchedPage, marking: Services, backend: Backend
) -> None:
    paid = backend.flagged[:4]
    pay(backend, paid)
    page = watched.open(f"{FLAGGED}#{paid[0]}")
    page.wait_for_selector("#drawer.open [data-feature]")
    sign(page)
    page.click("#mute-open")
    page.wait_for_selector("#mute-form:not([hidden])")
    watched.wait_for_start("#mute-address", PAYER)
    for bound in ("fee-rate", "value", "outputs"):
        for side in ("min", "max"):
            assert page.input_value(f"#mute-{bound}-{side}"), "it begins with this transaction"
            page.fill(f"#mute-{bound}-{side}", "")
    watched.wait_for("() => document.querySelector('#mute-until').value > '2026'")
    page.fill("#mute-note", "our own payouts")
    page.press("#mute-note", "Tab")
    page.click("#mute-save")
    watched.wait_for_start("#mark-answer", "Muted")
    (mute,) = read_mutes(marking.casework)
    assert (mute.address, mute.author, mute.fee_rate_min) == (PAYER, "ann", None)
    watched.wait_for_start("#mark-state", "muted Muted by ann until ")
    watched.wait_for("() => / muted: show$/.test(document.querySelector('#muted-note').innerText)")
    page.keyboard.press("Escape")
    page.click("#muted-note a")
    page.wait_for_url("**muted=1**")
    page.wait_for_selector("#grid .ag-row.muted")
    page.click("#nav-mutes")
    page.wait_for_selector("#mutes-list td >> text=our own payouts")
    page.click("[data-end-mute]")
    watched.wait_for_start("#mutes-list", "Nothing is muted.")
    (ended,) = read_mutes(marking.casework)
    assert ended.ended_at is not None and ended.author == "ann"


def test_a_mute_that_the_api_refuses_says_why_and_stays_in_the_form(
    watched: WatchedPage, backend: Backend
) -> None:
    page = watched.open(f"{FLAGGED}#{backend.flagged[1]}")
    page.wait_for_selector("#drawer.open [data-feature]")
    sign(page)
    page.click("#mute-open")
    page.wait_for_selector("#mute-form:not([hidden])")
    watched.wait_for_start("#mute-answer", "Who pays it is not known")
    page.fill("#mute-until", "2020-01-01")
    page.press("#mute-until", "Tab")
    page.click("#mute-save")
    watched.wait_for_start("#mute-saved", "until: a time in the next 366 days.")
    assert page.is_visible("#mute-form")


def test_a_mute_made_elsewhere_is_seen_without_a_reload(
    watched: WatchedPage, marking: Services, backend: Backend
) -> None:
    page = watched.page
    page.goto(f"{watched.url}/mutes")
    watched.wait_for_start("#mutes-list", "Nothing is muted.")
    add_mute(marking.casework, lasting(backend, pattern="version_3"))
    page.wait_for_selector("#mutes-list td >> text=pattern version 3")
