"""Recorded transactions from a file, one in the API's schema a line; `.gz` too.

The file is read line by line as transactions are needed. A line that is no transaction is logged
and skipped; where a `.gz` is cut off or damaged, the recording ends.
"""

import gzip
import json
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from data_ingestion.simulation.simulated_market import reprice
from data_ingestion.simulation.transactions import SimulatedTransaction, from_item

log = logging.getLogger(__name__)


@dataclass
class RecordedBlock:
    """Transactions of the history that are mined together; `reward` is their coinbase, if any."""

    height: object = None
    reward: SimulatedTransaction | None = None
    transactions: list[SimulatedTransaction] = field(default_factory=list)


class Replay:
    """The transactions of a file in their order; `level` multiplies their fees at a Unix time.

    Raises `OSError` where there is no file.
    """

    def __init__(self, path: Path, level: Callable[[float], float] = lambda _now: 1.0) -> None:
        path.stat()
        self._path, self._level = path, level
        self._lines = enumerate(_lines(path), start=1)

    def next(self, now: float) -> SimulatedTransaction | None:
        """The next transaction, received `now` where the file gives no time; None at the end."""
        item = self._item(self._level(now), int(now))
        return None if item is None else item[1]

    def history(self, most: int, now: float) -> list[RecordedBlock]:
        """Take the first transactions, at most half of the file, as they lie in its blocks.

        Transactions that the file knows no block height of are one block. The last block may be
        cut short; its rest follows with `next`.
        """
        count = min(most, sum(1 for _ in islice(_lines(self._path), 2 * most)) // 2)
        blocks: list[RecordedBlock] = []
        level = self._level(now)
        while count > 0 and (read := self._item(level, int(now))) is not None:
            count -= 1
            item, transaction = read
            height = item.get("block_height")
            if not blocks or blocks[-1].height != height:
                blocks.append(RecordedBlock(height))
            newest = blocks[-1]
            first = newest.reward is None and not newest.transactions
            if first and height is not None and _is_coinbase(item):
                newest.reward = transaction
            else:
                newest.transactions.append(transaction)
        return blocks

    def _item(self, level: float, now: int) -> tuple[dict[str, Any], SimulatedTransaction] | None:
        """The next line that is a transaction, as it was read and with its fee multiplied."""
        for number, line in self._lines:
            try:
                item = json.loads(line)
                reprice(item, level)
                return item, from_item(item, now)
            except (ValueError, KeyError, TypeError, AttributeError):
                log.warning("event=replay_line_skipped file=%s line=%d", self._path.name, number)
        return None


def _is_coinbase(item: dict[str, Any]) -> bool:
    """Whether the first transaction of a block creates coins: its one input spends no output."""
    inputs = item["inputs"]
    return len(inputs) == 1 and not (inputs[0].get("prev_out") or {}).get("tx_index")


def _lines(path: Path) -> Iterator[bytes]:
    """The file's lines; a packed one that is cut off or damaged ends there, which is logged."""
    with path.open("rb") as plain:
        if path.suffix != ".gz":
            yield from plain
            return
        try:
            with gzip.open(plain) as unpacked:
                yield from unpacked
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            log.warning("event=replay_file_cut file=%s reason=%s", path.name, error)
