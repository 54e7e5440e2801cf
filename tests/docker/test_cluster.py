"""The stream and its scoring on a Spark master with two workers, each a container."""

from typing import Any

import pytest
from tests.docker.ledger import Ledger
from tests.support.containers import wait

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]

_GET = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=9).read().decode())"


def ask(ledger: Ledger, service: str, url: str) -> Any:
    return ledger.stack.python(service, _GET, url)


def executors(ledger: Ledger) -> list[dict[str, Any]]:
    """The stream's executors by Spark's own interface, without the driver."""
    applications = "http://localhost:4040/api/v1/applications"
    (stream,) = ask(ledger, "spark", applications)
    executors = ask(ledger, "spark", f"{applications}/{stream['id']}/executors")
    return [executor for executor in executors if executor["id"] != "driver"]


def test_two_workers_serve_the_master_and_both_work_for_the_stream(cluster: Ledger) -> None:
    master = ask(cluster, "spark-master", "http://localhost:8080/json/")
    assert [worker["state"] for worker in master["workers"]] == ["ALIVE", "ALIVE"]
    assert [app["name"] for app in master["activeapps"]] == ["bitcoin-stream"]

    def both_worked() -> bool:
        return [each["completedTasks"] > 20 for each in executors(cluster)] == [True, True]

    wait(both_worked, 300, lambda: str(executors(cluster)))
    hosts = {each["hostPort"].split(":")[0] for each in executors(cluster)}
    assert len(hosts) == 2
    assert hosts == {worker["host"] for worker in master["workers"]}


def test_what_the_workers_scored_is_there_once_each(cluster: Ledger) -> None:
    assert cluster.balance() > 3_000
    assert {each["failedTasks"] for each in executors(cluster)} == {0}


def test_a_killed_worker_loses_nothing_and_doubles_nothing(cluster: Ledger) -> None:
    cluster.stack.compose("kill", "-s", "KILL", "spark-worker")
    cluster.stack.compose("up", "-d")
    cluster.stack.wait_healthy()
    cluster.balance()
    assert len(executors(cluster)) == 2
