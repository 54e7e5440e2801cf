"""The work between micro-batches: a chore says when it is due, and does one bounded piece of it.

The tables are a chore's only lasting state: at the start it finds in them what is left to do. The
webhook is no chore: it posts from a separate thread what is on the topic `bitcoin-anomalies`.
"""

from typing import Protocol

from data_processing.micro_batch import MicroBatch


class Chore(Protocol):
    """One kind of work; `name` is its label in the metrics."""

    name: str

    def on_batch(self, batch: MicroBatch) -> None:
        """Note what a committed micro-batch leaves to do."""

    def due(self) -> bool:
        """Whether there is something to do now."""
        ...

    def run(self) -> None:
        """Do one piece of the work."""
