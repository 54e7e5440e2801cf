"""From the topic to a receiver, by the real service on a real broker, whatever is down."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from local.broker import Broker
from local.ports import accepts, free_port
from tests.support.case_samples import a_flag
from tests.support.http_receiver import HttpReceiver
from tests.support.processes import Part, daemon, process, wait_until

from core.casework import CaseworkStore
from core.settings import ROOT
from core.topics import ANOMALIES, ensure_topics

pytestmark = pytest.mark.stack

SECRET = "a secret of many letters"
ROUTES = """\
routes:
  - name: team
    from: low
    cool_down: 1h
    webhook: {{url: "http://{address}/", secret: {secret}}}
  - name: dead
    from: low
    to: ["json://localhost:1/"]
"""


def message(case: int, number: int) -> dict[str, Any]:
    """A flag that shares its payer with the others of its case, and nothing with any other."""
    explanation = f"Unusual: flag {number} of case {case}."
    payer = {"input_addresses": [f"bc1qpayer{case}"], "explanation": explanation}
    return a_flag(1_000 * case + number, **payer)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, f"timed out waiting for {what}"
        time.sleep(0.05)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver().start()
    yield receiver
    receiver.stop()


@pytest.fixture
def servers(java: None, tmp_path: Path) -> Iterator[str]:
    """A broker whose topics nobody else writes."""
    folder = tmp_path / "kafka"
    folder.mkdir()
    kafka = Broker(folder, free_port(), free_port())
    kafka.prepare()
    with process(kafka.command(), folder / "broker.log") as running:
        wait_until(lambda: accepts(kafka.port), running, folder / "broker.log")
        ensure_topics(f"localhost:{kafka.port}", partitions=1)
        yield f"localhost:{kafka.port}"


@pytest.fixture
def service(servers: str, tmp_path: Path, receiver: HttpReceiver) -> Iterator[Part]:
    (tmp_path / "alerts.yml").write_text(ROUTES.format(address=receiver.address, secret=SECRET))
    settings = {
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "DATA_DIR": str(tmp_path / "data"),
        "DATA_ORIGIN": "simulated",
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "ALERTS_FILE": str(tmp_path / "alerts.yml"),
        "CASEWORK_METRICS_PORT": str(free_port()),
    }
    door = ROOT / "src" / "casework" / "case_builder.py"
    casework = daemon(door, tmp_path / "casework.log", settings)
    casework.start()
    yield casework
    casework.kill()


def publish(servers: str, *messages: dict[str, Any]) -> None:
    producer = KafkaProducer(bootstrap_servers=servers)
    for each in messages:
        producer.send(ANOMALIES, json.dumps(each).encode(), key=each["hash"].encode())
    producer.flush()
    producer.close()


def waiting(folder: Path) -> int:
    """The members that the alerts of one route in the outbox tell of."""
    store = CaseworkStore(str(folder / "data" / "casework"), "simulated")
    rows = store.query("SELECT SUM(joined) AS n FROM alerts WHERE route = 'team'", "alerts")
    return 0 if rows is None else rows["n"][0].as_py() or 0


def told(receiver: HttpReceiver) -> list[int]:
    """The members of each case that the messages told, summed up."""
    joined: dict[int, int] = {}
    for body in receiver.bodies():
        joined[body["case"]] = joined.get(body["case"], 0) + body["joined"]
    return sorted(joined.values())


def test_a_receiver_that_was_down_gets_all_of_it_once_though_the_service_was_killed(
    servers: str, service: Part, receiver: HttpReceiver, tmp_path: Path
) -> None:
    receiver.stop()
    publish(servers, *(message(case, 1) for case in range(8)))
    log = service.log
    wait_for(lambda: "event=alert_not_delivered route=team" in log.read_text(), "a failure")
    service.kill()
    publish(servers, *(message(case, 2) for case in range(4)))
    service.start()
    wait_for(lambda: log.read_text().count("event=alert_not_delivered route=team") >= 3, "more")
    publish(servers, *(message(case, 3) for case in range(2)))
    wait_for(lambda: waiting(tmp_path) == 14, "all alerts in the outbox")
    service.kill()
    receiver.start()
    service.start()
    wait_for(lambda: sum(told(receiver)) == 14, "every alert")
    assert told(receiver) == [1, 1, 1, 1, 2, 2, 3, 3]
    bodies = receiver.bodies()
    assert len({body["case"] for body in bodies}) == len(bodies) == 8, "a case was told twice"
    publish(servers, message(0, 4), message(9, 1))
    wait_for(lambda: sum(told(receiver)) == 15, "the alert of a new case")
    assert receiver.bodies()[-1]["explanation"].startswith("Unusual: flag 1 of case 9.")
    service.kill()
    service.start()
    wait_for(lambda: log.read_text().count("event=routes_loaded") == 4, "the last start")
    publish(servers, message(10, 1))
    wait_for(lambda: sum(told(receiver)) == 16, "the alert after it")
    assert len(receiver.bodies()) == 10, "nothing else was told again"


def test_a_bad_file_keeps_the_routes_of_the_running_service(
    servers: str, service: Part, receiver: HttpReceiver, tmp_path: Path
) -> None:
    wait_for(lambda: "event=routes_loaded routes=2" in service.log.read_text(), "its routes")
    with (tmp_path / "alerts.yml").open("a") as file:
        file.write("    from: nowhere\n")
    wait_for(lambda: "alerts.yml, line 9: from is there twice" in service.log.read_text(), "it")
    publish(servers, message(20, 1))
    wait_for(lambda: any(body["joined"] for body in receiver.bodies()), "an alert")
