"""The common script types: what each weighs, its output script, and its mainnet address.

Sizes follow the serialisation of BIP 141 and BIP 144. How often each type is used is the matter of
`behaviours`. Addresses are base58check, bech32 (BIP 173) or bech32m (BIP 350); they are only
encoded here, never decoded.
"""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_CONSTANT = (1, 0x2BC830A3)  # bech32 for witness version 0, bech32m from version 1 on


def _polymod_table() -> tuple[int, ...]:
    """For each five bits shifted out of the checksum, the word that is XORed back into it."""
    table = []
    for top in range(32):
        word = 0
        for bit, generator in enumerate(_GENERATOR):
            word ^= generator if top >> bit & 1 else 0
        table.append(word)
    return tuple(table)


_POLYMOD = _polymod_table()


def _checksum(values: list[int], state: int = 1) -> int:
    for value in values:
        state = (state & 0x1FFFFFF) << 5 ^ value ^ _POLYMOD[state >> 25]
    return state


_PREFIX_STATE = _checksum([3, 3, 0, 2, 3])  # the prefix "bc", expanded as BIP 173 says


def segwit_address(version: int, program: bytes) -> str:
    """The address of a witness program: `bc1q…` for version 0, `bc1p…` for version 1.

    >>> segwit_address(0, bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6"))
    'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'
    """
    bits = len(program) * 8
    padding = -bits % 5
    number = int.from_bytes(program) << padding
    data = [number >> shift & 31 for shift in range(bits + padding - 5, -1, -5)]
    values = [version, *data]
    check = _checksum([*values, 0, 0, 0, 0, 0, 0], _PREFIX_STATE)
    check ^= _CHECKSUM_CONSTANT[min(version, 1)]
    values += [check >> shift & 31 for shift in range(25, -1, -5)]
    return "bc1" + "".join([_BECH32[value] for value in values])


def base58check(payload: bytes) -> str:
    """Version byte and hash, followed by four bytes of checksum, in base 58.

    >>> base58check(bytes.fromhex("00751e76e8199196d454941c45d1b3a323f1433bd6"))
    '1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH'
    """
    data = payload + sha256(sha256(payload).digest()).digest()[:4]
    number, digits = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + digits


@dataclass(frozen=True)
class ScriptType:
    """One script type; every length in bytes.

    `input_base` counts outpoint, sequence and scriptSig of an input, `witness` its witness,
    `output` a whole output. An output script is `prefix`, `payload` bytes and `suffix`.
    """

    name: str
    input_base: int
    witness: int
    output: int
    prefix: str
    payload: int
    suffix: str = ""

    @property
    def signature_script(self) -> int:
        """Length of the scriptSig: what is left after outpoint, length and sequence."""
        return self.input_base - 41

    def script(self, payload: bytes) -> str:
        """The output script that pays to this hash or key, as hex."""
        return self.prefix + payload.hex() + self.suffix

    def address(self, payload: bytes) -> str:
        """The mainnet address of this hash or key."""
        if self.name == "p2pkh":
            return base58check(b"\x00" + payload)
        if self.name == "p2sh":
            return base58check(b"\x05" + payload)
        return segwit_address(1 if self.name == "p2tr" else 0, payload)


def data_script(data: bytes) -> bytes:
    """The output script that carries data: OP_RETURN and one push of it.

    >>> data_script(bytes(2)).hex(), data_script(bytes(80)).hex()[:6]
    ('6a020000', '6a4c50')
    """
    n = len(data)
    if n <= 75:
        return b"\x6a" + bytes([n]) + data
    opcode, width = (0x4C, 1) if n <= 0xFF else (0x4D, 2)
    return bytes([0x6A, opcode]) + n.to_bytes(width, "little") + data


def data_script_sizes(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bytes of such scripts for data of these lengths.

    >>> data_script_sizes(np.array([2, 75, 76, 255, 256])).tolist()
    [4, 77, 79, 258, 260]
    >>> [len(data_script(bytes(n))) for n in (2, 75, 76, 255, 256)]
    [4, 77, 79, 258, 260]
    """
    return 2 + lengths + (lengths > 75) + (lengths > 255)


SCRIPT_TYPES = (
    ScriptType("p2wpkh", 41, 107, 31, "0014", 20),
    ScriptType("p2tr", 41, 66, 43, "5120", 32),
    ScriptType("p2sh", 64, 107, 32, "a914", 20, "87"),  # spent as nested P2WPKH
    ScriptType("p2pkh", 147, 0, 34, "76a914", 20, "88ac"),
    ScriptType("p2wsh", 41, 253, 43, "0020", 32),  # spent as 2-of-3
)
"""The types of generated traffic; a batch refers to them by index."""

TYPE_NAMES = tuple(script.name for script in SCRIPT_TYPES)

OVERHEAD = 10
"""Bytes of version, two counts and lock time of a transaction."""

SEGWIT_MARKER = 2
"""Marker and flag: two bytes of witness weight in any transaction with a witness (BIP 144)."""
