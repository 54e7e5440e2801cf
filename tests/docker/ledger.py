"""What was published and mined against what is in the lake: nothing lost, nothing doubled.

The simulator keeps its chain in memory alone: one that ends takes with it what it has not yet told
anybody, as no real source would. So all that it mined is seen into the lake before it is touched.
What the producer had published is on the topic, whoever ends at whatever moment, and is asked for
in full each time.
"""

from collections import Counter

from benchmarks.containers import Containers, wait

SETTLED_SECONDS = 300


class Ledger:
    """A stack and all that must be in its lake."""

    def __init__(self, stack: Containers) -> None:
        self.stack = stack
        self.owed: set[str] = set()

    def note_mined(self) -> None:
        """Mine what waits; all that is in a block is owed from now on. Coinbases are not."""
        self.stack.mine()
        truth = self.stack.truth()
        self.owed |= set(truth["mined"]) & set(truth["emitted"])

    def note_published(self) -> None:
        """Whatever is on the topic is owed from now on."""
        self.owed |= set(self.stack.published())

    def settle(self) -> None:
        """Wait until all that is owed is scored."""
        left: set[str] = set()

        def arrived() -> bool:
            left.clear()
            left.update(self.owed - set(self.stack.rows("scored_transactions")))
            return not left

        wait(arrived, SETTLED_SECONDS, lambda: f"{len(left)} of {len(self.owed)} are not scored")

    def balance(self) -> int:
        """Assert that each is there once, and nothing that was not published; the rows of raw."""
        self.note_mined()
        self.note_published()
        self.settle()
        scored = Counter(self.stack.rows("scored_transactions"))
        raw = Counter(self.stack.rows("raw_transactions"))
        for name, found in {"raw": raw, "scored": scored}.items():
            assert [value for value, times in found.items() if times > 1] == [], name
        assert set(scored) <= set(raw) <= set(self.stack.published())
        assert self.owed <= set(scored)
        assert self.stack.rows("quarantine", "reason") == []
        return len(raw)
