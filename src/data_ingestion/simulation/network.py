"""The simulated network: transactions arrive, wait in the mempool, and are mined into blocks.

It has neither a clock nor a thread: `advance(now)` makes everything happen that is due by `now`.
"""

import logging
from collections import OrderedDict
from dataclasses import replace
from random import Random

import numpy as np

from core.detector.injected_anomalies import KINDS
from core.ordinary_traffic.market_paths import day_cycle
from core.settings import SimulatorSettings
from data_ingestion.simulation.chain import Block, Chain
from data_ingestion.simulation.drafts import OVERPAID, Draft, TransactionGenerator
from data_ingestion.simulation.packages import package
from data_ingestion.simulation.recording import Replay
from data_ingestion.simulation.rendering import PAYER_TYPE, render
from data_ingestion.simulation.simulated_market import USUAL_SEED, SimulatedMarket
from data_ingestion.simulation.transactions import SimulatedTransaction, replacement
from data_ingestion.simulation.truth import Truth
from monitoring.simulator_metrics import SimulatorMetrics

log = logging.getLogger(__name__)

_REPLACEMENT_SHARE = 0.004
"""Of the generated transactions, one in 250 replaces a waiting one with a higher fee, whether that
signals it or not: nodes take any such replacement (`mempoolfullrbf`, default since Bitcoin Core
28.0, and without an alternative since 29.0)."""

_PACKAGE_SHARE = 0.0003
"""Of the arrivals, about one in 3,000 is a parent without a fee and the child that pays for it."""

_KEPT_REPLACED = 1_000
_MAX_CATCH_UP = 60.0
"""Seconds of traffic that still arrive after a longer pause, as when the machine slept."""

_LAST_BLOCK_DELAY = 2.0
"""Seconds from the end of a replayed file until its waiting transactions are mined."""

_EPOCH, _EPOCH_HEIGHT, _SECONDS_PER_BLOCK = 1_700_000_000, 800_000, 150
"""The first height follows the clock, so that each start begins higher than the last one ended."""


