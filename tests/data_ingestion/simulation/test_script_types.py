import pytest

from data_ingestion.simulation.script_types import SCRIPT_TYPES, ScriptType


@pytest.mark.parametrize("kind", SCRIPT_TYPES, ids=lambda kind: kind.name)
def test_an_output_weighs_its_value_and_its_script(kind: ScriptType) -> None:
    script = kind.script(bytes(kind.payload))
    assert kind.output == 8 + 1 + len(script) // 2


@pytest.mark.parametrize("kind", SCRIPT_TYPES, ids=lambda kind: kind.name)
def test_only_a_witness_program_is_spent_without_a_script(kind: ScriptType) -> None:
    assert (kind.signature_script == 0) == kind.prefix.startswith(("0014", "0020", "5120"))
    assert (kind.witness == 0) == (kind.name == "p2pkh")


def test_addresses_begin_as_their_type_does() -> None:
    starts = {kind.name: kind.address(bytes([7] * kind.payload))[:4] for kind in SCRIPT_TYPES}
    assert starts["p2pkh"][0] == "1"
    assert starts["p2sh"][0] == "3"
    assert starts["p2wpkh"] == starts["p2wsh"] == "bc1q"
    assert starts["p2tr"] == "bc1p"
