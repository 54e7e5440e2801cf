from random import Random

import pytest
from pydantic import ValidationError

from data_ingestion.simulation.faults import FAULTS, PAGE, Fault, Faults, error_message, parse_fault


@pytest.fixture
def faults() -> Faults:
    return Faults(Random(1))


def test_no_fault_is_drawn_while_none_is_on(faults: Faults) -> None:
    assert [faults.draw(PAGE) for _ in range(100)] == [None] * 100


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_can_be_switched_on_and_off(faults: Faults, name: str) -> None:
    faults.switch_on(Fault(name=name))
    drawn = faults.draw(PAGE)
    assert drawn is not None
    assert drawn.name == name
    faults.switch_off(name)
    assert faults.draw(PAGE) is None


def test_a_counted_fault_is_drawn_so_often(faults: Faults) -> None:
    faults.switch_on(Fault(name="blocked", count=3))
    assert [faults.draw(PAGE) is not None for _ in range(5)] == [True] * 3 + [False] * 2
    assert faults.active() == []


def test_a_probability_is_kept(faults: Faults) -> None:
    faults.switch_on(Fault(name="slow", probability=0.2))
    drawn = sum(faults.draw(PAGE) is not None for _ in range(5_000))
    assert 850 < drawn < 1_150


def test_a_fault_can_be_limited_to_one_endpoint(faults: Faults) -> None:
    faults.switch_on(Fault(name="timeout", path="/rawblock"))
    assert faults.draw(PAGE) is None
    assert faults.draw("/rawblock/00") is not None


def test_a_fault_of_the_page_is_not_drawn_for_blocks(faults: Faults) -> None:
    faults.switch_on(Fault(name="repeated-page"))
    assert faults.draw("/rawblock/00") is None


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


def test_an_error_message_names_each_wrong_field() -> None:
    with pytest.raises(ValidationError) as error:
        Fault.model_validate({"name": "slow", "count": 0, "probability": 7})
    assert error_message(error.value).count(";") == 1
    assert error_message(error.value).startswith("probability: ")
    assert error_message(ValueError("no such thing")) == "no such thing"
