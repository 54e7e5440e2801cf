"""Token transfers: one owner moves outputs that are worth no more than the token they carry.

An inscription or a rune sits on an output of few satoshi: 330, the dust limit of a taproot output,
or 546, that of the oldest type, which wallets use for all. Neither nodes nor this project can read
which token it is; the values and the owners tell that it is no payment, no mix and no attack with
dust, though its outputs are equal and near the limit.
"""

from collections.abc import Sequence

from core.blockchain_json.schema import Input, Output
from core.blockchain_json.scripts import OP_RETURN

TOKEN_VALUES = (330, 546)
"""Satoshi of an output that carries a token (`GetDustThreshold`, Bitcoin Core, `policy.cpp`)."""


def is_token_transfer(inputs: Sequence[Input], outputs: Sequence[Output]) -> bool | None:
    """Whether one owner moves tokens, to one receiver or itself; None where a script is missing.

    The owner spends from one script, or from two: a wallet keeps tokens at one address and what
    pays for their moves at another. A sale also spends from two, and pays several.
    """
    moved = [output for output in outputs if output.value in TOKEN_VALUES]
    if not moved or not inputs:
        return False
    owners = {i.prev_out.script if i.prev_out else None for i in inputs}
    receivers = {output.script for output in moved}
    if None in owners | receivers:
        return None
    others = [
        output.script
        for output in outputs
        if output.value not in TOKEN_VALUES and not (output.script or "").startswith(OP_RETURN)
    ]
    if len(owners) == 1:
        others = [script for script in others if script not in owners]
    return len(owners) <= 2 and len(receivers - owners) <= 1 and len(others) <= 1
