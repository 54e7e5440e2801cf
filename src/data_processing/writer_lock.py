"""One writer a lake: on a plain disk, Delta is safe with one Spark process only.

The Java process takes the lock, because it does the writing. If Python alone is killed, Java may
still be inside a commit, and holds the lock until it ends. The operating system releases the lock
when that process ends, however it ends. For a lake on an object store, the lock guards only the
machine whose DATA_DIR it is in, and `lake_claim.py` the others.
"""

import logging
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from core.object_store import on_store
from data_processing.stream_checkpoint import stream_folder

log = logging.getLogger(__name__)

_PROPERTY = "bitcoin.stream.lock"
_RETRY_SECONDS = 2.0


class SecondWriterError(RuntimeError):
    """Another stream writes to this lake."""


def acquire(spark: SparkSession, path: Path, timeout_seconds: float) -> None:
    """Take the lock until this Spark ends; the file then holds its process id.

    Waits for a process that is just ending. Raises `SecondWriterError` after the timeout.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    jvm: Any = spark.sparkContext._jvm
    file = jvm.java.io.RandomAccessFile(str(path), "rw")
    deadline = time.monotonic() + timeout_seconds
    while (lock := file.getChannel().tryLock()) is None:
        if time.monotonic() > deadline:
            owner = path.read_text().strip() or "unknown"
            raise SecondWriterError(
                f"another stream writes to this lake: process {owner} holds {path}; stop it first"
            )
        log.warning("event=waiting_for_writer_lock lock=%s", path)
        time.sleep(_RETRY_SECONDS)
    file.setLength(0)
    file.writeBytes(f"{jvm.java.lang.ProcessHandle.current().pid()}\n")
    # Java closes a file that nothing refers to, which would release the lock.
    jvm.java.lang.System.getProperties().put(f"{_PROPERTY}:{path}", lock)


def lock_path(lake: str, data_dir: Path) -> Path:
    """The lock file of a lake: in the lake where that is a folder, else beside the checkpoints.

    Both are the stream's to write; in a container nothing else of the data folder is.
    """
    return (stream_folder(data_dir) if on_store(lake) else Path(lake)) / ".stream.lock"
