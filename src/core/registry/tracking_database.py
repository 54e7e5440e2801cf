"""The database of the MLflow server: brought to the schema of the installed MLflow at the start.

MLflow itself refuses a database of an earlier version ("out-of-date database schema"). Here a copy
is upgraded by `mlflow db upgrade` and then takes the place of the database, so that an upgrade that
fails or is killed changes nothing. The database of before stays beside it.
"""

import ast
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

log = logging.getLogger(__name__)

_MIGRATIONS = ("store", "db_migrations", "versions")


class DatabaseUnusableError(RuntimeError):
    """The database cannot be used by the installed MLflow; the message says what to do."""


def upgrade(path: Path) -> None:
    """Upgrade the SQLite database at `path`; one that is new, absent or empty is left to MLflow.

    The earlier one stays as `<name>.<its revision>`. Raises `DatabaseUnusableError` for a database
    of a later MLflow, one that is damaged, and when the upgrade fails.
    """
    if (step := pending(path)) is None:
        return
    found, newest = step
    earlier, new = path.with_name(f"{path.name}.{found}"), path.with_name(f"{path.name}.new")
    _copy(path, earlier)
    _copy(path, new)
    log.info("event=tracking_database_upgrade from=%s to=%s copy=%s", found, newest, earlier)
    said = migrate(f"sqlite:///{new}", os.environ)
    if revision(new) != newest:
        raise DatabaseUnusableError(
            f"mlflow db upgrade of a copy of {path} failed, the database is unchanged; put back a "
            f"backup, or start the earlier MLflow: {said}"
        )
    new.replace(path)


def pending(path: Path) -> tuple[str, str] | None:
    """The revisions from and to which the database at `path` is to be upgraded; None for neither.

    Raises `DatabaseUnusableError` for a database of a later MLflow and one that is damaged.
    """
    copies = f"a copy of before its upgrade ({path.name}.* beside it, or a backup)"
    return upgrade_step(revision(path), path, copies)


def upgrade_step(found: str | None, database: object, copies: str) -> tuple[str, str] | None:
    """The same of a database with the schema `found`; `copies` says what a person may put back."""
    if found is None:
        return None
    revisions, newest = installed_revisions()
    if found not in revisions:
        raise DatabaseUnusableError(
            f"{database} has the schema {found} of a later MLflow: install that version, or put "
            f"back {copies}"
        )
    return None if found == newest else (found, newest)


def migrate(url: str, environment: Mapping[str, str]) -> str:
    """Run `mlflow db upgrade`; the last line that it printed of an error."""
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return (done.stderr.strip() or "no reason given").splitlines()[-1]


def revision(path: Path) -> str | None:
    """The schema's revision; None for a database that is absent or that MLflow has not begun.

    Raises `DatabaseUnusableError` for a file that is damaged or no database.
    """
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path)) as database:
            listed = "select name from sqlite_schema where name = 'alembic_version'"
            if database.execute(listed).fetchone() is None:
                return None
            row = database.execute("select version_num from alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise DatabaseUnusableError(
            f"{path} cannot be read ({error}): put back a backup, or move it away to begin with an "
            "empty registry"
        ) from error
    return str(row[0]) if row else None


def installed_revisions() -> tuple[set[str], str]:
    """Every revision that the installed MLflow knows, and the newest.

    Read from the text of its migrations: to import them takes seconds.
    """
    spec = find_spec("mlflow")
    assert spec is not None and spec.origin is not None
    before: dict[str, str | None] = {}
    for path in Path(spec.origin).parent.joinpath(*_MIGRATIONS).glob("*.py"):
        values = {
            target.id: node.value.value
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if "revision" in values:
            before[str(values["revision"])] = values.get("down_revision")  # type: ignore[assignment]
    (newest,) = before.keys() - set(before.values())
    return set(before), newest


def _copy(path: Path, to: Path) -> None:
    """Copy a database that another process may have left within a transaction."""
    for suffix in ("", "-journal", "-wal", "-shm"):  # of an upgrade that was killed
        Path(f"{to}{suffix}").unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)
