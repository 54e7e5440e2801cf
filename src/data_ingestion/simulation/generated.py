"""The stream of generated transactions: drawn in batches, handed out one by one, some injected."""

from collections.abc import Iterator
from random import Random

import numpy as np

from core.detector.injected_anomalies import KINDS
from data_ingestion.simulation.behaviours import BEHAVIOURS
from data_ingestion.simulation.rendering import Draft
from data_ingestion.simulation.script_types import SCRIPT_TYPES
from data_ingestion.simulation.traffic import Batch, Traffic

BATCH = 64
"""Drawn at once: large enough for NumPy, small enough that the fee level stays current."""

_PAYMENT = next(behaviour for behaviour in BEHAVIOURS if behaviour.name == "payment")


class Generated:
    """Endless drafts, one in `anomaly_every` of them an anomaly of a random kind (0: none).

    The same seed gives the same drafts, but for the fee level of the moment.
    """

    def __init__(self, seed: int, anomaly_every: int) -> None:
        self._traffic = Traffic(seed)
        self._numpy = np.random.default_rng((seed, 1))
        self._rng = Random(seed)
        self._every = anomaly_every
        self._drawn: Iterator[Draft] = iter(())
        self._count = self._next = 0
        self._plan()

    def draft(self, now: float) -> Draft:
        """The next transaction at Unix time `now`."""
        self._count += 1
        if self._every and self._count == self._next:
            return self.injected(self._rng.choice(list(KINDS)), now)
        if self._every and self._count % self._every == 0:
            self._plan()
        return self._ordinary(now)

    def injected(self, kind: str, now: float) -> Draft:
        """An ordinary transaction that was made an anomaly; raises `KeyError` for no such kind."""
        change = KINDS[kind]
        ordinary = np.array([self._ordinary(now).numbers])
        row = change.apply(ordinary, self._numpy)[0]
        p2wpkh = SCRIPT_TYPES[0]
        return Draft(tuple(row.tolist()), _PAYMENT, p2wpkh, p2wpkh, 0, kind)

    def _plan(self) -> None:
        """One anomaly somewhere in each run of `anomaly_every`, so that none lacks one."""
        if self._every:
            self._next = self._count + self._rng.randint(1, max(1, self._every - 1))

    def _ordinary(self, now: float) -> Draft:
        draft = next(self._drawn, None)
        if draft is None:
            self._drawn = _drafts(self._traffic.draw(np.full(BATCH, now)))
            draft = next(self._drawn)
        return draft


def _drafts(batch: Batch) -> Iterator[Draft]:
    styles = zip(
        batch.behaviour.tolist(),
        batch.input_type.tolist(),
        batch.output_type.tolist(),
        batch.data_bytes.tolist(),
        strict=True,
    )
    for row, (behaviour, paid_from, paid_to, data) in zip(
        batch.numbers.tolist(), styles, strict=True
    ):
        yield Draft(
            tuple(row), BEHAVIOURS[behaviour], SCRIPT_TYPES[paid_from], SCRIPT_TYPES[paid_to], data
        )
