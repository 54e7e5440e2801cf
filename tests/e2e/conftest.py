"""The stack that the tests of this folder share: started once, and stopped after the last."""

from collections.abc import Iterator

import pytest
from tests.support.demo_stack import Demo, left_behind

# every five minutes, the default, is too rare for a test of drift
SETTINGS = {"SIMULATOR_RATE": "20", "DRIFT_CHECK_SECONDS": "15"}


@pytest.fixture(scope="package")
def demo(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    stack = Demo(tmp_path_factory.mktemp("stack"), SETTINGS)
    try:
        yield stack
    finally:
        assert stack.stop() == 0, stack.log.read_text()
        assert not left_behind(stack.data)
