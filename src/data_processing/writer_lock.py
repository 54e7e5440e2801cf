"""One writer a lake: Delta on a plain disk is safe with one Spark process, and no more.

The lock is taken by the Java process, which is what writes: were Python killed alone, Java could
still be inside a commit, and the lock stays with it until it is gone. The system frees it when that
process ends, however it ends. On an object store it only guards one machine's DATA_DIR.
"""

import logging
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

log = logging.getLogger(__name__)

_PROPERTY = "bitcoin.stream.lock"


class SecondWriterError(RuntimeError):
    """Another stream writes to this lake."""


def hold(spark: SparkSession, path: Path, patience_seconds: float = 20) -> None:
    """Take the lock until this Spark ends; the file names its process.

    Waits for a process that is just ending. Raises `SecondWriterError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    jvm: Any = spark.sparkContext._jvm
    access = jvm.java.io.RandomAccessFile(str(path), "rw")
    deadline = time.monotonic() + patience_seconds
    while (held := access.getChannel().tryLock()) is None:
        if time.monotonic() > deadline:
            owner = path.read_text().strip() or "unknown"
            raise SecondWriterError(
                f"another stream writes to this lake: process {owner} holds {path}; stop it first"
            )
        log.warning("waiting for another writer to end lock=%s", path)
        time.sleep(2)
    access.setLength(0)
    access.writeBytes(f"{jvm.java.lang.ProcessHandle.current().pid()}\n")
    # Java closes a file that nothing refers to, and with it goes the lock.
    jvm.java.lang.System.getProperties().put(f"{_PROPERTY}:{path}", held)


def lock_path(lake: str, data_dir: Path) -> Path:
    """Where the lock of a lake lies: in the lake itself when that is a folder."""
    return (data_dir if "://" in lake else Path(lake)) / ".stream.lock"
