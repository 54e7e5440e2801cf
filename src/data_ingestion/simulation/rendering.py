"""Make the API's JSON of a transaction that was drawn as numbers.

Counts, values, size, weight and fee are the drawn ones and agree with each other. Hashes, keys and
signatures are random bytes of the right length. Every outpoint is new, as if its coin came from
before the simulation, so none is spent twice except by a replacement.
"""

from hashlib import shake_256
from random import Random

from core.ordinary_traffic.script_types import (
    SCRIPT_TYPES,
    SEGWIT_MARKER,
    ScriptType,
    data_script,
)
from core.transaction import tx_index
from data_ingestion.simulation.amounts import mixed_amounts, split_amount
from data_ingestion.simulation.drafts import Draft
from data_ingestion.simulation.transactions import SimulatedTransaction, compress

PAYER_TYPE = next(kind for kind in SCRIPT_TYPES if kind.name == "p2wpkh")
"""The script type that a payer who has a name spends from."""

TOKEN = 546
"""Satoshi of an output with a token that is sold: the dust limit that wallets use for all types."""

LEAST_PRICE = 10_000
"""Satoshi of all outputs of the cheapest sale."""

_RBF, _NO_RBF = 0xFFFFFFFD, 0xFFFFFFFE


def render(
    draft: Draft, now: int, height: int, rng: Random, payer: str | None = None
) -> SimulatedTransaction:
    """The transaction, received at Unix time `now` while the chain has this height.

    With the name of a `payer` every input is from that one's address, one for each script type.
    """
    size, weight, fee, inputs, outputs, _, _ = draft.numbers
    name = rng.randbytes(32).hex()
    index = tx_index(name)
    rbf = rng.random() < draft.behaviour.rbf
    lock_time = height if rng.random() < 0.1 else 0
    head = (
        f'{{"hash":"{name}","ver":{rng.choice((2, 2, 2, 1))},"vin_sz":{inputs},'
        f'"vout_sz":{outputs},"size":{size},"weight":{weight},"fee":{fee},'
        f'"relayed_by":"0.0.0.0","lock_time":{lock_time},"tx_index":{index},'
    )
    is_sale = payer is None and _is_sale(draft, rng)
    reuses = is_sale or rng.random() < draft.behaviour.reuse
    own = rng.randbytes(draft.input_type.payload) if reuses else b""
    own = own if payer is None else _key_of(payer, draft.input_type)
    spends, pays = _sold(draft, rng) if is_sale else _amounts(draft, rng)
    owners = [own] * inputs if not is_sale else [b"", *[own] * (inputs - 1)]
    spent = _inputs(draft, spends, owners, index, _RBF if rbf else _NO_RBF, rng)
    tail = f'"inputs":[{spent}],"out":[{_outputs(draft, pays, index, own, rng)}]'
    compressed = compress(tail.encode())
    return SimulatedTransaction(
        name, head.encode(), compressed, now, fee, size, weight, rbf, origin=draft.origin
    )


def address_of(payer: str) -> str | None:
    """The address of `PAYER_TYPE` that a payer of this name spends from."""
    return PAYER_TYPE.address(_key_of(payer, PAYER_TYPE))


def _key_of(payer: str, kind: ScriptType) -> bytes:
    return shake_256(payer.encode()).digest(kind.payload)


def _amounts(draft: Draft, rng: Random) -> tuple[list[int], list[int]]:
    """What is spent and paid, in satoshi, in the order of inputs and outputs; data gets nothing."""
    _, _, _, inputs, outputs, spent, paid = draft.numbers
    protocol = draft.behaviour.coinjoin
    if protocol is not None:
        return mixed_amounts(protocol, (inputs, spent), (outputs, paid), rng)
    payments = outputs - 1 if draft.data_bytes and outputs > 1 else outputs
    return split_amount(spent, inputs, rng), split_amount(paid, payments, rng)


def _is_sale(draft: Draft, rng: Random) -> bool:
    """Whether it sells a token: a share of its behaviour does, where it pays enough for one."""
    share = draft.behaviour.sales
    return share > 0 and draft.numbers[6] >= LEAST_PRICE and rng.random() < share


def _sold(draft: Draft, rng: Random) -> tuple[list[int], list[int]]:
    """What is spent and paid in a sale: the seller's token comes first, the buyer's last."""
    _, _, _, inputs, outputs, spent, paid = draft.numbers
    bought = split_amount(spent - TOKEN, inputs - 1, rng)
    return [TOKEN, *bought], [*split_amount(paid - TOKEN, outputs - 1, rng), TOKEN]


def _inputs(
    draft: Draft, amounts: list[int], owners: list[bytes], index: int, sequence: int, rng: Random
) -> str:
    """The inputs; an owner is the key of the coin, empty for one that nobody else has."""
    size, weight, _, count, *_ = draft.numbers
    kind = draft.input_type
    witness = (4 * size - weight) // 3 - SEGWIT_MARKER
    first = witness - kind.witness * (count - 1)
    items = []
    for n, (amount, own) in enumerate(zip(amounts, owners, strict=True)):
        payload = own or rng.randbytes(kind.payload)
        stack = random_hex(first if n == 0 else kind.witness, rng) if kind.witness else ""
        items.append(
            f'{{"sequence":{sequence},"witness":"{stack}",'
            f'"script":"{_signature_script(kind, rng)}","index":{n},"prev_out":{{"type":0,'
            f'"spent":true,"value":{amount},"spending_outpoints":[{{"tx_index":{index},"n":{n}}}],'
            f'"n":{rng.choice((0, 0, 0, 1, 1, 2, 7))},"tx_index":{rng.getrandbits(53)},'
            f'"script":"{kind.script(payload)}","addr":"{kind.address(payload)}"}}}}'
        )
    return ",".join(items)


def _signature_script(kind: ScriptType, rng: Random) -> str:
    if kind.name == "p2sh":
        return "160014" + rng.randbytes(20).hex()
    return random_hex(kind.signature_script, rng)


def _outputs(draft: Draft, amounts: list[int], index: int, own: bytes, rng: Random) -> str:
    change = draft.behaviour.change and len(amounts) > 1
    items = []
    for n, amount in enumerate(amounts):
        is_change = change and n == len(amounts) - 1
        kind = draft.input_type if is_change else draft.output_type
        payload = own if is_change and own else rng.randbytes(kind.payload)
        items.append(_output(n, amount, index, kind.script(payload), kind.address(payload)))
    if len(amounts) < draft.numbers[4]:
        data = data_script(rng.randbytes(draft.data_bytes)).hex()
        items.append(_output(len(amounts), 0, index, data, None))
    return ",".join(items)


def _output(n: int, amount: int, index: int, script: str, address: str | None) -> str:
    address_field = "" if address is None else f',"addr":"{address}"'
    return (
        f'{{"type":0,"spent":false,"value":{amount},"spending_outpoints":[],"n":{n},'
        f'"tx_index":{index},"script":"{script}"{address_field}}}'
    )


def random_hex(length: int, rng: Random) -> str:
    """Random bytes as hex; after 520 bytes (the largest push of a script) they repeat."""
    push = rng.randbytes(min(max(length, 0), 520)).hex()
    return (push * (length // 520 + 1))[: 2 * max(length, 0)]
