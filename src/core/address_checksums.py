"""Whether a mainnet address can exist: its checksum, which one mistyped character breaks.

A kind word for whoever typed it, not a judgement: sources have their own forms of addresses, and
what is none of mainnet's (BIP 173, BIP 350, base58check) is not looked at.
"""

import re

from core.ordinary_traffic.script_types import base58check, segwit_address

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_LEGACY = re.compile("[13][0-9A-Za-z]{24,34}")
_SEGWIT = re.compile("bc1[0-9a-z]{6,87}")
_CHECK_DIGITS = 6


def is_mistyped(address: str) -> bool:
    """Whether this looks like a mainnet address and has a checksum that does not fit it.

    >>> is_mistyped("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH")
    False
    >>> is_mistyped("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMh")
    True
    >>> is_mistyped("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"), is_mistyped("tb1q")
    (True, False)
    """
    if _SEGWIT.fullmatch(address):
        return not _is_segwit(address)
    return bool(_LEGACY.fullmatch(address)) and not _is_base58check(address)


def _is_base58check(address: str) -> bool:
    number = 0
    for digit in address:
        if (value := _BASE58.find(digit)) < 0:
            return False
        number = 58 * number + value
    data = number.to_bytes(26)[1:]
    return number < 2**200 and base58check(data[:-4]) == address


def _is_segwit(address: str) -> bool:
    values = [_BECH32.find(digit) for digit in address[3:]]
    if min(values) < 0 or values[0] > 16:
        return False
    number, bits = 0, 5 * (len(values) - 1 - _CHECK_DIGITS)
    for value in values[1:-_CHECK_DIGITS]:
        number = number << 5 | value
    program = (number >> bits % 8).to_bytes(max(bits // 8, 1))
    return bits >= 16 and segwit_address(values[0], program) == address
