"""From raw JSON to an observed transaction: every shape of the source, and every refusal."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.blockchain_samples import NOW, item, paid, payment, spent, tx_hash

from core.blockchain_json.describe import REFUSALS, UnusableItemError
from core.transaction import TransactionSource
from data_ingestion.publishing import observe

CAPTURED = Path(__file__).parents[3] / "shared" / "data" / "blockchain_info"
COINBASE = {"n": 0xFFFFFFFF, "script": "", "tx_index": 0, "value": 0}


def refusal(body: bytes) -> UnusableItemError:
    with pytest.raises(UnusableItemError) as raised:
        observe(body, NOW, "mempool")
    assert raised.value.refusal in REFUSALS
    return raised.value


def test_a_payment_keeps_its_eight_fields() -> None:
    observed = observe(item(), NOW, "mempool")
    assert (observed.hash, observed.size, observed.weight, observed.fee) == (
        tx_hash(1),
        225,
        573,
        1000,
    )
    assert (observed.inputs_count, observed.outputs_count) == (1, 2)
    assert (observed.input_value, observed.output_value) == (10_000, 9_000)
    assert (observed.time, observed.first_seen, observed.source) == (NOW - 5, NOW, "mempool")
    assert observed.block_height is None


def test_a_block_gives_its_height() -> None:
    assert observe(item(), NOW, "block", 850_000).block_height == 850_000


@pytest.mark.parametrize(("given", "kept"), [(0, None), (None, None), (5, 5)])
def test_an_unconfirmed_item_has_no_height(given: int | None, kept: int | None) -> None:
    assert observe(item(block_height=given), NOW, "mempool").block_height == kept


def test_the_fee_is_derived_where_the_schema_of_2018_has_none() -> None:
    assert observe(item(fee=...), NOW, "mempool").fee == 1_000


@pytest.mark.parametrize(
    "spending",
    [{"prev_out": COINBASE}, {"prev_out": COINBASE | {"addr": ""}}, {"prev_out": None}, {}],
)
@pytest.mark.parametrize("fee", [0, ...])
def test_every_form_of_a_coinbase_transaction_is_read(spending: Any, fee: Any) -> None:
    coinbase = item(inputs=[spending], fee=fee, out=[paid(5), paid(0)], lock_time=2**32 - 1)
    observed = observe(coinbase, NOW, "block", 1)
    assert (observed.input_value, observed.fee, observed.output_value) == (0, 0, 5)
    assert observed.spent_outpoints == []


@pytest.mark.parametrize(
    "spending", [{"prev_out": COINBASE}, {"prev_out": None}, {}, {"prev_out": {}}]
)
@pytest.mark.parametrize("fee", [0, ...])
@pytest.mark.parametrize("height", [None, 5])
def test_a_coinbase_is_never_in_a_mempool(spending: Any, fee: Any, height: int | None) -> None:
    assert refusal(item(inputs=[spending], fee=fee, block_height=height)).refusal in (
        "value_unknown",
        "out_of_bounds",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"vin_sz": 5_569},
        {"inputs": [{"prev_out": {"tx_index": 77, "n": 0}}]},
        {"inputs": [{"prev_out": None}, {"prev_out": None}], "vin_sz": 2},
    ],
)
@pytest.mark.parametrize("fee", [0, ...])
def test_inputs_without_a_value_are_refused_and_no_coinbase(changes: Any, fee: Any) -> None:
    unknown = item(**({"inputs": [{"prev_out": None}], "fee": fee} | changes))
    with pytest.raises(UnusableItemError) as raised:
        observe(unknown, NOW, "block", 5)
    assert raised.value.refusal == "value_unknown"


def test_pruned_outputs_are_derived_from_the_fee() -> None:
    observed = observe(item(out=[paid(3_000)]), NOW, "mempool")
    assert (observed.outputs_count, observed.output_value) == (2, 9_000)
    assert observed.largest_output is None


def test_pruned_outputs_without_a_fee_are_refused() -> None:
    assert refusal(item(out=[paid(3_000)], fee=...)).refusal == "value_unknown"


def test_an_input_without_value_is_derived_from_the_fee() -> None:
    no_value = {"sequence": 0, "prev_out": None}
    observed = observe(item(inputs=[spent(1), no_value], vin_sz=2), NOW, "mempool")
    assert observed.input_value == 10_000


def test_a_missing_weight_is_refused() -> None:
    error = refusal(item(weight=...))
    assert error.refusal == "weight_unknown"
    assert "weight is missing" in str(error)


def test_a_fee_that_does_not_add_up_is_refused() -> None:
    assert refusal(item(fee=999)).refusal == "inconsistent"


@pytest.mark.parametrize(
    "changes",
    [
        {"hash": "xyz"},
        {"size": 0},
        {"weight": 5_000_000},
        {"out": [paid(-1), paid(9_001)]},
        {"inputs": [], "out": [], "fee": ..., "vin_sz": 10**7, "vout_sz": 0},
    ],
)
def test_what_is_out_of_bounds_is_refused(changes: dict[str, Any]) -> None:
    assert refusal(item(**({"fee": ...} | changes))).refusal in {"out_of_bounds", "value_unknown"}


def test_outputs_above_inputs_are_refused() -> None:
    assert refusal(item(fee=..., inputs=[spent(1)])).refusal == "inconsistent"


def test_a_refusal_names_the_field_and_what_was_given() -> None:
    assert "size: Input should be greater than or equal to 1 (got 0)" in str(refusal(item(size=0)))


@pytest.mark.parametrize("body", [b"5", b"[]", b"null", b'"x"', b"{}", b'{"hash":', b""])
def test_what_is_no_transaction_is_refused(body: bytes) -> None:
    assert refusal(body).refusal == "malformed"


def test_a_wrong_type_is_refused_with_its_place() -> None:
    assert "$.out[0].value" in str(refusal(item(out=[paid(1) | {"value": "1"}])))


@pytest.mark.parametrize("time", [-1, 2**32, 0, None])
def test_an_impossible_time_is_left_out(time: int | None) -> None:
    assert observe(item(time=time), NOW, "mempool").time is None


def captured() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every transaction of the captured responses, with the file that it is from."""
    for path in sorted(CAPTURED.iterdir()):
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        parts = [text] if path.suffix == ".json" else text.splitlines()
        for part in parts:
            yield from ((path.name, observed) for observed in transactions(json.loads(part)))


