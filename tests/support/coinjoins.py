"""Coinjoins of each protocol, made by its rules, in the JSON of Blockchain.com."""

from random import Random
from typing import Any

from tests.support.blockchain_samples import payment

STANDARD = [2**25, 20_000_000, 3**15, 10_000_000, 2**23, 5_000_000, 3**13, 2**20, 500_000]


def script(rng: Random) -> str:
    """A P2WPKH script that nobody else has."""
    return "0014" + rng.randbytes(20).hex()


def transaction(
    spent: list[int], paid: list[int], rng: Random, number: int = 1, **changes: Any
) -> dict[str, Any]:
    """A transaction in the API's schema; values in satoshi, each with a script of its own."""
    inputs = [
        {
            "sequence": 0xFFFFFFFF,
            "prev_out": {"value": value, "n": 0, "tx_index": n + 1, "script": script(rng)},
        }
        for n, value in enumerate(spent)
    ]
    outputs = [{"value": value, "n": n, "script": script(rng)} for n, value in enumerate(paid)]
    weight = 42 + 272 * len(spent) + 124 * len(paid)
    numbers = {"size": weight // 3 + 2, "weight": weight, "fee": sum(spent) - sum(paid)}
    counts = {"vin_sz": len(spent), "vout_sz": len(paid)}
    return payment(number, inputs=inputs, out=outputs, **counts, **numbers) | changes


def whirlpool(payers: int = 5, pool: int = 5_000_000, seed: int = 1) -> dict[str, Any]:
    """Two of the payers come in from outside and pay the fee; the others mix again."""
    spent = [pool + 4_235, pool + 3_932, *[pool] * (payers - 2)]
    return transaction(spent, [pool] * payers, Random(seed))


def wasabi_2(inputs: int = 200, seed: int = 1) -> dict[str, Any]:
    """Inputs of any value, outputs of standard amounts and some change, all sorted."""
    rng = Random(seed)
    paid = sorted((rng.choice(STANDARD) for _ in range(inputs)), reverse=True)
    odd = [rng.randrange(6_000, 4_000_000) for _ in range(inputs // 10)]
    outputs = sorted([*paid, *odd], reverse=True)
    share = (sum(outputs) + 300 * inputs) // inputs
    values = [share + rng.randrange(-share // 2, share // 2) for _ in range(inputs - 1)]
    values.append(max(sum(outputs) + 300 * inputs - sum(values), 10_000))
    return transaction(sorted(values, reverse=True), outputs, rng)


def wasabi_1(payers: int = 49, seed: int = 1) -> dict[str, Any]:
    """Equal outputs of some 0.1 BTC, change of most payers, and the coordinator's fee."""
    rng, amount = Random(seed), 10_001_029
    change = [rng.randrange(100_000, 40_000_000) for _ in range(payers - 5)]
    spent = [amount + value + 40_000 for value in change] + [amount + 40_000] * 5
    return transaction(spent, [*[amount] * payers, *change, 2_000_000], rng)


def joinmarket(makers: int = 4, amount: int = 35_281_835, seed: int = 1) -> dict[str, Any]:
    """Makers get their coins back and some satoshi more; the taker pays for it all."""
    rng = Random(seed)
    coins = [amount + rng.randrange(100_000, amount) for _ in range(makers)]
    earned = [rng.randrange(100, 2_000) for _ in range(makers)]
    change = [coin - amount + gain for coin, gain in zip(coins, earned, strict=True)]
    taker = amount + 7_000_000 + sum(earned) + 12_000
    first = taker // 3
    paid = [*[amount] * (makers + 1), *change, 7_000_000]
    rng.shuffle(paid)
    return transaction([*coins, first, taker - first], paid, rng)


def shared_fee(payers: int = 5, seed: int = 1) -> dict[str, Any]:
    """Equal outputs of payers who each bear a part of the fee: a protocol without a name here."""
    rng, amount = Random(seed), 880_271
    change = [rng.randrange(200_000, 3_000_000) for _ in range(payers - 1)]
    spent = [*(amount + value + 146 for value in change), amount + 146]
    return transaction(spent, [*[amount] * payers, *change], rng)
