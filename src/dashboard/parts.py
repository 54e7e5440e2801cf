"""Into which parts a first read is divided, so that its Arrow rows never lie there all at once."""

from collections.abc import Sequence
from datetime import datetime

PART_ROWS = 200_000
"""About how many rows are read at once at the start: Arrow's strings take much more than ours."""


def parts(windows: Sequence[tuple[datetime, int]], most: int) -> list[datetime]:
    """Where to begin each read of about `PART_ROWS`, oldest first, so that `most` rows are read.

    `windows` are the beginnings and rows of short times, newest first.
    """
    found: list[tuple[datetime, int]] = []
    total = 0
    for begin, count in windows:
        total += count
        if found and total > most:
            break
        if found and found[-1][1] + count <= PART_ROWS:
            count += found.pop()[1]
        found.append((begin, count))
    return [begin for begin, _ in reversed(found)]