def transactions(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for one in value:
            yield from transactions(one)
    elif isinstance(value, dict) and "inputs" in value:
        yield value
    elif isinstance(value, dict):
        yield from transactions([one for one in value.values() if isinstance(one, dict | list)])


def right_refusal(raw: dict[str, Any]) -> str | None:
    if "weight" not in raw:
        return "weight_unknown"
    if "fee" not in raw and len(raw["out"]) < raw["vout_sz"]:
        return "value_unknown"
    spending = sum((i.get("prev_out") or {"value": 0})["value"] for i in raw["inputs"])
    # One capture of 2018 pays more than it spends: the backend gave a wrong previous output.
    worth = sum(output["value"] for output in raw["out"])
    return "inconsistent" if spending and worth > spending else None


@pytest.fixture(scope="module")
def responses() -> list[tuple[str, dict[str, Any]]]:
    if not CAPTURED.is_dir():
        pytest.skip(f"the captured responses are not there: {CAPTURED}")
    return list(captured())


def test_every_captured_response_is_read_or_refused_for_the_right_reason(
    responses: list[tuple[str, dict[str, Any]]],
) -> None:
    assert len(responses) > 500
    origin: TransactionSource
    for file, raw in responses:
        try:
            origin = "block" if raw.get("block_height") else "mempool"
            observed = observe(json.dumps(raw).encode(), NOW, origin)
        except UnusableItemError as error:
            assert error.refusal == right_refusal(raw), f"{file}: {error}"
        else:
            assert right_refusal(raw) is None, file
            assert observed.hash == raw["hash"]
            assert observed.fee == raw.get("fee", observed.fee)


def test_captured_websocket_messages_have_no_weight(
    responses: list[tuple[str, dict[str, Any]]],
) -> None:
    messages = [raw for file, raw in responses if file.startswith("ws_")]
    assert len(messages) == 3
    for raw in messages:
        assert refusal(json.dumps(raw).encode()).refusal == "weight_unknown"


def test_a_payment_of_the_samples_is_of_the_captured_schema(
    responses: list[tuple[str, dict[str, Any]]],
) -> None:
    current = next(raw for file, raw in responses if file.startswith("unconfirmed"))
    assert payment().keys() <= current.keys()
