"""The producer as a process, with a real broker and the simulator, through faults and kills.

Time is compressed: the simulator's clock runs thirty times as fast, and so does the producer.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.ingestion_processes import (
    KillableBroker,
    ProducerProcess,
    SimulatorControl,
    TopicReader,
    started,
    wait_for,
)

from core.settings import SimulatorSettings
from core.topics import ensure_topics
from core.unfinished_restore import RESTORING
from data_ingestion.simulation.faults import FAULTS
from data_ingestion.simulation.simulator_service import Simulator

pytestmark = pytest.mark.stack

SPEED = 30
INTERVAL = 10 / SPEED
FAST = {
    "request_interval_seconds": INTERVAL,
    "request_timeout_seconds": 2,
    "block_timeout_seconds": 5,
    "backoff_max_seconds": 300 / SPEED,
    "tip_check_requests": 3,
    "silent_after_seconds": 3,
    "grace_seconds": 4,
}


@pytest.fixture(scope="module")
def one_broker(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillableBroker]:
    broker = KillableBroker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    ensure_topics(broker.servers, partitions=2)
    yield broker
    broker.kill()


@pytest.fixture
def kafka(one_broker: KillableBroker) -> KillableBroker:
    """The broker, alive again where a test left it dead."""
    one_broker.start()
    return one_broker


@pytest.fixture
def topics(kafka: KillableBroker) -> TopicReader:
    return TopicReader(kafka.servers)


@pytest.fixture
def rate() -> float:
    """Simulated transactions a second; a test that measures traffic chooses its own."""
    return 1


@pytest.fixture
def simulator(rate: float) -> Iterator[Simulator]:
    start = time.time()
    settings = SimulatorSettings(
        simulator_first_block=300,
        simulator_block_seconds=10**9,
        simulator_block_transactions=10_000,
        simulator_history=200_000,
        simulator_rate=rate,
    )
    simulator = Simulator(settings, clock=lambda: start + (time.time() - start) * SPEED)
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture
def source(simulator: Simulator) -> SimulatorControl:
    return SimulatorControl(simulator.url)


@pytest.fixture
def producer(
    kafka: KillableBroker, simulator: Simulator, tmp_path: Path
) -> Iterator[ProducerProcess]:
    with started(ProducerProcess(kafka.servers, simulator.url, tmp_path, **FAST)) as producer:
        yield producer


def wait_for_mined(topics: TopicReader, source: SimulatorControl, seconds: float = 120) -> None:
    """Wait until everything that was mined by now is in Kafka."""
    mined = source.mined()
    wait_for(lambda: mined <= topics.read().hashes.keys(), seconds)


def strikes(source: SimulatorControl) -> Counter[str]:
    """How often a request had each fault."""
    return Counter(one["fault"] for one in source.get("requests") if one["fault"])


def strike_with_every_fault(source: SimulatorControl, rng: random.Random) -> None:
    """Every fault strikes once, in random order, amid bursts and blocks."""
    for fault in rng.sample(list(FAULTS), len(FAULTS)):
        before = strikes(source)[fault]
        source.post(f"faults?name={fault}&count=1&seconds=3")
        if rng.random() < 0.4:
            source.post("burst?count=400")
        if rng.random() < 0.2:
            source.post("mine")
        wait_for(lambda: strikes(source)[fault] > before)  # noqa: B023  # called at once


@pytest.mark.parametrize("rate", [7.0])
@pytest.mark.parametrize("minutes", [10, pytest.param(60, marks=pytest.mark.soak)])
def test_simulated_minutes_of_bursts_and_faults_lose_and_repeat_nothing(
    producer: ProducerProcess, source: SimulatorControl, topics: TopicReader, minutes: float
) -> None:
    wait_for_mined(topics, source)
    end = time.monotonic() + minutes * 60 / SPEED
    rng = random.Random(minutes)
    while strikes(source).keys() < FAULTS.keys() or time.monotonic() < end:
        strike_with_every_fault(source, rng)
    source.post("mine")
    wait_for_mined(topics, source)
    assert producer.metric("blocks_skipped_total") == 0
    assert topics.repeats() == set()
    assert source.shortest_pause() >= INTERVAL
    assert producer.end() == 0


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.soak)])
def test_kill_9_of_the_producer_loses_nothing(
    producer: ProducerProcess, source: SimulatorControl, topics: TopicReader, kills: int
) -> None:
    rng = random.Random(kills)
    in_flight: set[str] = set()
    wait_for_mined(topics, source)
    for _ in range(kills):
        source.post(f"burst?count={rng.randint(50, 3000)}")
        source.post("mine")
        time.sleep(rng.uniform(0.5, 4))
        in_flight.update(producer.kill())
        producer.start()
    source.post("mine")
    wait_for_mined(topics, source)
    assert topics.repeats() <= in_flight
    assert source.shortest_pause() >= INTERVAL
    assert producer.end() == 0


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.soak)])
def test_kill_9_of_the_broker_stops_the_polling_and_loses_nothing(
    kafka: KillableBroker,
    producer: ProducerProcess,
    source: SimulatorControl,
    topics: TopicReader,
    kills: int,
) -> None:
    rng = random.Random(kills)
    in_flight: set[str] = set()
    wait_for_mined(topics, source)
    for _ in range(kills):
        source.post(f"burst?count={rng.randint(50, 3000)}")
        source.post("mine")
        time.sleep(rng.uniform(0, 2))
        kafka.kill()
        wait_for(lambda: producer.metric("unacknowledged") > 0)
        in_flight.update(producer.held())
        asked = len(source.get("requests"))
        time.sleep(3 * INTERVAL)
        assert len(source.get("requests")) == asked, "a dead broker stops the polling"
        kafka.start()
    source.post("mine")
    wait_for_mined(topics, source)
    assert topics.repeats() <= in_flight
    assert producer.end() == 0


def test_an_hour_of_downtime_is_made_up_from_blocks(
    producer: ProducerProcess, source: SimulatorControl, topics: TopicReader
) -> None:
    wait_for_mined(topics, source)
    assert producer.end() == 0
    for _ in range(6):
        source.post("burst?count=4200")
        source.post("mine")
    producer.start()
    wait_for_mined(topics, source)
    heights = [json.loads(block)["height"] for block in topics.blocks]
    assert heights == list(range(heights[0], heights[0] + 7))
    assert topics.repeats() == set()


def test_a_two_block_reorganisation_leaves_nothing_of_either_branch_out(
    producer: ProducerProcess, source: SimulatorControl, topics: TopicReader
) -> None:
    wait_for_mined(topics, source)
    for _ in range(2):
        source.post("burst?count=200")
        source.post("mine")
        wait_for_mined(topics, source)
    source.post("burst?count=200")
    orphaned = source.mined()
    branch = source.post("reorganise?depth=2")["branch"]
    wait_for_mined(topics, source)
    assert orphaned <= topics.hashes.keys()
    wait_for(lambda: [json.loads(b)["hash"] for b in topics.read().blocks][-3:] == branch)
    assert topics.repeats() == set()


def test_sigterm_with_a_dead_broker_exits_0_and_loses_nothing(
    kafka: KillableBroker, producer: ProducerProcess, source: SimulatorControl, topics: TopicReader
) -> None:
    wait_for_mined(topics, source)
    kafka.kill()
    source.post("burst?count=100")
    wait_for(lambda: producer.metric("unacknowledged") > 0)
    stopped_at = time.monotonic()
    assert producer.end() == 0
    assert time.monotonic() - stopped_at < 8
    assert "Traceback" not in producer.log.read_text()
    left = set(producer.held())
    assert left
    kafka.start()
    producer.start()
    wait_for(lambda: left <= topics.read().keys)


def test_it_does_not_begin_in_a_folder_whose_restore_has_not_ended(tmp_path: Path) -> None:
    folder = tmp_path / "producer"
    folder.mkdir()
    (folder / RESTORING).touch()
    with started(ProducerProcess("localhost:1", "http://localhost:1", tmp_path)) as producer:
        assert producer.process is not None
        assert producer.process.wait(60) == 1
    log = producer.log.read_text()
    assert "event=producer_not_started" in log and "restore again" in log
    assert [path.name for path in folder.iterdir()] == [RESTORING]


def test_it_waits_for_a_broker_that_is_not_there_yet(
    kafka: KillableBroker,
    simulator: Simulator,
    source: SimulatorControl,
    topics: TopicReader,
    tmp_path: Path,
) -> None:
    kafka.kill()
    waiting = ProducerProcess(kafka.servers, simulator.url, tmp_path, **FAST)
    with started(waiting):
        wait_for(lambda: "event=waiting_for_broker" in waiting.log.read_text())
        assert source.get("requests") == []
        kafka.start()
        wait_for_mined(topics, source)
        assert waiting.end() == 0


def test_a_silent_source_is_visible_and_its_return_too(
    producer: ProducerProcess, source: SimulatorControl, topics: TopicReader
) -> None:
    wait_for_mined(topics, source)
    assert producer.get("/ready").json() == {
        "ready": True,
        "source": {"silent_since": None, "reason": "", "remedy": ""},
    }
    source.post("faults?name=unavailable")
    wait_for(lambda: producer.get("/ready").status_code == 503)
    state = producer.get("/ready").json()["source"]
    assert time.time() - 600 < state["silent_since"] < time.time()
    assert "HTTP status 503" in state["reason"]
    assert producer.metric('source_silent{reason="http_5xx"}') == 1
    assert producer.metric("source_silent_since_timestamp_seconds") > 0
    wait_for(lambda: "event=source_silent since=20" in producer.log.read_text())
    source.post("faults?clear=1")
    wait_for(lambda: producer.get("/ready").status_code == 200)
    assert producer.metric("source_silent_since_timestamp_seconds") == 0
