"""The pages as axe-core judges them: every page, theme and state without a violation."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize
from tests.support.api_application import FixedFollower, application
from tests.support.api_process import served
from tests.support.case_samples import a_flag, build, dust_fan_outs
from tests.support.casework_rows import add_marks, add_mute, mark_row
from tests.support.dashboard_backend import Backend, make_services
from tests.support.dashboard_browser import WatchedPage, scroll_to, serving
from tests.support.inside_lake import surround
from tests.support.muted_lake import lasting, pay
from tests.support.report_lake import DAY, write_day
from tests.support.watch_lists import ANN, BOB, an_entry, watch

from core.casework import CaseworkStore
from core.daily_report import daily_report
from core.report_text import as_html
from core.severity import Severity

pytestmark = pytest.mark.browser

WATCHED: dict[str, Severity] = {ANN: "critical", BOB: "low"}
THEMES = ("dark", "light")
WIDTHS: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "wide": {"width": 1440, "height": 900},
}
"""The last is that at which a page is opened and worked on."""


def violations(page: Page) -> list[str]:
    """What axe-core finds at each width, a line for each element."""
    found = []
    for width, size in WIDTHS.items():
        page.set_viewport_size(size)
        found += [f"{width}: {line}" for line in violations_here(page)]
    return found


def violations_here(page: Page) -> list[str]:
    """At the width that the page has; the table draws itself when it is in view."""
    if page.locator("#grid").is_visible():
        scroll_to(page, "#grid")
        page.wait_for_selector("#grid .ag-root")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in Axe().run(page).response["violations"]
        for node in rule["nodes"]
    ]


def overflow(page: Page) -> list[int]:
    """By how many pixels the page is wider than the window, at each width."""
    found = []
    for size in WIDTHS.values():
        page.set_viewport_size(size)
        found.append(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))
    return found


def opened(browser: Browser, theme: str) -> Page:
    """A page of a context of its own."""
    context = browser.new_context(
        viewport=WIDTHS["wide"],
        color_scheme=theme,  # type: ignore[arg-type]
        reduced_motion="reduce",
    )
    return context.new_page()


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_on_any_page_and_state(
    browser: Browser, backend: Backend, theme: str
) -> None:
    flagged = backend.rows.filter(backend.rows["is_anomaly"]).to_pylist()
    address = surround(backend.lake, flagged[:4])
    build(str(backend.lake.parent / "casework"), *dust_fan_outs(), a_flag(100, flagged_by="both"))
    pay(backend, backend.flagged[:3])
    services = backend.services(refresh_seconds=3_600)
    add_mute(services.casework, lasting(backend, pattern="version_3"))
    add_marks(services.casework, *(mark_row(hash, "useful") for hash in backend.flagged[:9]))
    with serving(services) as url:
        watched = WatchedPage(opened(browser, theme), url)
        page = watched.open("/?range=24h&value_min=0.0001")
        page.wait_for_selector("#grid .ag-row", state="attached")
        page.click("#more-filters summary")
        found = {"filters": violations(page)}
        watched.open(f"/?range=24h#{backend.flagged[1]}")
        page.wait_for_selector("#drawer.open [data-feature]")
        page.click("#further-hop")
        page.wait_for_selector("#kin ul ul")
        found["panel"] = violations(page)
        page.click("#mute-open")
        page.wait_for_selector("#mute-form:not([hidden])")
        found["mute"] = violations(page)
        page.click("#drawer .close")
        scroll_to(page, "#grid")
        page.locator("#grid .ag-row .ag-selection-checkbox input").first.check()
        page.wait_for_selector("#selection:not([hidden])")
        found["selection"] = violations(page)
        page.goto(f"{url}/mutes")
        page.wait_for_selector("#mutes-list td")
        found["mutes"] = violations(page)
        watched.open("/?range=custom&start=2020-01-02T00:00:00Z&end=2020-01-01T00:00:00Z")
        found["nothing"] = violations(page)
        page.goto(f"{url}/try")
        page.click("#score-form")
        page.wait_for_selector("#answer >> text=The verdict")
        found["try"] = violations(page)
        page.goto(f"{url}/queue")
        page.wait_for_selector("#queue-list li[data-case]")
        page.keyboard.press("j")
        page.keyboard.press("e")
        page.wait_for_selector("#queue-work:not([hidden])")
        found["queue"] = violations(page)
        page.goto(f"{url}/case/1")
        page.wait_for_selector("#case-body .members li")
        found["case"] = violations(page)
        page.goto(f"{url}/model")
        page.wait_for_selector("#page-model .panel")
        found["model"] = violations(page)
        page.goto(f"{url}/address/{address}")
        page.wait_for_selector("#page-address table")
        found["address"] = violations(page)
        page.goto(f"{url}/address/bc1qnobody")
        page.wait_for_selector("#page-address .panel")
        found["no address"] = violations(page)
    assert not any(found.values()), "\n".join(
        f"{state}: {line}" for state in found for line in found[state]
    )


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_on_the_watch_list(browser: Browser, tmp_path: Path, theme: str) -> None:
    store, lake = CaseworkStore(str(tmp_path / "casework"), "simulated"), str(tmp_path / "lake")
    with served(
        application(FixedFollower(), None, lake, casework=store.root), tmp_path / "log"
    ) as api:
        services = make_services(tmp_path / "lake", api)
        with serving(services) as url:
            page = opened(browser, theme)
            page.goto(f"{url}/watch")
            page.wait_for_selector("#watch-list >> text=The list is empty")
            found = violations(page)
            watch(store, *(an_entry(entry, severity=level) for entry, level in WATCHED.items()))
            page.reload()
            page.wait_for_selector("#watch-list .name")
            page.locator("#watch-list .name").first.click()
            page.wait_for_selector("#watch-details h3")
            found += violations(page)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_on_the_daily_report(
    browser: Browser, tmp_path: Path, theme: str
) -> None:
    lake, store = str(tmp_path / "lake"), CaseworkStore(str(tmp_path / "casework"), "simulated")
    page, found = opened(browser, theme), []
    page.set_content(as_html(daily_report(lake, store, DAY, "no model is in use yet")))
    found += violations(page)
    write_day(lake)
    page.set_content(as_html(daily_report(lake, store, DAY, "no model is in use yet")))
    found += violations(page)
    assert (found, overflow(page)) == ([], [0, 0]), "no violation, and nothing to scroll aside"
