"""How long a backup and its restore take.

python -m benchmarks.backup [TRANSACTIONS]     1,000,000, with their scores and addresses

The data is that of thirty days: ended days compacted, today in small files, the hashes in the
producer's journal, and twenty versions of the model at 21 MB. Both end when all is on the disk.
"""

import os
import random
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.addresses import DAYS, fill

from core.settings import DataSettings
from data_ingestion.journal import Journal, Record
from maintenance.backup import make_backup
from maintenance.data_folder import ARTIFACTS, DATABASE, JOURNAL, DataFolder, data_folder
from maintenance.restore import restore_backup

VERSIONS, VERSION_BYTES = 20, 21_000_000
BACKUP_AIM, RESTORE_AIM = 60, 120
NO_KAFKA = "localhost:1"


def main() -> None:
    """Print one table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as root:
        folder, file = _folder(Path(root) / "data"), Path(root) / "backup.tar"
        _fill(folder, rows)
        begun = time.perf_counter()
        with file.open("wb") as out:
            contents = make_backup(folder, NO_KAFKA, out, lambda _: None)
            os.fsync(out.fileno())
        backup = time.perf_counter() - begun
        begun = time.perf_counter()
        with file.open("rb") as archive:
            restore_backup(_folder(Path(root) / "restored"), archive)
        restore = time.perf_counter() - begun
    megabytes = contents.size / 1e6
    print("| what | measured | aim |\n|---|---:|---:|")
    print(
        f"| {contents.transactions:,} transactions and twenty models, {megabytes:,.0f} MB: backup"
        f" | {backup:.1f} s | {BACKUP_AIM} s |"
    )
    print(f"| … its restore | {restore:.1f} s | {RESTORE_AIM} s |")


def _folder(root: Path) -> DataFolder:
    return data_folder(
        DataSettings.model_validate({"data_dir": root, "data_origin": "simulated"}),
    )


def _fill(folder: DataFolder, rows: int) -> None:
    fill(folder.parts["lake"], -(-rows // DAYS))
    with closing(Journal(folder.place(JOURNAL), 7)) as journal:
        marks = (random.randbytes(16) for _ in range(rows))
        journal.acknowledge([Record("t", "k", b"", mark=mark) for mark in marks], time.time())
    for version in range(VERSIONS):
        path = folder.place(ARTIFACTS) / str(version) / "model.skops"
        path.parent.mkdir(parents=True)
        path.write_bytes(random.randbytes(VERSION_BYTES))
    with closing(sqlite3.connect(folder.place(DATABASE))) as database, database:
        database.execute("create table models (name text)")


if __name__ == "__main__":
    main()
