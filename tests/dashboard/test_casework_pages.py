"""The queue and a case's page in Chromium, on real tables and the real API."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.support.api_application import FixedFollower, application
from tests.support.api_process import served
from tests.support.case_samples import (
    NOON,
    ListTopic,
    a_builder,
    a_flag,
    a_hash,
    dust_fan_outs,
)
from tests.support.dashboard_backend import make_services
from tests.support.dashboard_browser import WatchedPage, serving

from core.cases import CaseBook
from core.casework import CaseworkStore

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=alert(1)>"
HIT = {"entry": "7", "name": MARKUP, "severity": "critical", "what": "was_paid"}
ROW = "#queue-list li[data-case]"


@dataclass
class Stack:
    """A dashboard, its API, and the topic that the cases are built from."""

    url: str
    root: str
    topic: ListTopic

    def add(self, *messages: dict[str, Any]) -> None:
        self.topic.add(*messages)
        a_builder(self.root, self.topic, now=NOON + timedelta(hours=1)).turn(0)

    @property
    def book(self) -> CaseBook:
        return CaseBook(CaseworkStore(self.root, "simulated"))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Cases 1 (forty transactions, medium), 2 (high), 3 (low) and 4 (watched, critical)."""
    root = str(tmp_path / "casework")
    with served(application(FixedFollower(), casework=root), tmp_path / "api.log") as api:
        services = make_services(tmp_path / "lake", api)
        with serving(services) as url:
            stack = Stack(url, root, ListTopic())
            watched = a_flag(300, kind="watched", watch_severity="critical", watched=[HIT])
            high, low = a_flag(100, flagged_by="both"), a_flag(200)
            stack.add(*dust_fan_outs(), high, low, watched)
            yield stack


def opened(browser: Browser, stack: Stack, path: str) -> Page:
    page = WatchedPage(browser.new_page(viewport={"width": 1440, "height": 900}), stack.url).page
    page.goto(f"{stack.url}{path}", wait_until="commit")
    return page


def cases(page: Page) -> list[str | None]:
    return [row.get_attribute("data-case") for row in page.locator(ROW).all()]


def test_the_queue_is_worked_through_by_keyboard(browser: Browser, stack: Stack) -> None:
    page = opened(browser, stack, "/queue")
    expect(page.locator(ROW)).to_have_count(4)
    assert cases(page) == ["4", "2", "1", "3"]
    expect(page.locator("#queue-tabs .here")).to_have_text("New 4")

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("#queue-list a:focus")).to_have_attribute("href", "/case/2")
    page.keyboard.press("s")  # it asks for a name first
    expect(page.locator("#queue-author")).to_be_focused()
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    expect(page.locator(ROW)).to_have_count(3)

    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(page.locator("#queue-form-title")).to_have_text("Work on case 4")
    expect(page.locator("#queue-label input").first).to_be_focused()
    page.keyboard.press("Space")
    page.click("#queue-do-closed")
    expect(page.locator("#queue-answer")).to_have_text("Closed as useful.")
    expect(page.locator(ROW)).to_have_count(2)
    states = [stack.book.find(number) for number in (2, 4)]
    assert [case and case.state for case in states] == ["open", "closed"]
    assert [case and case.handling.last_author for case in states] == ["ann", "ann"]


@pytest.mark.parametrize("width", [1440, 1241, 1000, 390])
def test_no_cell_of_the_queue_covers_another(browser: Browser, stack: Stack, width: int) -> None:
    everything = 2_099_999_997_690_000
    stack.add(a_flag(400, input_value=everything, output_value=everything))
    page = opened(browser, stack, "/queue")
    expect(page.locator("#queue-list")).to_contain_text("20,999,999.9769 BTC")
    page.set_viewport_size({"width": width, "height": 844})
    page.evaluate("document.querySelector('.case-link .size').innerText = '12,345 transactions'")
    beyond = """() => [...document.querySelectorAll('.case-link > *')].filter(
        e => e.getClientRects().length && e.scrollWidth > e.clientWidth + 1
    ).map(e => e.innerText)"""
    assert page.evaluate(beyond) == []


def test_a_queue_that_is_drawn_anew_leaves_the_reader_where_they_were(
    browser: Browser, stack: Stack
) -> None:
    page = opened(browser, stack, "/queue")
    expect(page.locator(ROW)).to_have_count(4)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.evaluate(
        "list => { list.innerHTML = list.innerHTML; }", page.query_selector("#queue-list")
    )
    expect(page.locator("#queue-list a:focus")).to_have_attribute("href", "/case/2")


