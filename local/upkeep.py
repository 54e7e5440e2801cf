"""Backup, restore and upgrade of the local stack's data: `make backup`, `restore`, `upgrade`.

    python -m local.upkeep backup|restore|upgrade [STACK] [FILE]

STACK is demo or live; without it, the one that has data, or that the backup is of.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from core.settings import ROOT, DataSettings
from local.services import ORIGINS, environment
from local.stack import reserve
from maintenance.archive import ArchiveError, read_header
from maintenance.data_commands import COMMANDS, run


def stack_of(command: str, stack: str, file: str, data: Path) -> str:
    """Which stack's data is meant; exits with a sentence where that is not clear."""
    if stack:
        if stack not in ORIGINS:
            sys.exit(f"STACK={stack} is none: it is demo, live or docker.")
        return stack
    if command == "restore":
        return _stack_of_backup(file)
    present = [name for name in ORIGINS if (data / name).is_dir()]
    if not present:
        sys.exit(f"There is no data in {data}.")
    if len(present) > 1:
        sys.exit(f"{data} has the data of demo and of live: say STACK=demo or STACK=live.")
    return present[0]


def _stack_of_backup(file: str) -> str:
    try:
        with Path(file).open("rb") as archive:
            origin = read_header(archive).origin
    except OSError as error:
        sys.exit(f"{file} cannot be opened: {error.strerror}.")
    except ArchiveError as error:
        sys.exit(str(error))
    return next(stack for stack, its_origin in ORIGINS.items() if its_origin == origin)


def backup_name(stack: str, now: datetime) -> str:
    """The file of a backup that nobody has named.

    >>> backup_name("demo", datetime(2026, 11, 29, 12, 30, tzinfo=UTC))
    'backups/demo-20261129T123000Z.tar'
    """
    return f"backups/{stack}-{now:%Y%m%dT%H%M%SZ}.tar"


def main() -> None:
    """Run the command on the data of one stack; a relative file starts at the checkout."""
    command, stack, file = [*sys.argv[1:], "", "", ""][:3]
    if command not in COMMANDS:
        sys.exit("python -m local.upkeep backup|restore|upgrade [demo|live] [FILE]")
    if command == "restore" and not file:
        sys.exit("Name the backup: make restore FILE=backups/NAME.tar")
    os.chdir(ROOT)
    root = DataSettings().data_dir.resolve()
    stack = stack_of(command, stack, file, root)
    data = root / stack
    os.environ.update(environment(stack, data))
    file = file or backup_name(stack, datetime.now(UTC))
    if command == "backup":
        sys.exit(run(command, file))
    reserved = reserve(data)
    if reserved is None:
        sys.exit(f"The stack of {data} runs: stop it first, with Ctrl-C where it was started.")
    with reserved:
        sys.exit(run(command, file))


if __name__ == "__main__":
    main()
