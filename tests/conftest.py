"""The real parts that tests share, a Kafka broker and an MLflow server; and how the suite runs."""

import gc
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from local import jars
from local.broker import Broker
from local.ports import accepts, free_port
from tests.support import suite
from tests.support.processes import answers, missing, process, wait_until
from tests.support.store_server import StoreServer, store_server

from core.settings import ROOT
from core.topics import ensure_topics
from model.tracking_server import ENVIRONMENT, Tracking

# How long an example takes depends on what else runs on the machine.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session")
def java() -> None:
    """Java 17 and the resolved jars."""
    if shutil.which("java") is None:
        missing("Java 17 is not installed")
    if not jars.complete():
        missing("the jars are not there: run `make install`")


@pytest.fixture(scope="session")
def broker(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real broker with the project's topics; its bootstrap servers."""
    folder = tmp_path_factory.mktemp("kafka")
    kafka = Broker(folder, free_port(), free_port())
    kafka.prepare()
    servers, log = f"localhost:{kafka.port}", folder / "broker.log"
    with process(kafka.command(), log) as running:
        # kafka-python leaks its socket where nobody listens yet: ask it only afterwards
        wait_until(lambda: accepts(kafka.port), running, log)
        ensure_topics(servers, partitions=2)
        yield servers


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server with an empty registry; its tracking URI."""
    folder = tmp_path_factory.mktemp("mlflow")
    server = Tracking(folder, free_port())
    uri, log = f"http://localhost:{server.port}", folder / "server.log"
    with process(server.command(), log, ENVIRONMENT) as running:
        wait_until(lambda: answers(f"{uri}/health"), running, log)
        yield uri


@pytest.fixture(scope="module")
def store_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    with store_server(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture
def store(store_process: StoreServer, monkeypatch: pytest.MonkeyPatch) -> StoreServer:
    """An object store, as the settings of this process and of those that it starts."""
    for name, value in store_process.settings.items():
        monkeypatch.setenv(name, value)
    return store_process


@pytest.fixture(autouse=True)
def left_sockets(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what kafka-python leaves beside a broker, or a later test would be blamed for it."""
    beside_a_broker = suite.BESIDE_A_BROKER in request.fixturenames
    if beside_a_broker:  # a captured log record would keep the connection
        request.getfixturevalue("caplog").set_level(logging.CRITICAL, logger="kafka")
    yield
    if beside_a_broker:
        gc.collect()


@pytest.fixture
def sample() -> Path:
    """The folder of recorded transactions, which is optional."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the recorded transactions (../shared/data) are absent")
    return folder


@pytest.fixture
def lake(tmp_path: Path) -> str:
    """An empty lake of the test's own."""
    return str(tmp_path / "lake")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    suite.longest_first(items)
    suite.allow_left_sockets(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--numprocesses`: give a process one unit after another, in the order of the tests."""
    from xdist.scheduler import LoadScopeScheduling

    class ByUnit(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return suite.unit(nodeid)

    config.option.loadscopereorder = False
    return ByUnit(config, log)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """With `--cov`: print the total and the files of which few lines were executed."""
    if config.getoption("cov_source", None):
        terminalreporter.section("coverage")
        for line in suite.coverage_lines(".coverage"):
            terminalreporter.line(line)
