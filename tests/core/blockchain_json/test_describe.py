"""The facts of the raw JSON beyond the eight fields."""

import json
from typing import Any

import pytest
from tests.support.blockchain_samples import NOW, P2WPKH, item, paid, spent
from tests.support.coinjoins import whirlpool

from core.transaction import MAX_ADDRESS, MAX_OUTPOINTS
from data_ingestion.publishing import observe


def facts(**changes: Any) -> dict[str, Any]:
    return observe(item(**changes), NOW, "mempool").model_dump(exclude_none=True)


def test_amounts_are_described() -> None:
    fields = facts(out=[paid(4_000), paid(4_000), paid(1_000)], vout_sz=3)
    assert fields["largest_output"] == 4_000
    assert fields["smallest_output"] == 1_000
    assert fields["equal_outputs"] == 2


@pytest.mark.parametrize(("values", "equal"), [([9_000, 0], 1), ([3_000, 6_000], 1)])
def test_only_values_above_zero_can_be_equal(values: list[int], equal: int) -> None:
    assert facts(out=[paid(value) for value in values])["equal_outputs"] == equal


def test_outputs_of_nothing_have_no_equals() -> None:
    fields = facts(inputs=[spent(1_000)], out=[paid(0), paid(0)])
    assert fields["equal_outputs"] == 0


def test_dust_and_data_are_seen() -> None:
    outputs = [paid(545), paid(546), paid(293, P2WPKH), paid(0, "6a0101", None)]
    fields = facts(out=outputs, vout_sz=4, fee=10_000 - 545 - 546 - 293)
    assert fields["dust_outputs"] == 2
    assert fields["op_return"] is True
    assert fields["output_types"] == ["op_return", "p2pkh", "p2wpkh"]


def test_data_of_any_number_and_length_is_counted_and_what_is_burned_in_it() -> None:
    outputs = [paid(8_000), paid(0, "6a02abcd", None), paid(700, "6a" + "00" * 900, None)]
    fields = facts(out=outputs, vout_sz=3, fee=1_300)
    assert fields["op_return"] is True
    assert (fields["data_bytes"], fields["burned_value"]) == (4 + 901, 700)
    assert (facts()["data_bytes"], facts()["burned_value"]) == (0, 0)


def test_anchors_are_counted_and_one_below_their_limit_is_dust() -> None:
    fields = facts(out=[paid(9_000), paid(0, "51024e73", "bc1p")], vout_sz=2)
    assert (fields["anchor_outputs"], fields["dust_outputs"]) == (1, 1)
    assert facts()["anchor_outputs"] == 0


@pytest.mark.parametrize(("given", "kept"), [(3, 3), (2**32, None), (-1, None), (..., None)])
def test_the_version_is_kept_within_its_bounds(given: Any, kept: int | None) -> None:
    assert facts(ver=given).get("version") == kept


def test_coinjoins_and_moves_of_tokens_are_recognised() -> None:
    assert observe(json.dumps(whirlpool()).encode(), NOW, "mempool").coinjoin == "whirlpool"
    assert "coinjoin" not in facts()
    assert facts(out=[paid(546)], vout_sz=1, fee=9_454)["token_transfer"] is True
    assert facts()["token_transfer"] is False


@pytest.mark.parametrize(
    ("sequence", "signals"), [(0, True), (0xFFFFFFFD, True), (0xFFFFFFFE, False)]
)
def test_replaceability_is_read_from_the_sequence(sequence: int, signals: bool) -> None:
    assert facts(inputs=[spent(10_000) | {"sequence": sequence}])["rbf"] is signals


def test_without_sequences_the_source_is_believed() -> None:
    silent = spent(10_000)
    del silent["sequence"]
    assert facts(inputs=[silent], rbf=True)["rbf"] is True
    assert "rbf" not in facts(inputs=[silent])


