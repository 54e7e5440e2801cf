from random import Random

import pytest
from pydantic import ValidationError

from data_ingestion.simulation.faults import FAULTS, PAGE, Fault, Faults, parse_fault


@pytest.fixture
def faults() -> Faults:
    return Faults(Random(1))


def test_a_good_day_has_no_faults(faults: Faults) -> None:
    assert [faults.strike(PAGE) for _ in range(100)] == [None] * 100


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_can_be_switched_on_and_off(faults: Faults, name: str) -> None:
    faults.switch_on(Fault(name=name))
    struck = faults.strike(PAGE)
    assert struck is not None
    assert struck.name == name
    faults.switch_off(name)
    assert faults.strike(PAGE) is None


def test_a_counted_fault_strikes_so_often(faults: Faults) -> None:
    faults.switch_on(Fault(name="blocked", count=3))
    assert [faults.strike(PAGE) is not None for _ in range(5)] == [True] * 3 + [False] * 2
    assert faults.active() == []


def test_a_probability_is_kept(faults: Faults) -> None:
    faults.switch_on(Fault(name="slow", probability=0.2))
    struck = sum(faults.strike(PAGE) is not None for _ in range(5_000))
    assert 850 < struck < 1_150


def test_a_fault_can_be_one_endpoints_alone(faults: Faults) -> None:
    faults.switch_on(Fault(name="timeout", path="/rawblock"))
    assert faults.strike(PAGE) is None
    assert faults.strike("/rawblock/00") is not None


def test_a_pages_fault_leaves_blocks_alone(faults: Faults) -> None:
    faults.switch_on(Fault(name="repeated-page"))
    assert faults.strike("/rawblock/00") is None


def test_all_are_switched_off_at_once(faults: Faults) -> None:
    for name in FAULTS:
        faults.switch_on(Fault(name=name))
    faults.switch_off()
    assert faults.active() == []


def test_an_unknown_fault_is_refused(faults: Faults) -> None:
    with pytest.raises(KeyError):
        faults.switch_on(Fault(name="gremlins"))


def test_the_command_line_names_probability_and_count() -> None:
    assert parse_fault("slow") == Fault(name="slow")
    assert parse_fault("slow:0.5:7") == Fault(name="slow", probability=0.5, count=7)


@pytest.mark.parametrize("text", ["gremlins", "slow:2", "slow:0.5:0", "slow:a", "slow:1:1:1"])
def test_a_wrong_command_line_is_refused(text: str) -> None:
    with pytest.raises((ValueError, ValidationError)):
        parse_fault(text)
