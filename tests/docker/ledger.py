"""Compares what was published and mined with what is in the lake: nothing lost, nothing doubled.

The simulator keeps its chain in memory. When it ends, what it has not yet sent is gone, which is
not so with the real source. So a test waits until all that is mined is in the lake before it ends
the simulator. What the producer has published stays on the topic, whichever service ends.
"""

from collections import Counter

from tests.support.containers import Containers, wait

SETTLED_SECONDS = 300


class Ledger:
    """A stack, and the hashes that must be in its lake (`owed`).

    Blocks from before the ledger may be from before the producer's first start, which begins at the
    newest block: of those, only what is on the topic must be there.
    """

    def __init__(self, stack: Containers) -> None:
        self.stack = stack
        self.owed: set[str] = set()
        self._mined_before = set(stack.truth()["mined"])

    def note_mined(self) -> None:
        """Mine what waits, and expect all that is in a block, apart from coinbases."""
        self.stack.mine()
        truth = self.stack.truth()
        self.owed |= set(truth["mined"]) & set(truth["emitted"]) - self._mined_before

    def note_published(self) -> None:
        """Expect all that is on the topic."""
        self.owed |= set(self.stack.published())

    def settle(self, seconds: float) -> None:
        """Wait until all that is expected is scored."""
        left: set[str] = set()

        def arrived() -> bool:
            left.clear()
            left.update(self.owed - set(self.stack.rows("scored_transactions")))
            return not left

        wait(arrived, seconds, lambda: f"{len(left)} of {len(self.owed)} are not scored")

    def balance(self, seconds: float = SETTLED_SECONDS) -> int:
        """Assert that each is there once, and nothing else; the number of rows in raw."""
        self.note_mined()
        self.note_published()
        self.settle(seconds)
        scored = Counter(self.stack.rows("scored_transactions"))
        raw = Counter(self.stack.rows("raw_transactions"))
        for name, counts in {"raw": raw, "scored": scored}.items():
            assert [value for value, times in counts.items() if times > 1] == [], name
        assert set(scored) <= set(raw) <= set(self.stack.published())
        assert self.owed <= set(scored)
        assert self.stack.rows("quarantine", "reason") == []
        return len(raw)