def test_addresses_are_counted_once_and_reuse_is_seen() -> None:
    fields = facts(inputs=[spent(10_000, addr="1b")])
    assert fields["addresses_count"] == 2
    assert fields["address_reused"] is True
    assert facts()["address_reused"] is False


def test_outpoints_are_named_by_index_and_position() -> None:
    fields = facts(inputs=[spent(9_000), spent(1_000, tx_index=5, n=3)], vin_sz=2)
    assert fields["spent_outpoints"] == ["77:0", "5:3"]
    assert fields["outpoints_cut"] is False


def test_many_outpoints_are_cut_and_say_so() -> None:
    inputs = [spent(10, n=number) for number in range(MAX_OUTPOINTS + 1)]
    fields = facts(inputs=inputs, vin_sz=len(inputs), fee=10 * len(inputs) - 9_000)
    assert len(fields["spent_outpoints"]) == MAX_OUTPOINTS
    assert fields["outpoints_cut"] is True


def test_an_index_of_zero_names_nothing() -> None:
    assert "spent_outpoints" not in facts(inputs=[spent(10_000, tx_index=0)])


@pytest.mark.parametrize(("given", "kept"), [(800_000, 800_000), (2**32, None), (-1, None)])
def test_a_lock_time_out_of_its_bounds_is_not_kept(given: int, kept: int | None) -> None:
    assert facts(lock_time=given).get("lock_time") == kept


def test_missing_scripts_leave_the_facts_about_them_out() -> None:
    bare = paid(9_000)
    del bare["script"]
    fields = facts(out=[bare], vout_sz=1)
    assert not {"output_types", "op_return", "dust_outputs"} & fields.keys()
    assert fields["largest_output"] == 9_000


def test_a_malformed_fact_does_not_cost_the_transaction() -> None:
    fields = facts(out=[paid(6_000), paid(3_000) | {"addr": 5}], lock_time="soon")
    assert fields["output_value"] == 9_000
    assert "lock_time" not in fields
    assert "output_types" not in fields


def test_who_is_spent_from_and_paid_is_kept_with_its_value() -> None:
    inputs = [spent(9_000, addr="1from"), spent(1_000, tx_index=5, n=3, addr=None)]
    outputs = [paid(8_000, addr="1to"), paid(0, "6a0101", None)]
    fields = facts(inputs=inputs, vin_sz=2, out=outputs, vout_sz=2, fee=2_000)
    assert fields["input_addresses"] == ["1from", inputs[1]["prev_out"]["script"]]
    assert fields["input_values"] == [9_000, 1_000]
    assert fields["output_addresses"] == ["1to", "6a0101"]
    assert fields["output_values"] == [8_000, 0]
    assert fields["outputs_cut"] is False


def test_many_outputs_are_cut_and_say_so_and_a_long_script_is_cut() -> None:
    outputs = [paid(1) for _ in range(MAX_OUTPOINTS)] + [paid(0, "6a" + "00" * 900, None)]
    fields = facts(out=outputs, vout_sz=len(outputs), fee=10_000 - MAX_OUTPOINTS)
    assert len(fields["output_addresses"]) == len(fields["output_values"]) == MAX_OUTPOINTS
    assert fields["outputs_cut"] is True
    long = facts(out=outputs[-2:], vout_sz=2, fee=9_999)["output_addresses"][1]
    assert long == ("6a" + "00" * 900)[:MAX_ADDRESS]


@pytest.mark.parametrize("address", ["<b>", "x" * 91, "", "bc1 q"])
def test_what_is_no_address_is_replaced_by_its_script(address: str) -> None:
    output = paid(9_000) | {"addr": address}
    assert facts(out=[output], vout_sz=1)["output_addresses"] == [output["script"]]


def test_an_owner_that_is_unknown_leaves_the_side_out() -> None:
    output = paid(9_000)
    del output["script"], output["addr"]
    fields = facts(out=[output], vout_sz=1)
    assert not {"output_addresses", "output_values"} & fields.keys()
