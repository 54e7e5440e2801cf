import gzip
import json
from pathlib import Path

import pytest

from data_ingestion.simulation.addresses import base58check, segwit_address
from data_ingestion.simulation.script_types import SCRIPT_TYPES


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
