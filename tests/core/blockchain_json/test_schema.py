"""Decoding one transaction, with whatever of it is malformed."""

from tests.support.blockchain_samples import item, spent

from core.blockchain_json.schema import decode_transaction


def test_a_coinbase_keeps_its_form_though_a_fact_is_malformed() -> None:
    spending = spent(0, tx_index=0, n=0xFFFFFFFF, addr=5)
    output = decode_transaction(item(inputs=[spending])).inputs[0].prev_out
    assert output is not None
    assert (output.value, output.tx_index, output.n) == (0, 0, 0xFFFFFFFF)
