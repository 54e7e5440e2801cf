"""The pages as axe-core judges them: every page, theme and state without a violation."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from tests.support.case_samples import a_flag, build, dust_fan_outs
from tests.support.casework_rows import add_marks, add_mute, mark_row
from tests.support.dashboard_backend import Backend
from tests.support.dashboard_browser import WatchedPage, serving
from tests.support.inside_lake import surround
from tests.support.muted_lake import lasting, pay

pytestmark = pytest.mark.browser

WIDTHS = {"wide": (1440, 900), "phone": (390, 844)}


def violations(page: Page) -> list[str]:
    """What axe-core finds, a line for each element; the table draws itself when it is in view."""
    if (grid := page.locator("#grid")).is_visible():
        grid.scroll_into_view_if_needed()
        page.wait_for_selector("#grid .ag-root")
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_on_any_page_and_state(
    browser: Browser, backend: Backend, width: str, theme: str
) -> None:
    flagged = backend.rows.filter(backend.rows["is_anomaly"]).to_pylist()
    address = surround(backend.lake, flagged[:4])
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    build(str(backend.lake.parent / "casework"), *dust_fan_outs(), a_flag(100, flagged_by="both"))
    pay(backend, backend.flagged[:3])
    services = backend.services(refresh_seconds=3_600)
    add_mute(services.casework, lasting(backend, pattern="version_3"))
    add_marks(services.casework, *(mark_row(hash, "useful") for hash in backend.flagged[:9]))
    with serving(services) as url:
        context = browser.new_context(
            viewport=size,  # type: ignore[arg-type]
            color_scheme=theme,  # type: ignore[arg-type]
            reduced_motion="reduce",
        )
        watched = WatchedPage(context.new_page(), url)
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
        page.locator("#grid").scroll_into_view_if_needed()
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
        context.close()
    assert not any(found.values()), "\n".join(
        f"{state}: {line}" for state in found for line in found[state]
    )
