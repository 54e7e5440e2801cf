"""Drafts of transactions, one by one: ordinary ones as drawn, and some changed into anomalies.

`rendering` makes the API's JSON of one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from core.detector.injected_anomalies import KINDS
from core.ordinary_traffic.behaviours import BEHAVIOURS, Behaviour
from core.ordinary_traffic.script_types import SCRIPT_TYPES, ScriptType
from core.ordinary_traffic.traffic import Batch, Traffic
from data_ingestion.simulation.simulated_market import SimulatedMarket

BATCH = 64
"""Transactions drawn at once: enough for NumPy, few enough that the fee level stays current."""

OVERPAID = "overpaid"
"""The origin of a transaction that pays a stated multiple of the going fee rate."""

_PAYMENT = next(behaviour for behaviour in BEHAVIOURS if behaviour.name == "payment")


@dataclass(frozen=True)
class Draft:
    """One drawn transaction: the seven numbers in the order of NUMERIC_FIELDS, and its style.

    `origin` is "generated", `OVERPAID` or the kind of an injected anomaly.
    """

    numbers: tuple[int, ...]
    behaviour: Behaviour
    input_type: ScriptType
    output_type: ScriptType
    data_bytes: int
    origin: str = "generated"


class TransactionGenerator:
    """Endless drafts; in each run of `anomaly_every` one is an anomaly of a random kind (0: none).

    The same seed gives the same drafts, except that fees follow the market at the time passed.
    """

    def __init__(
        self, seed: int, anomaly_every: int, market: SimulatedMarket | None = None
    ) -> None:
        self._market = market or SimulatedMarket("steady", seed, 0.0)
        path, start = self._market.path, self._market.start
        self._traffic = Traffic(seed, path, start, market_seed=self._market.seed)
        self._numpy_rng = np.random.default_rng((seed, 1))
        self._rng = Random(seed)
        self._anomaly_every = anomaly_every
        self._drawn: Iterator[Draft] = iter(())
        self._drawn_factor = self._market.factor
        self._count = self._next_anomaly = 0
        self._plan_anomaly()

    def draft(self, now: float) -> Draft:
        """The next transaction at Unix time `now`."""
        self._count += 1
        if self._anomaly_every and self._count == self._next_anomaly:
            return self.anomaly(self._rng.choice(list(KINDS)), now)
        if self._anomaly_every and self._count % self._anomaly_every == 0:
            self._plan_anomaly()
        return self._ordinary(now)

    def payment(self, now: float) -> Draft:
        """The next payment among the transactions at Unix time `now`."""
        while (draft := self._ordinary(now)).behaviour is not _PAYMENT:
            pass
        return draft

    def anomaly(self, kind: str, now: float) -> Draft:
        """An ordinary transaction changed into an anomaly; raises `KeyError` for no such kind."""
        change = KINDS[kind]
        ordinary = np.array([self._ordinary(now).numbers])
        row = change.apply(ordinary, self._numpy_rng)[0]
        p2wpkh = SCRIPT_TYPES[0]
        return Draft(tuple(row.tolist()), _PAYMENT, p2wpkh, p2wpkh, 0, kind)

    def overpaid(self, factor: float, now: float) -> Draft:
        """An ordinary transaction that pays this multiple of the going fee rate."""
        ordinary = self._ordinary(now)
        size, weight, _, inputs, outputs, _, paid = ordinary.numbers
        fee = math.ceil(factor * self._market.going_rate(now) * weight / 4)
        numbers = (size, weight, fee, inputs, outputs, paid + fee, paid)
        return replace(ordinary, numbers=numbers, origin=OVERPAID)

    def _plan_anomaly(self) -> None:
        """Choose a place in the coming run of `anomaly_every`, so that each run has one."""
        if self._anomaly_every:
            self._next_anomaly = self._count + self._rng.randint(1, max(1, self._anomaly_every - 1))

    def _ordinary(self, now: float) -> Draft:
        factor = self._market.factor
        draft = next(self._drawn, None) if factor == self._drawn_factor else None
        if draft is None:
            self._drawn = drafts_of(self._traffic.draw(np.full(BATCH, now), factor))
            self._drawn_factor = factor
            draft = next(self._drawn)
        return draft


def drafts_of(batch: Batch) -> Iterator[Draft]:
    """The transactions of a batch, one by one."""
    for numbers_of_one, behaviour, spends, pays, data in zip(
        batch.numbers.tolist(),
        batch.behaviour.tolist(),
        batch.input_type.tolist(),
        batch.output_type.tolist(),
        batch.data_bytes.tolist(),
        strict=True,
    ):
        yield Draft(
            tuple(numbers_of_one),
            BEHAVIOURS[behaviour],
            SCRIPT_TYPES[spends],
            SCRIPT_TYPES[pays],
            data,
        )
