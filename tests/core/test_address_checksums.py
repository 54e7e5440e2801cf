import random

import pytest

from core.address_checksums import is_mistyped
from core.ordinary_traffic.script_types import base58check, segwit_address


def addresses(rng: random.Random) -> list[str]:
    return [
        base58check(b"\x00" + rng.randbytes(20)),
        base58check(b"\x05" + rng.randbytes(20)),
        segwit_address(0, rng.randbytes(20)),
        segwit_address(0, rng.randbytes(32)),
        segwit_address(1, rng.randbytes(32)),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_every_address_is_well_typed_and_none_with_one_other_character(seed: int) -> None:
    rng = random.Random(seed)
    for address in addresses(rng):
        assert not is_mistyped(address)
        at = rng.randrange(3, len(address))
        other = rng.choice([c for c in "acdefghjkmnpqrst" if c != address[at]])
        assert is_mistyped(address[:at] + other + address[at + 1 :])


def test_an_address_that_begins_with_zero_bytes_is_well_typed() -> None:
    assert not is_mistyped(base58check(bytes(21)))


@pytest.mark.parametrize("text", ["tb1qxyz", "LtcAddress", "6a0101", "", "bc1", "0" * 64])
def test_what_is_no_mainnet_address_is_not_looked_at(text: str) -> None:
    assert not is_mistyped(text)


@pytest.mark.parametrize(
    "text", ["bc1qqqqqqq", "bc1pqqqqqq", "1" * 30, "1" + "z" * 33, "bc1bbbbbbb"]
)
def test_what_only_looks_like_one_is_mistyped(text: str) -> None:
    assert is_mistyped(text)
