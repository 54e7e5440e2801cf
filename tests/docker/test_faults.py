"""Every container restarted, killed and crashed under load, and the stack taken down and up.

pytest -m soak tests/docker --log-cli-level=INFO
"""

import logging
import os
import time
from collections.abc import Callable

import pytest
from tests.docker.ledger import Ledger

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]

CARRIERS = ("kafka", "simulator", "producer", "spark")
OTHERS = ("mlflow", "trainer", "api", "dashboard", "prometheus", "grafana")
STOPPED_BY_JAVA = 143
"""Java's exit code after SIGTERM is 128 + 15; Kafka has closed its files before."""


def restart(ledger: Ledger, service: str) -> None:
    ledger.stack.compose("restart", service)


def kill(ledger: Ledger, service: str) -> None:
    ledger.stack.compose("kill", "-s", "KILL", service)
    ledger.stack.compose("up", "-d")


def crash(ledger: Ledger, service: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("killing a container's process needs root")
    ledger.stack.crash(service)


@pytest.mark.parametrize("end", [restart, kill, crash])
@pytest.mark.parametrize("service", CARRIERS + OTHERS)
def test_nothing_is_lost_or_doubled_when_a_service_is_ended(
    ledger: Ledger, service: str, end: Callable[[Ledger, str], None]
) -> None:
    if service == "simulator":
        ledger.balance()
    begun = time.monotonic()
    end(ledger, service)
    ledger.stack.wait_healthy()
    log.info("%s: all healthy after %.0f s", service, time.monotonic() - begun)
    if service in CARRIERS:  # for the others, the last test compares
        log.info("%d rows, each once", ledger.balance())


def test_the_stack_stops_within_its_grace_with_clean_exit_codes_and_goes_on(
    ledger: Ledger,
) -> None:
    ledger.balance()  # what the simulator alone knows would end with it
    begun = time.monotonic()
    ledger.stack.compose("stop")
    seconds = time.monotonic() - begun
    stopped = {name: containers[0]["State"] for name, containers in ledger.stack.inspect().items()}
    codes = {name: state["ExitCode"] for name, state in stopped.items()}
    assert {name: code for name, code in codes.items() if code} == {"kafka": STOPPED_BY_JAVA}
    ledger.stack.compose("down")
    assert ledger.stack.inspect() == {}
    ledger.stack.compose("up", "-d")
    healthy = ledger.stack.wait_healthy()
    log.info("stopped in %.0f s, all healthy %.0f s after up", seconds, healthy)
    ledger.balance()