def test_cases_are_taken_by_a_key_given_away_on_their_page_and_found_again(
    browser: Browser, stack: Stack
) -> None:
    page = opened(browser, stack, "/queue?state=all")
    expect(page.locator(".keys")).to_contain_text("a assign to me")
    expect(page.locator(ROW)).to_have_count(4)
    expect(page.locator("#queue-filters")).not_to_contain_text("mine only")
    page.keyboard.press("j")
    page.keyboard.press("a")  # it asks for a name first
    expect(page.locator("#queue-author")).to_be_focused()
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.locator(f"{ROW}[data-case='4'] .owner")).to_have_text("ann")
    page.click("#queue-filters >> text=mine only")
    expect(page.locator(ROW)).to_have_count(1)
    assert page.url.endswith("/queue?state=all&assignee=ann")

    page.goto(f"{stack.url}/case/4")
    expect(page.locator("#case-head")).to_contain_text("Assigned to ann.")
    page.fill("#case-assignee", "bob")
    page.click("#case-do-named")
    expect(page.locator("#case-head")).to_contain_text("Assigned to bob.")
    expect(page.locator("#case-assignee")).to_have_value("")
    expect(page.locator("#case-history")).to_contain_text("ann: assigned to bob")
    page.click("#case-do-nobody")
    expect(page.locator("#case-answer")).to_have_text("Assigned to nobody.")
    expect(page.locator("#case-head")).not_to_contain_text("Assigned to")
    page.click("#case-do-mine")
    expect(page.locator("#case-head")).to_contain_text("Assigned to ann.")


def test_what_is_new_waits_until_the_reader_asks(browser: Browser, stack: Stack) -> None:
    page = opened(browser, stack, "/queue")
    expect(page.locator(ROW)).to_have_count(4)
    stack.add(a_flag(400, flagged_by="both"), a_flag(500))
    expect(page.locator("#queue-new")).to_have_text("2 new")
    assert cases(page) == ["4", "2", "1", "3"]
    page.click("#queue-new")
    expect(page.locator(ROW)).to_have_count(6)
    assert cases(page) == ["4", "5", "2", "1", "6", "3"]


def test_tabs_and_filters_are_in_the_address(browser: Browser, stack: Stack) -> None:
    page = opened(browser, stack, "/queue?pattern=dust_fan_out")
    expect(page.locator(ROW)).to_have_count(1)
    page.click("#queue-filters >> text=dust fan out")
    expect(page.locator(ROW)).to_have_count(4)
    page.click("#queue-tabs >> text=Closed")
    expect(page.locator("#queue-list")).to_have_text("No case was closed yet.")
    assert page.url.endswith("/queue?state=closed")
    page.go_back()
    expect(page.locator(ROW)).to_have_count(4)


def test_a_case_is_read_noted_closed_and_reopened_by_what_is_new(
    browser: Browser, stack: Stack
) -> None:
    page = opened(browser, stack, "/case/1")
    expect(page.locator("#case-body .members li")).to_have_count(40)
    expect(page.locator(".case-title")).to_contain_text("Case 1")
    expect(page.locator(".members li").last).to_contain_text("It opened the case.")
    page.fill("#case-note", MARKUP)
    page.fill("#case-author", "Ann")
    page.press("#case-author", "Tab")
    page.click("#case-do-note")
    expect(page.locator(".event-note")).to_have_text(MARKUP)
    assert page.locator("#case-history img").count() == 0

    page.click("#case-do-closed")
    expect(page.locator("#case-answer")).to_contain_text("choose one of the four")
    page.check("#case-label input >> nth=1")
    page.click("#case-do-closed")
    expect(page.locator(".case-title .state")).to_have_text("closed")
    expect(page.locator("#case-do-reopened")).to_be_visible()
    stack.add(dust_fan_outs(41)[40])
    expect(page.locator(".case-title .state")).to_have_text("reopened")
    expect(page.locator("#case-body .members li")).to_have_count(41)

    page.click(f".members a[href='#{a_hash(40)}']")
    page.wait_for_selector("#drawer.open")


def test_a_number_of_no_case_says_so_and_a_merged_one_leads_on(
    browser: Browser, stack: Stack
) -> None:
    page = opened(browser, stack, "/case/99")
    expect(page.locator("#case-head")).to_contain_text("There is no case 99")
    expect(page.locator("#case-work")).to_be_hidden()
    both = ["bc1qpayer100", "bc1qpayer200"]
    stack.add(a_flag(600, input_addresses=both))
    page.goto(f"{stack.url}/case/3")
    expect(page.locator(".case-title")).to_contain_text("Case 2")
    expect(page.locator("#case-head")).to_contain_text("Case 3 became part of this one, case 2.")
