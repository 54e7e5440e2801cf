import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from playwright.sync_api import Browser
from tests.support.dashboard_api import FakeApi
from tests.support.dashboard_backend import Backend, fill
from tests.support.dashboard_browser import chromium
from tests.support.delta_tables import scored

from dashboard.services import Services


@pytest.fixture(scope="module")
def chromium_of_the_file() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def browser(chromium_of_the_file: Browser) -> Iterator[Browser]:
    """Chromium; what a test has opened is closed at its end, or it would go on asking."""
    yield chromium_of_the_file
    for context in chromium_of_the_file.contexts:
        context.close()


@pytest.fixture
def api() -> Iterator[FakeApi]:
    server = FakeApi()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def filled_lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table, datetime]:
    now = datetime.now(UTC)
    rows = scored(6_000, now, 3 * 3600)
    lake = tmp_path_factory.mktemp("template") / "lake"
    fill(lake, rows, now)
    return lake, rows, now


@pytest.fixture
def backend(tmp_path: Path, filled_lake: tuple[Path, pa.Table, datetime], api: FakeApi) -> Backend:
    """Each test changes its own copy: tables do not contain the path where they lie."""
    lake, rows, now = filled_lake
    return Backend(Path(shutil.copytree(lake, tmp_path / "lake")), rows, now, api)


@pytest.fixture
def services(backend: Backend) -> Services:
    """The parts of a dashboard that has read the lake once."""
    services = backend.services()
    services.recent.refresh()
    return services
