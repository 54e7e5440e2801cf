"""Tokens, as inscriptions and runes, that their owner moves or sells.

A token sits on an output that is worth no more than it must be. Which token it is cannot be read
here; the values and the owners tell that it is no payment, no mix and no attack with dust, though
its outputs are equal and near the dust limit.
"""

from collections import Counter
from collections.abc import Sequence

from core.blockchain_json.schema import Input, Output, PreviousOutput
from core.blockchain_json.scripts import OP_RETURN

TOKEN_VALUES = (330, 546)
"""Satoshi of an output that only carries a token: the dust limits of taproot, and of the oldest
type, which wallets use for all (`GetDustThreshold`, Bitcoin Core, `policy.cpp`)."""

POSTAGE = 10_000
"""Satoshi that the wallet `ord` leaves on an output with an inscription (`TARGET_POSTAGE`); more is
no sign of a token."""


def token_facts(inputs: Sequence[Input], outputs: Sequence[Output]) -> dict[str, bool | None]:
    """Whether tokens are sold, or else moved; None where a script is missing."""
    sale = is_token_sale(inputs, outputs)
    return {
        "token_sale": sale,
        "token_transfer": False if sale else is_token_transfer(inputs, outputs),
    }


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


def is_token_sale(inputs: Sequence[Input], outputs: Sequence[Output]) -> bool | None:
    """Whether a token passes from one spender to another, who pays; None where a script is missing.

    The seller's offer is its input with the token, signed together with the output that pays for it
    and nothing else (`SIGHASH_SINGLE | SIGHASH_ANYONECANPAY`). The buyer adds its own coins, and an
    output as small as the token's to itself. So of some value up to `POSTAGE` one spender gets more
    outputs than it spends and another fewer, and the first pays the others more than they bring.
    """
    small = {each.value for each in outputs if each.value is not None and each.value <= POSTAGE}
    if not small or not inputs:
        return False
    spent, paid = _whole([each.prev_out for each in inputs]), _whole(outputs)
    if spent is None or paid is None:
        return None
    small.intersection_update(value for _, value in spent)
    if not small:
        return False
    moved = Counter(each for each in paid if each[1] in small)
    moved.subtract(each for each in spent if each[1] in small)
    given = {value for (_, value), count in moved.items() if count < 0}
    taken = {script for (script, value), count in moved.items() if count > 0 and value in given}
    fee = sum(value for _, value in spent) - sum(value for _, value in paid)
    return any(
        _sum_of(buyer, spent) - _sum_of(buyer, paid) > fee
        for buyer in taken.intersection(script for script, _ in spent)
    )


def _whole(side: Sequence[Output | PreviousOutput | None]) -> list[tuple[str, int]] | None:
    """The script and value of each output of a side; None where one is missing."""
    known = [
        (each.script, each.value)
        for each in side
        if each is not None and each.script is not None and each.value is not None
    ]
    return known if len(known) == len(side) else None


def _sum_of(owner: str, side: Sequence[tuple[str, int]]) -> int:
    return sum(value for script, value in side if script == owner)
