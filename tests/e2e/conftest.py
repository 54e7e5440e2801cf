"""The stack that the tests of this folder share: started once."""

from collections.abc import Iterator

import pytest
from tests.e2e.running import Demo, left_behind


@pytest.fixture(scope="session")
def demo(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("stack"))
    try:
        yield running
    finally:
        assert running.stop() == 0, running.log.read_text()
        assert not left_behind(running.data)
