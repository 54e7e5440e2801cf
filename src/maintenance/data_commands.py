"""Backup, restore and upgrade as commands, on the data of the settings.

    python data_commands.py backup FILE
    python data_commands.py restore FILE
    python data_commands.py upgrade FILE      (FILE: where the backup goes that is made first)

FILE may be `-`, which is standard output or input; all sentences go to standard error.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from deltalake.exceptions import DeltaError

from core.lake import OriginMismatchError
from core.registry.tracking_database import DatabaseUnusableError
from core.settings import DataSettings, KafkaSettings
from maintenance.archive import ArchiveError, installed_version
from maintenance.backup import make_backup
from maintenance.data_folder import (
    DataFolder,
    MaintenanceError,
    data_folder,
    locked,
    require_data,
    unused,
)
from maintenance.restore import restore_backup
from maintenance.upgrade import needed_steps

_FORESEEN = (
    *(MaintenanceError, ArchiveError, OriginMismatchError, DatabaseUnusableError),
    *(DeltaError, OSError, sqlite3.Error),
)


def backup(folder: DataFolder, file: str) -> None:
    """Back up into a file, which appears once it is whole."""
    started = time.monotonic()
    with _written(file) as out:
        contents = make_backup(folder, KafkaSettings().bootstrap_servers, out, say)
    seconds = time.monotonic() - started
    say(
        f"{_named(file)} holds {contents.transactions:,} transactions and what belongs to them: "
        f"{contents.size / 1e6:,.0f} MB in {seconds:.0f} s."
    )


def restore(folder: DataFolder, file: str) -> None:
    """Restore a file into the empty folder."""
    started = time.monotonic()
    with unused(folder), _read(file) as archive:
        size = restore_backup(folder, archive)
    seconds = time.monotonic() - started
    say(
        f"Restored {size / 1e6:,.0f} MB in {seconds:.0f} s. Start the stack: it goes on from there."
    )


def upgrade(folder: DataFolder, file: str) -> None:
    """Back up into a file, then change what an earlier version left, and say what that was."""
    require_data(folder)
    with unused(folder):
        steps = needed_steps(folder)
        if not steps:
            say(f"The data is already that of version {installed_version()}: nothing is changed.")
            return
        backup(folder, file)
        for step in steps:
            step.change()
            say(step.done)
    say(f"The data is that of version {installed_version()}.")


COMMANDS: dict[str, Callable[[DataFolder, str], None]] = {
    "backup": backup,
    "restore": restore,
    "upgrade": upgrade,
}


def run(command: str, file: str) -> int:
    """Run a command on the data of the settings; the exit code, 1 after a sentence of refusal."""
    try:
        COMMANDS[command](data_folder(DataSettings()), file)
    except _FORESEEN as error:
        say(str(error))
        return 1
    return 0


def say(sentence: str) -> None:
    """Say something to the person at the terminal."""
    sys.stderr.write(f"{sentence}\n")


@contextmanager
def _written(file: str) -> Iterator[BinaryIO]:
    """The stream to write to; a file gets its name once all of it is on the disk."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    partial = path.with_name(f"{path.name}.partial")
    with locked(partial, f"Another backup into {path} is made at this moment."):
        try:
            if path.exists():
                raise MaintenanceError(f"{path} exists: name another file.")
            with partial.open("wb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def _read(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as archive:
        yield archive


def _named(file: str) -> str:
    return "The backup" if file == "-" else file


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in COMMANDS:
        sys.exit("python data_commands.py backup|restore|upgrade FILE")
    sys.exit(run(*sys.argv[1:]))
