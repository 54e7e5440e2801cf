"""Which flags belong together: pure, from the rows of `case_members` alone.

A new flag is linked to earlier ones by what they share. The facts of the chain (an outpoint, an
output that is spent, an address) hold for days; a likeness of shape holds for minutes, since other
people's transactions look alike too. An address that many flags share is an exchange's or a
service's: it links nobody.

Nothing here depends on anything but the rows and their order, so the same rows after a restart link
the same.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple, get_args

from core.case_rows import Why
from core.transaction import tx_index

CHAIN_SECONDS = 7 * 24 * 3600.0
"""Two flags that the chain links belong together when no more than a week lies between: a case that
was quiet over a week is another story, and what waits unconfirmed for longer is rare."""

PAYER_SECONDS = 30 * 60.0
"""The same payer with the same pattern: three blocks, in which one run of a payer's software ends.
It also links flags of an address that too many share."""

WAVE_SECONDS = 10 * 60.0
"""The same pattern, number of outputs and amount without anything else in common: one block's time.
At one flag in a thousand of the live stream, four flags come in that time by chance."""

MOST_SHARED = 50
"""An address in more flags than this, of those in memory, links nobody."""

MOST_MEMBERS = 20_000
"""Members in memory: a week of 7 transactions a second has 4,200 flags."""

MOST_FACTS = 250_000
"""Facts in memory, about 200 bytes each; one member has at most 1,402."""

_LOOKED_AT = MOST_SHARED
"""Of the members that share a fact the newest so many are looked at."""

_FEW_OUTPUTS = 3
"""Up to so many outputs each amount counts for a wave, else the one that most of them have."""

MIXES = {"whirlpool", "wasabi_2", "wasabi_1", "joinmarket", "coinjoin"}
"""Patterns whose addresses belong to many people: they link nobody."""


class Asked(NamedTuple):
    """A fact that links: why, its key, and how many seconds may lie between. `most`, if not 0, is
    the number of members from which on the fact says nothing."""

    why: Why
    fact: int
    seconds: float
    most: int = 0


class Trace(NamedTuple):
    """What linking knows of one member: `at` in Unix seconds, the facts it has and asks for."""

    hash: str
    at: float
    facts: tuple[int, ...]
    asked: tuple[Asked, ...]


class Links(NamedTuple):
    """What a flag is linked to: the numbers of cases, why, and the first linked transaction."""

    numbers: tuple[int, ...]
    why: tuple[Why, ...]
    hash: str | None

    def also(self, number: int, why: Why, linked: str) -> "Links":
        """These links and one to a further case, by its first reason."""
        numbers = tuple(sorted({*self.numbers, number}))
        return Links(numbers, (why, *self.why), linked)


def trace(row: Mapping[str, Any]) -> Trace:
    """The trace of a row of `case_members`."""
    outpoints = row["spent_outpoints"] or ()
    own = tx_index(row["hash"])
    parents = {int(outpoint.partition(":")[0]) for outpoint in outpoints}
    inputs, outputs = set(row["input_addresses"] or ()), set(row["output_addresses"] or ())
    pattern = row["pattern"] or (row["patterns"] or [None])[0]
    if pattern in MIXES:
        inputs = outputs = set()
    asked = [
        Asked("same", _fact("hash", row["hash"]), float("inf")),
        *(Asked("replaces", _fact("outpoint", o), CHAIN_SECONDS) for o in sorted(set(outpoints))),
        *(Asked("spends", _fact("made", p), CHAIN_SECONDS) for p in sorted(parents)),
        Asked("spent_by", _fact("parent", own), CHAIN_SECONDS),
    ]
    shared = sorted(inputs | outputs)
    asked += [Asked("address", _fact("address", a), CHAIN_SECONDS, MOST_SHARED) for a in shared]
    if pattern is not None:
        payers = sorted(inputs)
        asked += [Asked("payer", _fact("payer", pattern, a), PAYER_SECONDS) for a in payers]
        waves = [_fact("wave", pattern, row["outputs_count"], value) for value in _amounts(row)]
        asked += [Asked("wave", wave, WAVE_SECONDS) for wave in waves]
    # Parents and children ask for what the other one has.
    has = [each.fact for each in asked if each.why not in ("spends", "spent_by")]
    has += [_fact("made", own), *(_fact("parent", p) for p in sorted(parents))]
    return Trace(row["hash"], row["event_time"].timestamp(), tuple(has), tuple(asked))


def _amounts(row: Mapping[str, Any]) -> Iterable[str | int]:
    """The amounts that flags of one wave share; none where they are not known."""
    values = row["output_values"]
    if not values:
        total = row["output_value"]
        return () if total is None else (f"sum {total}",)
    if len(values) <= _FEW_OUTPUTS:
        return sorted(set(values) - {0})
    value, count = Counter(values).most_common(1)[0]
    return (value,) if 2 * count >= len(values) else ()


def _fact(*words: object) -> int:
    """Eight bytes for a fact: among a million facts two are equal by chance once in 10^7 times."""
    return int.from_bytes(blake2b(repr(words).encode(), digest_size=8).digest())


class _Member(NamedTuple):
    """What is kept of a member; what it asked for is not needed again."""

    hash: str
    at: float
    facts: tuple[int, ...]
    number: int


_PRECEDENCE = {why: place for place, why in enumerate(get_args(Why))}


class Linker:
    """The newest members by their facts; it finds the cases that a flag belongs to.

    It holds the longest run of newest members that fits its limits, and so is the same whether it
    has seen all rows or only the newest `MOST_MEMBERS` of them.
    """

    def __init__(self, most_members: int = MOST_MEMBERS, most_facts: int = MOST_FACTS) -> None:
        self._most_members, self._most_facts = most_members, most_facts
        self._members: deque[_Member] = deque()
        self._by_fact: dict[int, list[_Member]] = {}
        self._facts = 0
        self._merged: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._members)

    def replay(self, row: Mapping[str, Any]) -> None:
        """Take in a row of the table; to be called in the order of the rows."""
        if row["merged_into"] is not None:
            self._merged[row["number"]] = row["merged_into"]
        else:
            self.add(trace(row), row["number"])

    def links(self, flag: Trace) -> Links:
        """The cases that a flag belongs to, the oldest first; none where it opens one."""
        numbers, why, linked = set[int](), set[Why](), None
        for member, reason in self._linked(flag):
            numbers.add(self.root(member.number))
            why.add(reason)
            linked = linked or member.hash
        return Links(
            tuple(sorted(numbers)), tuple(sorted(why, key=_PRECEDENCE.__getitem__)), linked
        )

    def add(self, flag: Trace, number: int) -> None:
        """Add a member of a case; what no longer fits the limits leaves, the oldest first."""
        member = _Member(flag.hash, flag.at, flag.facts, number)
        self._members.append(member)
        self._facts += len(flag.facts)
        for fact in flag.facts:
            self._by_fact.setdefault(fact, []).append(member)
        while len(self._members) > self._most_members or self._facts > self._most_facts:
            self._drop_oldest()

    def merge(self, number: int, into: int) -> None:
        """Make a case a part of an older one."""
        self._merged[number] = into

    def root(self, number: int) -> int:
        """The case that a case is now a part of: itself, unless it was merged."""
        while number in self._merged:
            number = self._merged[number]
        return number

    def _linked(self, flag: Trace) -> Iterator[tuple[_Member, Why]]:
        for why, fact, seconds, most in flag.asked:
            members = self._by_fact.get(fact, ())
            if most and len(members) > most:
                continue
            for member in members[-_LOOKED_AT:]:
                if abs(flag.at - member.at) <= seconds:
                    yield member, why

    def _drop_oldest(self) -> None:
        oldest = self._members.popleft()
        self._facts -= len(oldest.facts)
        for fact in oldest.facts:
            members = self._by_fact[fact]
            del members[0]  # they are in the order in which they were added
            if not members:
                del self._by_fact[fact]
