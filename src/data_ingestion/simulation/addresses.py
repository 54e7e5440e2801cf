"""Addresses of scripts: base58check, bech32 (BIP 173) and bech32m (BIP 350).

Only encoding, mainnet only: the simulator writes addresses, nobody here reads them.

>>> segwit_address(0, bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6"))
'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4'
>>> base58check(bytes.fromhex("00751e76e8199196d454941c45d1b3a323f1433bd6"))
'1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH'
"""

from hashlib import sha256

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_FINAL = (1, 0x2BC830A3)  # bech32 for version 0, bech32m from version 1 on


def _steps() -> tuple[int, ...]:
    """What each five bits shifted out of the checksum fold back into it."""
    steps = []
    for top in range(32):
        folded = 0
        for bit, generator in enumerate(_GENERATOR):
            folded ^= generator if top >> bit & 1 else 0
        steps.append(folded)
    return tuple(steps)


_FOLD = _steps()


def _checksum(values: list[int], state: int = 1) -> int:
    for value in values:
        state = (state & 0x1FFFFFF) << 5 ^ value ^ _FOLD[state >> 25]
    return state


_PREFIX_STATE = _checksum([3, 3, 0, 2, 3])  # "bc", expanded as BIP 173 says


def segwit_address(version: int, program: bytes) -> str:
    """The address of a witness program: `bc1q…` for version 0, `bc1p…` for version 1."""
    bits = len(program) * 8
    padding = -bits % 5
    number = int.from_bytes(program) << padding
    data = [number >> shift & 31 for shift in range(bits + padding - 5, -1, -5)]
    values = [version, *data]
    check = _checksum([*values, 0, 0, 0, 0, 0, 0], _PREFIX_STATE) ^ _FINAL[min(version, 1)]
    values += [check >> shift & 31 for shift in range(25, -1, -5)]
    return "bc1" + "".join([_BECH32[value] for value in values])


def base58check(payload: bytes) -> str:
    """Version byte and hash, with four bytes of checksum, in base 58."""
    data = payload + sha256(sha256(payload).digest()).digest()[:4]
    number, digits = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + digits
