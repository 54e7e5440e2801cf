"""Make the API's JSON of a transaction that was drawn as numbers.

Counts, values, size, weight and fee are the drawn ones and agree with each other. Hashes, keys and
signatures are random bytes of the right length. Every outpoint is new, as if its coin came from
before the simulation, so none is spent twice except by a replacement.
"""

from random import Random

from core.ordinary_traffic.script_types import SEGWIT_MARKER, ScriptType
from data_ingestion.simulation.drafts import Draft
from data_ingestion.simulation.transactions import SimulatedTransaction, compress, tx_index

_RBF, _NO_RBF = 0xFFFFFFFD, 0xFFFFFFFE
_EVEN_BELOW = 1_000
"""Satoshi: smaller average amounts are split evenly, because a random share could be zero."""


def render(draft: Draft, now: int, height: int, rng: Random) -> SimulatedTransaction:
    """The transaction, received at Unix time `now` while the chain has this height."""
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
    own = rng.randbytes(draft.input_type.payload) if rng.random() < draft.behaviour.reuse else b""
    spent = _inputs(draft, index, own, _RBF if rbf else _NO_RBF, rng)
    tail = f'"inputs":[{spent}],"out":[{_outputs(draft, index, own, rng)}]'
    compressed = compress(tail.encode())
    return SimulatedTransaction(
        name, head.encode(), compressed, now, fee, size, weight, rbf, origin=draft.origin
    )


def _inputs(draft: Draft, index: int, own: bytes, sequence: int, rng: Random) -> str:
    size, weight, _, count, _, value, _ = draft.numbers
    kind = draft.input_type
    witness = (4 * size - weight) // 3 - SEGWIT_MARKER
    first = witness - kind.witness * (count - 1)
    items = []
    for n, amount in enumerate(split_amount(value, count, rng)):
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


def _outputs(draft: Draft, index: int, own: bytes, rng: Random) -> str:
    count, value = draft.numbers[4], draft.numbers[6]
    carriers = 1 if draft.data_bytes and count > 1 else 0
    amounts = split_amount(value, count - carriers, rng, draft.behaviour.equal_outputs)
    change = draft.behaviour.change and len(amounts) > 1
    items = []
    for n, amount in enumerate(amounts):
        is_change = change and n == len(amounts) - 1
        kind = draft.input_type if is_change else draft.output_type
        payload = own if is_change and own else rng.randbytes(kind.payload)
        items.append(_output(n, amount, index, kind.script(payload), kind.address(payload)))
    if carriers:
        data = f"6a{draft.data_bytes:02x}" + rng.randbytes(draft.data_bytes).hex()
        items.append(_output(count - 1, 0, index, data, None))
    return ",".join(items)


def _output(n: int, amount: int, index: int, script: str, address: str | None) -> str:
    address_field = "" if address is None else f',"addr":"{address}"'
    return (
        f'{{"type":0,"spent":false,"value":{amount},"spending_outpoints":[],"n":{n},'
        f'"tx_index":{index},"script":"{script}"{address_field}}}'
    )


def split_amount(total: int, parts: int, rng: Random, equal: bool = False) -> list[int]:
    """Divide an amount of satoshi at random; the parts sum to the total.

    With `equal`, all but two of three or more parts are the same, as in a coinjoin.

    >>> split_amount(1_000, 3, Random(1))
    [334, 333, 333]
    >>> sum(split_amount(5_000_000, 7, Random(1)))
    5000000
    """
    if total < _EVEN_BELOW * parts or parts == 1:
        each, rest = divmod(total, parts)
        return [each + (n < rest) for n in range(parts)]
    if equal and parts > 2:
        mixed = total * 9 // 10 // (parts - 2)
        return [mixed] * (parts - 2) + split_amount(total - mixed * (parts - 2), 2, rng)
    weights = [0.05 + rng.expovariate(1.0) for _ in range(parts)]
    scale = total / sum(weights)
    amounts = [int(weight * scale) for weight in weights[1:]]
    return [total - sum(amounts), *amounts]


def random_hex(length: int, rng: Random) -> str:
    """Random bytes as hex; after 520 bytes (the largest push of a script) they repeat."""
    push = rng.randbytes(min(max(length, 0), 520)).hex()
    return (push * (length // 520 + 1))[: 2 * max(length, 0)]
