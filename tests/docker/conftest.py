"""The stack in Docker, started once for each module that asks for it."""

from collections.abc import Iterator

import pytest
from tests.docker.ledger import Ledger
from tests.support.containers import CLUSTER_FILES, FILES, Containers, unable


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    yield from running(FILES, tmp_path_factory)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    yield from running(CLUSTER_FILES, tmp_path_factory)


def running(files: tuple[str, ...], folders: pytest.TempPathFactory) -> Iterator[Ledger]:
    reason = unable()
    if reason is not None:
        pytest.skip(reason)
    stack = Containers(folders.mktemp("docker"), files, {"SIMULATOR_RATE": "20"})
    try:
        stack.compose("up", "-d")
        stack.wait_healthy()
        ledger = Ledger(stack)
        ledger.balance()  # the champion is there, and the stream is at work
        yield ledger
    finally:
        stack.remove()
