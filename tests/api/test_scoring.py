import pytest

from api.going_rate import Beside
from api.schemas import EXAMPLE, SubmittedTransaction
from api.scoring import inconsistencies, predict
from core.detector.champion import Champion


def transaction(**changed: int) -> SubmittedTransaction:
    return SubmittedTransaction.model_validate(EXAMPLE | changed)


def sentences(**changed: int) -> list[str]:
    return inconsistencies(transaction(**changed))


def test_a_consistent_transaction_has_no_warnings() -> None:
    assert sentences() == []


@pytest.mark.parametrize("weight", [250, 1_000])
def test_weight_may_be_from_size_to_four_times_size(weight: int) -> None:
    assert sentences(weight=weight) == []


@pytest.mark.parametrize("weight", [249, 1_001])
def test_another_weight_is_named_with_its_bounds(weight: int) -> None:
    assert sentences(weight=weight) == [
        f"weight is {weight:,} but must lie between size (250) and 4 x size (1,000)"
    ]


def test_a_fee_that_is_not_the_difference_is_named() -> None:
    assert sentences(fee=1) == ["fee is 1 but input_value - output_value is 5,000"]


def test_outputs_above_inputs_are_named() -> None:
    assert sentences(output_value=2_000_000) == [
        "fee is 5,000 but input_value - output_value is -1,000,000"
    ]


def test_the_fee_of_a_coinbase_is_not_compared(champion: Champion) -> None:
    beside = Beside(14.0, None, "caller")
    coinbase = predict(champion, transaction(inputs_count=1, input_value=0, fee=0), beside)
    assert (coinbase["pattern"], coinbase["warnings"]) == ("coinbase", [])


def test_no_inputs_or_outputs_are_named() -> None:
    assert len(sentences(inputs_count=0, outputs_count=0)) == 2
