import json
from random import Random
from typing import Any

import pytest
from tests.support.simulated import NOW, small_network

from core.blockchain_json.describe import describe
from core.detector.injected_anomalies import KINDS
from data_ingestion.simulation.control_api import ControlApi
from data_ingestion.simulation.faults import Faults
from data_ingestion.simulation.network import Network


@pytest.fixture
def network() -> Network:
    return small_network()


@pytest.fixture
def faults() -> Faults:
    return Faults(Random(1))


@pytest.fixture
def control(network: Network, faults: Faults) -> ControlApi:
    return ControlApi(network, faults, [{"monotonic": 1.0, "path": "/latestblock"}])


def ask(control: ControlApi, method: str, endpoint: str, /, **query: str) -> tuple[int, Any]:
    answer = control.answer(method, endpoint, query, NOW)
    return answer.status, json.loads(answer.body)


def test_the_truth_is_readable(control: ControlApi, network: Network) -> None:
    status, truth = ask(control, "GET", "truth")
    assert status == 200
    assert set(truth) == {"emitted", "mined", "injected", "replaced", "blocks"}
    assert len(truth["emitted"]) == 50
    assert truth["mined"][0] == network.chain.main[-1].transactions[0].hash


@pytest.mark.parametrize("kind", KINDS)
def test_a_chosen_anomaly_is_injected_at_once(
    control: ControlApi, network: Network, kind: str
) -> None:
    status, body = ask(control, "POST", "inject", kind=kind)
    assert (status, body["kind"]) == (200, kind)
    assert network.newest(1)[0].hash == body["hash"]


def test_a_payer_with_a_name_spends_from_one_address(control: ControlApi, network: Network) -> None:
    payers = set()
    for _ in range(3):
        status, body = ask(control, "POST", "inject", kind="dust_fan_out", payer="mallory")
        assert status == 200
        described = describe(network.newest(1)[0].json())
        assert described.input_addresses == [body["payer"]]
        payers.add(body["payer"])
    assert len(payers) == 1
    _, other = ask(control, "POST", "inject", kind="dust_fan_out", payer="eve")
    assert other["payer"] not in payers
    status, body = ask(control, "POST", "inject", kind="dust_fan_out", payer="x" * 81)
    assert (status, "payer must have" in body["message"]) == (400, True)


def test_an_overpaid_fee_says_beside_what(control: ControlApi, network: Network) -> None:
    status, body = ask(control, "POST", "inject", kind="overpaid", factor="50")
    assert (status, body["kind"], body["factor"]) == (200, "overpaid", 50)
    assert body["fee_rate"] / body["going_rate"] == pytest.approx(50, rel=0.05)
    assert network.newest(1)[0].hash == body["hash"]


def test_the_market_is_read_and_multiplied(control: ControlApi, network: Network) -> None:
    _, before = ask(control, "GET", "market")
    assert (before["path"], before["factor"]) == ("day", 1)
    assert before["going_rate"] == network.market.going_rate(NOW)
    for factor in (4, 16):
        status, after = ask(control, "POST", "market", factor="4")
        assert (status, after["factor"]) == (200, factor)
        assert after["level"] == pytest.approx(before["level"] * factor)
    status, body = ask(control, "POST", "market", factor="1000")
    assert status == 400
    assert "16000 times" in body["message"]
    assert network.market.factor == 16


def test_a_block_is_mined_at_once(control: ControlApi, network: Network) -> None:
    network.burst(10, NOW)
    status, body = ask(control, "POST", "mine")
    assert (status, body["transactions"]) == (200, 11)
    assert body["hash"] == network.chain.main[-1].hash


def test_a_reorganisation_names_its_branch(control: ControlApi, network: Network) -> None:
    for _ in range(4):
        network.mine(NOW)
    status, body = ask(control, "POST", "reorganise", depth="3")
    assert status == 200
    assert body["branch"] == [block.hash for block in network.chain.main][-4:]


def test_a_burst_arrives_at_once(control: ControlApi, network: Network) -> None:
    assert ask(control, "POST", "burst", count="150") == (200, {"count": 150})
    assert len(network.waiting) >= 145


def test_a_fault_is_switched_on_changed_and_off(control: ControlApi, faults: Faults) -> None:
    status, (fault,) = ask(
        control, "POST", "faults", name="slow", probability="0.5", count="2", seconds="1"
    )
    assert status == 200
    assert (fault["name"], fault["probability"], fault["count"]) == ("slow", 0.5, 2)
    ask(control, "POST", "faults", name="slow", path="/rawblock")
    assert [fault.path for fault in faults.active()] == ["/rawblock"]
    assert ask(control, "GET", "faults")[1][0]["path"] == "/rawblock"
    assert ask(control, "POST", "faults", name="slow", off="1") == (200, [])


def test_all_faults_are_cleared(control: ControlApi, faults: Faults) -> None:
    for name in ("slow", "html"):
        ask(control, "POST", "faults", name=name)
    assert ask(control, "POST", "faults", clear="1") == (200, [])
    assert faults.active() == []


def test_the_requests_and_health_are_readable(control: ControlApi, network: Network) -> None:
    assert ask(control, "GET", "requests")[1] == [{"monotonic": 1.0, "path": "/latestblock"}]
    assert ask(control, "GET", "health")[1] == {
        "status": "ok",
        "height": network.chain.height,
        "waiting": 0,
        "replay_ended": False,
    }


@pytest.mark.parametrize(
    ("name", "query", "words"),
    [
        ("inject", {}, "fat_finger_fee"),
        ("inject", {"kind": "none"}, "kind must be one of"),
        ("inject", {"kind": "overpaid"}, "factor must be a number between 1 and 100000"),
        ("inject", {"kind": "overpaid", "factor": "nan"}, "factor must be a number"),
        ("inject", {"kind": "overpaid", "factor": "0.5"}, "factor must be a number"),
        ("market", {}, "factor must be a number between 0.001 and 1000"),
        ("market", {"factor": "-4"}, "factor must be a number"),
        ("market", {"factor": "inf"}, "factor must be a number"),
        ("faults", {"name": "none"}, "bad-gateway"),
        ("faults", {"name": "slow", "probability": "2"}, "probability"),
        ("reorganise", {"depth": "0"}, "depth must be between"),
        ("burst", {"count": "x"}, "count must be"),
    ],
)
def test_a_wrong_argument_is_named(
    control: ControlApi, name: str, query: dict[str, str], words: str
) -> None:
    status, body = ask(control, "POST", name, **query)
    assert status == 400
    assert words in body["message"]


@pytest.mark.parametrize(("method", "name"), [("GET", "mine"), ("POST", "truth"), ("GET", "none")])
def test_what_is_not_there_lists_what_is(control: ControlApi, method: str, name: str) -> None:
    status, body = ask(control, method, name)
    assert status == 404
    assert "inject" in body["message"]
