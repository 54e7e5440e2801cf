"""Recorded transactions from a file: one of the API's schema a line, `.gz` too."""

import gzip
import json
import logging
from collections.abc import Iterator
from pathlib import Path

from data_ingestion.simulation.emitted import Emitted, from_item

log = logging.getLogger(__name__)


class Replay:
    """A file as a source of transactions, read as they are asked for.

    Raises `OSError` where there is no such file.
    """

    def __init__(self, path: Path) -> None:
        path.stat()
        self._name = path.name
        self._lines = enumerate(_lines(path), start=1)

    def next(self, now: float) -> Emitted | None:
        """The next transaction, received now where the file knows no time; None at the end.

        A line that is no transaction is logged and left out.
        """
        for number, line in self._lines:
            try:
                return from_item(json.loads(line), int(now))
            except (ValueError, KeyError, TypeError, AttributeError):
                log.warning("skipped file=%s line=%d", self._name, number)
        return None


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as plain:
        if path.suffix == ".gz":
            with gzip.open(plain) as unpacked:
                yield from unpacked
        else:
            yield from plain
