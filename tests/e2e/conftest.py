"""The stack that the tests of this folder share: started once, and stopped after the last."""

from collections.abc import Iterator

import pytest
from tests.support.demo_stack import Demo, left_behind
from tests.support.peoples_work import Desk

# every five minutes, the default, is too rare for a test of drift
SETTINGS = {"SIMULATOR_RATE": "20", "DRIFT_CHECK_SECONDS": "15"}


@pytest.fixture(scope="package")
def desk() -> Iterator[Desk]:
    """Who is told of every case of the stack."""
    desk = Desk()
    yield desk
    desk.close()


@pytest.fixture(scope="package")
def demo(java: None, desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("stack")
    routes = desk.write_routes(folder / "alerts.yml")
    stack = Demo(folder, SETTINGS | {"ALERTS_FILE": str(routes)})
    try:
        yield stack
    finally:
        assert stack.stop() == 0, stack.log.read_text()
        assert not left_behind(stack.data)
