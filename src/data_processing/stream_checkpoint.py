"""The query's checkpoint: where it is, whether Spark can resume from it, and setting it aside.

The checkpoint saves the query a look-up. What has been read is known from the tables, so a
checkpoint that is damaged is set aside, and the query starts where the tables say.
"""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

Offsets = dict[str, dict[str, int]]
"""Offsets by topic and partition, as Spark writes them."""

_ASIDE = ".damaged"


def stream_folder(data_dir: Path) -> Path:
    """The folder of what the stream keeps beside the lake, in a container a volume."""
    return data_dir.resolve() / "checkpoints"


def checkpoints_folder(data_dir: Path) -> Path:
    """The folder with a checkpoint for each set of table and topics."""
    return stream_folder(data_dir) / "stream"


def set_aside(folder: Path, reason: str) -> None:
    """Rename a folder to `*.damaged`, which replaces the one that was set aside before."""
    if not folder.exists():
        return
    aside = folder.with_name(folder.name + _ASIDE)
    if aside.exists():
        shutil.rmtree(aside)
    folder.rename(aside)
    log.warning("event=checkpoint_set_aside checkpoint=%s reason=%s", folder, reason)


def find_damage(checkpoint: Path) -> str | None:
    """Why Spark cannot resume from a checkpoint; None where it can, or where there is none.

    Spark needs the query's id, the offsets of the last two micro-batches and the newest commit.
    """
    if not checkpoint.exists():
        return None
    batches, commits = _numbers(checkpoint / "offsets"), _numbers(checkpoint / "commits")
    if not batches:
        return "it has no offsets"
    newest = max([*batches, *commits])
    needed = [
        checkpoint / "metadata",
        *(checkpoint / "offsets" / str(n) for n in range(max(0, newest - 1), newest + 1)),
        *(checkpoint / "commits" / str(n) for n in commits[-1:]),
        *(checkpoint / "sources" / "0").glob("0"),
    ]
    damaged = [path.relative_to(checkpoint) for path in needed if _last_line(path) is None]
    return f"{damaged[0]} is missing or damaged" if damaged else None


def read_position(checkpoint: Path) -> Offsets:
    """The offsets that an intact checkpoint has planned to read to; none without a checkpoint."""
    batches = _numbers(checkpoint / "offsets")
    return dict(_last_line(checkpoint / "offsets" / str(batches[-1])) or {}) if batches else {}


def committed_position(checkpoint: Path) -> Offsets:
    """The offsets that micro-batches have read to and committed; none before the query has any.

    Before the first commit they are those that the query starts from.
    """
    commits = _numbers(checkpoint / "commits")
    path = checkpoint / "offsets" / str(commits[-1]) if commits else checkpoint / "sources/0/0"
    return dict(_last_line(path) or {})


def planned_records(checkpoint: Path, number: int) -> int | None:
    """How many records a micro-batch reads, by its plan; None where that does not say it."""
    before: Offsets | None
    after: Offsets | None
    before, after = (
        _last_line(checkpoint / "offsets" / str(each)) for each in (number - 1, number)
    )
    if before is None or after is None:
        return None
    return sum(
        offset - before.get(topic, {}).get(partition, 0)
        for topic, offsets in after.items()
        for partition, offset in offsets.items()
    )


def _numbers(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit())


def _last_line(path: Path) -> dict[str, Any] | None:
    """The JSON object in the last line of one of Spark's files, None where it cannot be read."""
    try:
        content = json.loads(path.read_text().splitlines()[-1])
    except (OSError, ValueError, IndexError):
        return None
    return content if isinstance(content, dict) else None
