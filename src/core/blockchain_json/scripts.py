"""The type and the dust limit of an output's script, from its bytes in hexadecimal.

The types are those of Bitcoin Core's `Solver` (`script/solver.cpp`), under their short names.
Public keys are recognised by length and first byte; whether they lie on the curve is not checked.
The scripts of inputs are not read.

>>> script_type("0014d5bfb7a6d05d44c1e14443919b30d284c0c0a10a")
'p2wpkh'
"""

_FIXED = {
    50: (("76a914", "88ac", "p2pkh"),),
    46: (("a914", "87", "p2sh"),),
    44: (("0014", "", "p2wpkh"),),
    68: (("0020", "", "p2wsh"), ("5120", "", "p2tr")),
    8: (("51024e73", "", "p2a"),),
    70: (("2102", "ac", "p2pk"), ("2103", "ac", "p2pk")),
    134: (("4104", "ac", "p2pk"),),
}
"""By length in hexadecimal digits: the first digits, the last digits and the type."""

_SMALL_NUMBERS = {f"{opcode:02x}" for opcode in range(0x51, 0x61)}
"""OP_1 to OP_16: versions of later witness programs, and the counts of a multisig."""

_WITNESS_VERSIONS = _SMALL_NUMBERS | {"00"}

OP_RETURN = "6a"
"""The first byte of a script that only carries data and can never be spent."""

_DUST_RELAY_RATE = 3
"""Satoshi per virtual byte at which spending is priced (`DUST_RELAY_TX_FEE`, `policy/policy.h`)."""

_INPUT_SIZE = 148
"""Virtual bytes to spend an output with a script signature (`GetDustThreshold`, `policy.cpp`)."""

_WITNESS_INPUT_SIZE = 67
"""Virtual bytes to spend a witness program: 32 + 4 + 1 + 107 / 4 + 4 (`GetDustThreshold`)."""

_MAX_SCRIPT_SIZE = 10_000
"""Bytes above which a script can never be spent (`MAX_SCRIPT_SIZE`, `script/script.h`)."""


def script_type(script: str) -> str:
    """The type of a script: p2pk, p2pkh, p2sh, p2wpkh, p2wsh, p2tr, p2a, multisig, op_return,
    witness_unknown or nonstandard.
    """
    for first, last, name in _FIXED.get(len(script), ()):
        if script.startswith(first) and script.endswith(last):
            return name
    if script.startswith(OP_RETURN):
        return "op_return"
    if _is_witness_program(script):
        return "witness_unknown"
    if script[:2] in _SMALL_NUMBERS and script[-4:-2] in _SMALL_NUMBERS and script[-2:] == "ae":
        return "multisig"
    return "nonstandard"


def _is_witness_program(script: str) -> bool:
    """BIP 141: a version (0 to 16), then one push of 2 to 40 bytes and nothing more."""
    if not 8 <= len(script) <= 84 or script[:2] not in _WITNESS_VERSIONS:
        return False
    return f"{len(script) // 2 - 2:02x}" == script[2:4]


def dust_limit(script: str) -> int:
    """The value in satoshi below which Bitcoin Core does not relay an output: its dust limit.

    Three times the virtual bytes of the output and of the input that would spend it; 0 for an
    output that cannot be spent.
    By type: p2pkh 546, p2sh 540, p2wpkh 294, p2wsh and p2tr 330, p2a 240.

    >>> dust_limit("76a91450feb99697a4901d3fe082eca341204fb6711b9488ac")
    546
    """
    size = len(script) // 2
    if script.startswith(OP_RETURN) or size > _MAX_SCRIPT_SIZE:
        return 0
    output_size = 8 + (1 if size < 253 else 3) + size
    spending = _WITNESS_INPUT_SIZE if _is_witness_program(script) else _INPUT_SIZE
    return _DUST_RELAY_RATE * (output_size + spending)
