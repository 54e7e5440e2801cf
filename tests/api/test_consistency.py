import pytest

from api.consistency import warnings
from core.transaction import Transaction

SOUND = {
    "size": 250,
    "weight": 1_000,
    "fee": 5_000,
    "inputs_count": 2,
    "outputs_count": 2,
    "input_value": 1_000_000,
    "output_value": 995_000,
}


def told(**changed: int) -> list[str]:
    return warnings(Transaction.model_validate({"hash": "a", **SOUND, **changed}))


def test_a_sound_transaction_has_no_warnings() -> None:
    assert told() == []


@pytest.mark.parametrize("weight", [250, 1_000])
def test_weight_may_be_from_size_to_four_times_size(weight: int) -> None:
    assert told(weight=weight) == []


@pytest.mark.parametrize("weight", [249, 1_001])
def test_another_weight_is_told_with_its_bounds(weight: int) -> None:
    assert told(weight=weight) == [
        f"weight is {weight:,} but must lie between size (250) and 4 x size (1,000)"
    ]


def test_a_fee_that_is_not_the_difference_is_told() -> None:
    assert told(fee=1) == ["fee is 1 but input_value - output_value is 5,000"]


def test_outputs_above_inputs_are_told() -> None:
    assert told(output_value=2_000_000) == [
        "fee is 5,000 but input_value - output_value is -1,000,000"
    ]


def test_a_coinbase_balances_nothing() -> None:
    assert told(input_value=0, fee=0) == []


def test_no_inputs_or_outputs_are_told() -> None:
    assert len(told(inputs_count=0, outputs_count=0)) == 2
