"""The page of the watch list in Chromium, on the API as it is."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect
from tests.dashboard.test_accessibility import THEMES, opened, overflow, violations
from tests.support.api_application import FixedFollower, application
from tests.support.api_process import served
from tests.support.dashboard_backend import Backend, make_services
from tests.support.dashboard_browser import WatchedPage, serving
from tests.support.moved_lake import append_movements, movement
from tests.support.watch_lists import ANN, BOB, an_entry, watch

from core.casework import CaseworkStore
from core.proxy_names import ProxyNames
from core.settings import ApiSettings
from dashboard.services import Services

pytestmark = pytest.mark.browser

MARKUP = "<img src=x onerror=alert(1)>"
READER = "reader-0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> CaseworkStore:
    return CaseworkStore(str(tmp_path / "casework"), "simulated")


@pytest.fixture
def services(backend: Backend, store: CaseworkStore, tmp_path: Path) -> Iterator[Services]:
    """A dashboard on the API, and a lake in which Ann was paid by a flagged transaction."""
    at = backend.now - timedelta(minutes=3)
    append_movements(str(backend.lake), [movement(ANN, backend.flagged[0], at, 150_000_000)])
    app = application(FixedFollower(), lake=str(backend.lake), casework=store.root)
    with served(app, tmp_path / "api.log") as url:
        yield make_services(backend.lake, url, refresh_seconds=3_600)


def context_of(browser: Browser, **options: Any) -> Any:
    size = {"width": 1440, "height": 900}
    return browser.new_context(**{"viewport": size, "reduced_motion": "reduce"} | options)


@pytest.fixture
def page(browser: Browser, services: Services) -> Iterator[Page]:
    with serving(services) as url:
        context = context_of(browser)
        watched = WatchedPage(context.new_page(), url)
        watched.page.goto(f"{url}/watch")
        yield watched.page
        context.close()
        assert watched.errors == []
        assert watched.other_hosts == []


def fill(page: Page, entry: str, name: str) -> None:
    page.fill("#watch-entry", entry)
    page.fill("#watch-name", name)
    page.fill("#watch-reason", "asked for")
    page.fill("#watch-author", "Eve")


def test_an_entry_is_put_on_found_opened_changed_and_taken_off(page: Page) -> None:
    expect(page.locator("#watch-list")).to_contain_text("The list is empty")
    fill(page, ANN, MARKUP)
    page.click("#watch-severity >> text=high")
    page.click("#watch-save")
    expect(page.locator("#watch-answer")).to_contain_text("Done: 1 added; 1 on the list.")
    expect(page.locator("#watch-list .name")).to_have_text(MARKUP)
    expect(page.locator("#watch-list .severity")).to_have_text("high")
    page.fill("#watch-search", "nobody")
    expect(page.locator("#watch-list")).to_contain_text("No entry on the list has this")
    expect(page.locator("#watch-count")).to_have_text("0 of 1 entry")
    page.fill("#watch-search", "ONERROR")
    page.locator("#watch-list .name").click()
    expect(page.locator("#watch-entry")).to_have_value(ANN)
    expect(page.locator("#watch-details")).to_contain_text("added by Eve")
    expect(page.locator("#watch-details")).to_contain_text("was paid 1.5 BTC in")
    page.fill("#watch-name", "Ann")
    page.click("#watch-save")
    expect(page.locator("#watch-details")).to_contain_text("changed by Eve")
    page.click("#watch-remove")
    expect(page.locator("#watch-answer")).to_contain_text("Taken off; 0 on the list.")
    page.click("#watch-clear")
    expect(page.locator("#watch-entry")).to_have_value("")
    expect(page.locator("#watch-details")).to_be_empty()


def test_what_the_api_refuses_is_a_sentence(page: Page) -> None:
    fill(page, "no address!", "Ann")
    page.click("#watch-save")
    answer = page.locator("#watch-answer .problem")
    expect(answer).to_contain_text("entries.0.entry: it is not an address")
    page.fill("#watch-entry", BOB)
    page.click("#watch-remove")
    expect(answer).to_have_text("This entry is not on the list.")


def test_a_file_is_imported_or_says_which_lines_are_bad(page: Page) -> None:
    page.fill("#watch-author", "Eve")

    def choose(text: str) -> None:
        file = FilePayload(name="list.csv", mimeType="text/csv", buffer=text.encode())
        page.set_input_files("#watch-file input[type=file]", files=[file])

    choose(f"{ANN}\nwrong!\n{BOB}\nalso wrong\n")
    answer = page.locator("#watch-file-answer")
    expect(answer).to_contain_text("Nothing is changed. Line 2")
    expect(answer.locator("li")).to_have_count(2)
    choose(f"{ANN}\n{BOB}\n")
    expect(answer).to_contain_text("Done: 2 added; 2 on the list.")
    expect(page.locator("#watch-list .name")).to_have_count(2)
    with page.expect_download() as download:
        page.click("text=Export CSV")
    assert Path(download.value.path()).read_text().splitlines()[1].startswith(f"{ANN},address")


def test_what_was_seen_leads_to_its_transaction(
    page: Page, store: CaseworkStore, backend: Backend
) -> None:
    watch(store, an_entry(ANN))
    page.click("#watch-look")
    seen = page.locator("#watch-seen li")
    expect(seen).to_contain_text("Ann was paid 1.5 BTC in")
    seen.locator("a").click()
    expect(page.locator("#drawer.open .hash.copy")).to_have_text(backend.flagged[0])


def test_it_is_all_reached_by_the_keyboard(page: Page, store: CaseworkStore) -> None:
    watch(store, an_entry(ANN))
    page.focus("#watch-search")
    page.keyboard.type("bc1")
    expect(page.locator("#watch-count")).to_have_text("0 of 1 entry")
    page.fill("#watch-search", "")
    page.locator("#watch-list .name").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#watch-name")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("Anna")
    page.fill("#watch-author", "Eve")
    page.locator("#watch-save").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#watch-list .name")).to_have_text("Anna")


def test_the_name_that_the_proxy_gives_is_written_down(
    browser: Browser, services: Services, store: CaseworkStore
) -> None:
    services.names = ProxyNames("X-Forwarded-User", "127.0.0.1")
    with serving(services) as url:
        context = context_of(browser, extra_http_headers={"X-Forwarded-User": "Carol"})
        page = context.new_page()
        page.goto(f"{url}/watch")
        expect(page.locator("#watch-author")).to_be_disabled()
        expect(page.locator("#watch-author")).to_have_value("Carol")
        page.fill("#watch-entry", ANN)
        page.fill("#watch-name", "Ann")
        page.fill("#watch-reason", "asked for")
        page.click("#watch-save")
        expect(page.locator("#watch-list")).to_contain_text("by Carol")
        context.close()
    rows = store.query("SELECT author FROM watch_list", "watch_list")
    assert rows is not None
    assert rows["author"].to_pylist() == ["Carol"]


def test_a_key_that_may_not_is_named_and_the_page_outlives_the_api(
    browser: Browser, backend: Backend, store: CaseworkStore, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[reader]\nkey = "{READER}"\npermissions = ["read"]\n')
    settings = ApiSettings(_env_file=None, api_keys_file=keys)
    app = application(FixedFollower(), settings, str(backend.lake), casework=store.root)
    context = context_of(browser)
    with served(app, tmp_path / "api.log") as api:
        services = make_services(backend.lake, api, refresh_seconds=3_600)
        services.api.session.headers["X-API-Key"] = READER
        with serving(services) as url:
            page = context.new_page()
            page.goto(f"{url}/watch")
            fill(page, ANN, "Ann")
            page.click("#watch-save")
            answer = page.locator("#watch-answer")
            expect(answer).to_contain_text("This key has no permission to watch.")
            expect(answer).to_contain_text("DASHBOARD_API_KEY")
            services.api.url = "http://127.0.0.1:9"
            page.click("#watch-save")
            expect(answer).to_contain_text("The API does not answer just now.")
            page.reload()
            expect(page.locator("#watch-list")).to_contain_text("The API does not answer just now.")
    context.close()


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_and_nothing_overflows(
    browser: Browser, services: Services, store: CaseworkStore, theme: str
) -> None:
    watch(store, an_entry(ANN, name="A" * 80), an_entry("6a" * 128, severity="critical"))
    with serving(services) as url:
        page = opened(browser, theme)
        page.goto(f"{url}/watch")
        page.locator("#watch-list .name").first.click()
        expect(page.locator("#watch-details")).to_contain_text("added by tester")
        page.click("#watch-save")  # nobody says who: refused
        expect(page.locator("#watch-answer .problem")).to_be_visible()
        page.click("#watch-look")
        expect(page.locator("#watch-seen li").first).to_be_visible()
        found = violations(page)
        assert not found, "\n".join(found)
        assert max(overflow(page)) <= 0
