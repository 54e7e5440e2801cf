import gzip
import json
from pathlib import Path

import pytest

from core.ordinary_traffic.script_types import (
    SCRIPT_TYPES,
    ScriptType,
    base58check,
    segwit_address,
)


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


@pytest.mark.parametrize(
    ("version", "program", "address"),
    [
        # the examples of BIP 173 and BIP 350
        (
            0,
            "751e76e8199196d454941c45d1b3a323f1433bd6",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        ),
        (
            1,
            "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        ),
    ],
)
def test_a_witness_program_has_the_address_of_the_standard(
    version: int, program: str, address: str
) -> None:
    assert segwit_address(version, bytes.fromhex(program)) == address


def test_leading_zeros_stay_in_base58() -> None:
    assert base58check(bytes(21)) == "1111111111111111111114oLvT2"


def test_every_script_type_has_the_address_that_the_real_api_gives_it(sample: Path) -> None:
    checked = set()
    with gzip.open(sample / "mempool_2024.jsonl.gz", "rt") as lines:
        for line, _ in zip(lines, range(500), strict=False):
            for output in json.loads(line)["out"]:
                script = output["script"]
                for kind in SCRIPT_TYPES:
                    length = 2 * kind.payload
                    payload = script[len(kind.prefix) :][:length]
                    if script == kind.prefix + payload + kind.suffix and len(payload) == length:
                        assert kind.address(bytes.fromhex(payload)) == output["addr"]
                        checked.add(kind.name)
    assert checked == {kind.name for kind in SCRIPT_TYPES}
