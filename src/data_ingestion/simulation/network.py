"""The simulated network: what waits, what is mined, and what happens as time goes by.

It has no clock and no thread of its own: `advance` plays everything up to a time that it is told.
"""

import logging
from collections import OrderedDict
from random import Random

import numpy as np

from core.detector.injected_anomalies import KINDS
from core.settings import SimulatorSettings
from data_ingestion.simulation.chain import Block, Chain
from data_ingestion.simulation.emitted import Emitted
from data_ingestion.simulation.generated import Generated
from data_ingestion.simulation.rendering import render
from data_ingestion.simulation.replacing import replacement
from data_ingestion.simulation.replay import Replay
from data_ingestion.simulation.seasons import day_cycle
from data_ingestion.simulation.truth import Truth
from monitoring.simulator_metrics import SimulatorMetrics

log = logging.getLogger(__name__)

_REPLACED = 0.004
"""One in 250 generated transactions raises the fee of a waiting one instead."""

_KEPT_REPLACED = 1_000
_LATEST = 60.0
"""Seconds: time that passed while the machine slept beyond this is not made up for."""

_END_OF_FILE = 2.0
"""Seconds after the end of a replayed file until what is left of it is mined."""

_EPOCH, _EPOCH_HEIGHT, _PACE = 1_700_000_000, 800_000, 150
"""Each start begins higher than the last one ended: heights follow the clock, 150 s a block."""


class Network:
    """Mempool and chain, deterministic for a seed, a clock and the calls in their order."""

    def __init__(
        self, settings: SimulatorSettings, seed: int, now: float, metrics: SimulatorMetrics
    ) -> None:
        self._settings, self._metrics = settings, metrics
        self._rng = Random(seed)
        self._generated = Generated(seed, settings.simulator_anomaly_every)
        self._replay = Replay(settings.simulator_replay) if settings.simulator_replay else None
        self.ended = False
        self._replaced: OrderedDict[str, Emitted] = OrderedDict()
        self.waiting: dict[str, Emitted] = {}
        self.truth = Truth()
        height = _EPOCH_HEIGHT + int(now - _EPOCH) // _PACE
        self.chain = Chain(height, settings.simulator_history, self._rng)
        for _ in range(settings.simulator_first_block):
            self._generate(now)
        self.mine(now)
        self._next_arrival, self._next_block = now, self._after(now)

    def advance(self, now: float) -> None:
        """Let everything arrive and be mined that is due by Unix time `now`."""
        self._next_arrival = max(self._next_arrival, now - _LATEST)
        rate = self._settings.simulator_rate
        if self._replay is None:
            rate *= float(day_cycle(np.array([now]))[0])
        while self._next_arrival <= now and not self.ended:
            self._mine_if_due(self._next_arrival)
            self._arrive(self._next_arrival)
            self._next_arrival += self._rng.expovariate(rate)
        self._mine_if_due(now)
        self._metrics.waiting.set(len(self.waiting))

    def burst(self, count: int, now: float) -> None:
        """Let so many transactions arrive at once."""
        for _ in range(count):
            self._arrive(now)

    def inject(self, kind: str, now: float) -> Emitted:
        """Let an anomaly of this kind arrive; raises `KeyError` for no such kind."""
        draft = self._generated.injected(kind, now)
        return self._emit(render(draft, int(now), self.chain.height, self._rng))

    def mine(self, now: float) -> Block:
        """Mine everything that waits, the highest fee rate first."""
        chosen = sorted(self.waiting.values(), key=lambda t: -t.fee / max(t.weight, 1))
        return self._extend(chosen, now)

    def reorganise(self, depth: int, now: float) -> list[Block]:
        """Replace the newest blocks by a branch that is one block longer; returns the branch.

        A twentieth of the orphaned transactions waits again; the first block always stays.
        """
        orphans = self.chain.fork(depth)
        back: list[Emitted] = []
        for block in orphans:
            self.truth.orphan(block)
            back += block.transactions[1:]
        for transaction in back:
            self.waiting[transaction.hash] = transaction
        pool = [t for t in self.waiting.values() if self._rng.random() > 0.05]
        self._rng.shuffle(pool)
        parts = len(orphans) + 1
        branch = [self._extend(pool[part::parts], now) for part in range(parts)]
        log.info("reorganised depth=%d height=%d", len(orphans), self.chain.height)
        return branch

    def newest(self, count: int) -> list[Emitted]:
        """The waiting transactions that arrived last, newest first."""
        names = list(self.waiting)[: -count - 1 : -1]
        return [self.waiting[name] for name in names]

    def find(self, name: str) -> tuple[Emitted, Block | None] | None:
        """A waiting, replaced or mined transaction, and its block."""
        held = self.waiting.get(name) or self._replaced.get(name)
        if held is not None:
            return held, None
        for block in reversed(self.chain.main):
            for transaction in block.transactions:
                if transaction.hash == name:
                    return transaction, block
        return None

    def _arrive(self, now: float) -> None:
        if self._replay is None:
            self._generate(now)
            return
        recorded = self._replay.next(now)
        if recorded is not None:
            self._emit(recorded)
        elif not self.ended:
            self.ended = True
            self._next_block = min(self._next_block, now + _END_OF_FILE)
            log.info("replayed waiting=%d: the file has ended", len(self.waiting))

    def _generate(self, now: float) -> None:
        if not self._replaces(now):
            draft = self._generated.draft(now)
            self._emit(render(draft, int(now), self.chain.height, self._rng))

    def _replaces(self, now: float) -> bool:
        """Now and then replace one that arrived since the last block instead of adding one."""
        if not self.chain.main or self._rng.random() >= _REPLACED:
            return False
        since = self.chain.main[-1].time
        fresh = (t for t in self.newest(50) if t.rbf and t.time > since)
        old = next((t for t in fresh if t.origin == "generated"), None)
        new = replacement(old, int(now), self._rng) if old is not None else None
        if old is None or new is None:
            return False
        del self.waiting[old.hash]
        self._replaced[old.hash] = old.deleted()
        if len(self._replaced) > _KEPT_REPLACED:
            self._replaced.popitem(last=False)
        self.truth.replace(old.hash, new.hash)
        self._emit(new)
        return True

    def _emit(self, transaction: Emitted) -> Emitted:
        self.waiting[transaction.hash] = transaction
        injected = transaction.origin in KINDS
        self.truth.emit(transaction, transaction.origin if injected else None)
        self._metrics.transactions.labels("injected" if injected else transaction.origin).inc()
        return transaction

    def _mine_if_due(self, now: float) -> None:
        full = len(self.waiting) >= self._settings.simulator_block_transactions
        if full or (now >= self._next_block and not (self.ended and not self.waiting)):
            self.mine(now)

    def _extend(self, transactions: list[Emitted], now: float) -> Block:
        block = self.chain.extend(transactions, int(now))
        for transaction in transactions:
            del self.waiting[transaction.hash]
        self.truth.mine(block)
        self._next_block = self._after(now)
        self._metrics.blocks.inc()
        self._metrics.height.set(block.height)
        log.info("mined height=%d transactions=%d", block.height, len(block.transactions))
        return block

    def _after(self, now: float) -> float:
        """When the next block is due: half to one and a half times the mean from now."""
        return now + self._settings.simulator_block_seconds * self._rng.uniform(0.5, 1.5)