class Network:
    """Mempool and chain; the same seed, times and calls in the same order give the same network."""

    def __init__(
        self, settings: SimulatorSettings, seed: int, now: float, metrics: SimulatorMetrics
    ) -> None:
        self._settings, self._metrics = settings, metrics
        self._rng = Random(seed)
        market_seed = USUAL_SEED if settings.simulator_seed is None else settings.simulator_seed
        self.market = SimulatedMarket(settings.market_path, market_seed, now)
        self._generator = TransactionGenerator(seed, settings.simulator_anomaly_every, self.market)
        recording = settings.simulator_replay
        self._replay = Replay(recording, self.market.level) if recording else None
        self.replay_ended = False
        self._replaced: OrderedDict[str, SimulatedTransaction] = OrderedDict()
        self._child: SimulatedTransaction | None = None
        self.waiting: dict[str, SimulatedTransaction] = {}
        self.truth = Truth()
        height = _EPOCH_HEIGHT + int(now - _EPOCH) // _SECONDS_PER_BLOCK
        self.chain = Chain(height, settings.simulator_history, self._rng)
        if self._replay is None:
            self.burst(settings.simulator_first_block, now)
        else:
            self._mine_recorded(self._replay, now)
        if not self.chain.main:
            self.mine(now)
        self._next_arrival, self._next_block = now, self._draw_block_time(now)

    def advance(self, now: float) -> None:
        """Let everything arrive and be mined that is due by Unix time `now`."""
        self._next_arrival = max(self._next_arrival, now - _MAX_CATCH_UP)
        rate = self._settings.simulator_rate
        if self._replay is None:
            rate *= float(day_cycle(np.array([now]))[0])
        while self._next_arrival <= now and not self.replay_ended:
            self._mine_if_due(self._next_arrival)
            self._arrive(self._next_arrival)
            self._next_arrival += self._rng.expovariate(rate)
        self._mine_if_due(now)
        self._metrics.waiting.set(len(self.waiting))

    def burst(self, count: int, now: float) -> None:
        """Let `count` transactions arrive at once."""
        for _ in range(count):
            self._arrive(now)

    def inject(self, kind: str, now: float, payer: str | None = None) -> SimulatedTransaction:
        """Let an anomaly of this kind arrive; raises `KeyError` for no such kind.

        With the name of a `payer` it spends from the P2WPKH address of that name.
        """
        draft = self._generator.anomaly(kind, now)
        while payer is not None and draft.input_type is not PAYER_TYPE:
            draft = self._generator.anomaly(kind, now)
        return self._emit(self._render(draft, now, payer))

    def overpay(self, factor: float, now: float) -> SimulatedTransaction:
        """Let a transaction arrive that pays this multiple of the going fee rate."""
        return self._emit(self._render(self._generator.overpaid(factor, now), now))

    def mine(self, now: float) -> Block:
        """Mine every waiting transaction into one block, the highest fee rate first."""
        by_fee_rate = sorted(self.waiting.values(), key=lambda t: -t.fee_rate)
        return self._extend(by_fee_rate, now)

    def reorganise(self, depth: int, now: float) -> list[Block]:
        """Replace the newest blocks by a branch that is one block longer; returns the branch.

        A twentieth of the orphaned transactions waits again; the first block always stays.
        """
        orphans = self.chain.fork(depth)
        for block in orphans:
            self.truth.mark_orphan(block)
            self.waiting |= {t.hash: t for t in block.transactions[1:]}
        pool = [t for t in self.waiting.values() if self._rng.random() > 0.05]
        self._rng.shuffle(pool)
        parts = len(orphans) + 1
        branch = [self._extend(pool[part::parts], now) for part in range(parts)]
        log.info("event=chain_reorganised depth=%d height=%d", len(orphans), self.chain.height)
        return branch

    def newest(self, count: int) -> list[SimulatedTransaction]:
        """The waiting transactions that arrived last, newest first."""
        names = list(self.waiting)[: -count - 1 : -1]
        return [self.waiting[name] for name in names]

    def find(self, name: str) -> tuple[SimulatedTransaction, Block | None] | None:
        """A waiting, replaced or mined transaction, with its block where it is mined."""
        unconfirmed = self.waiting.get(name) or self._replaced.get(name)
        if unconfirmed is not None:
            return unconfirmed, None
        for block in reversed(self.chain.main):
            for transaction in block.transactions:
                if transaction.hash == name:
                    return transaction, block
        return None

    def _mine_recorded(self, replay: Replay, now: float) -> None:
        """Mine the first transactions of a recording as history, in the blocks that it has."""
        blocks = replay.history(self._settings.simulator_first_block, now)
        for recorded in blocks:
            for transaction in recorded.transactions:
                self._emit(transaction)
            self._extend(list(self.waiting.values()), now, recorded.reward)
        log.info(
            "event=replay_started file=%s history=%d blocks=%d generated=0 market=%s",
            self._settings.simulator_replay,
            sum(len(recorded.transactions) for recorded in blocks),
            len(blocks),
            self.market.path,
        )

    def _arrive(self, now: float) -> None:
        if self._replay is None:
            self._generate(now)
            return
        recorded = self._replay.next(now)
        if recorded is not None:
            self._emit(recorded)
        elif not self.replay_ended:
            self.replay_ended = True
            self._next_block = min(self._next_block, now + _LAST_BLOCK_DELAY)
            log.info("event=replay_ended waiting=%d", len(self.waiting))

    def _generate(self, now: float) -> None:
        if self._child is not None:
            self._emit(self._child)
            self._child = None
        elif not self._replace_one(now) and not self._begin_package(now):
            self._emit(self._render(self._generator.draft(now), now))

    def _begin_package(self, now: float) -> bool:
        """At times let a parent arrive, whose child is the next arrival; says whether it did."""
        if self._rng.random() >= _PACKAGE_SHARE:
            return False
        first, second = (self._render(self._generator.payment(now), now) for _ in range(2))
        pair = package(first, second, self.market.going_rate(now), self._rng)
        if pair is None:
            return False
        parent, self._child = pair
        self._emit(parent)
        return True

    def _render(self, draft: Draft, now: float, payer: str | None = None) -> SimulatedTransaction:
        return render(draft, int(now), self.chain.height, self._rng, payer)

    def _replace_one(self, now: float) -> bool:
        """At times replace a transaction that arrived since the last block; says whether it did."""
        if not self.chain.main or self._rng.random() >= _REPLACEMENT_SHARE:
            return False
        since = self.chain.main[-1].time
        candidates = (t for t in self.newest(50) if t.time > since)
        old = next((t for t in candidates if t.origin == "generated"), None)
        new = replacement(old, int(now), self._rng) if old is not None else None
        if old is None or new is None:
            return False
        del self.waiting[old.hash]
        self._replaced[old.hash] = replace(old, replaced=True)
        if len(self._replaced) > _KEPT_REPLACED:
            self._replaced.popitem(last=False)
        self.truth.add_replaced(old.hash, new.hash)
        self._emit(new)
        return True

    def _emit(self, transaction: SimulatedTransaction) -> SimulatedTransaction:
        self.waiting[transaction.hash] = transaction
        injected = transaction.origin in KINDS or transaction.origin == OVERPAID
        if not injected:
            self.market.observe(transaction)
        self.truth.add_emitted(transaction, transaction.origin if injected else None)
        self._metrics.transactions.labels("injected" if injected else transaction.origin).inc()
        return transaction

    def _mine_if_due(self, now: float) -> None:
        full = len(self.waiting) >= self._settings.simulator_block_transactions
        if full or (now >= self._next_block and not (self.replay_ended and not self.waiting)):
            self.mine(now)

    def _extend(
        self,
        transactions: list[SimulatedTransaction],
        now: float,
        reward: SimulatedTransaction | None = None,
    ) -> Block:
        block = self.chain.extend(transactions, int(now), reward)
        for transaction in transactions:
            del self.waiting[transaction.hash]
        self.truth.add_block(block)
        self._next_block = self._draw_block_time(now)
        self._metrics.blocks.inc()
        self._metrics.height.set(block.height)
        log.info(
            "event=block_mined height=%d transactions=%d", block.height, len(block.transactions)
        )
        return block

    def _draw_block_time(self, now: float) -> float:
        """When the next block is due: 0.5 to 1.5 times the mean from now."""
        return now + self._settings.simulator_block_seconds * self._rng.uniform(0.5, 1.5)
