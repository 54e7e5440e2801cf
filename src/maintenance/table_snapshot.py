"""A Delta table at one version: the part of its log that the version needs, and its data files.

Files that the log names never change, and stay for hours after they left the table. So a version
that was taken in a moment can be copied while the table is written, compacted and vacuumed.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from core.delta_log import files_up_to
from core.lake import open_table

_LOG = "_delta_log"
_TRIES, _PAUSE_SECONDS = 5, 0.2


@dataclass(frozen=True)
class TableSnapshot:
    """A version of a table: `log` has the content of each file, `files` the size of each in bytes.

    All paths start at the table's folder. `table` is opened at that version.
    """

    name: str
    table: DeltaTable
    rows: int
    log: dict[str, bytes]
    files: dict[str, int]


def take_snapshot(root: str, name: str, origin: str) -> TableSnapshot | None:
    """The newest version of a table; None where it does not exist.

    Raises as `core.lake.open_table`, and `OSError` or `DeltaError` where the log's files are
    missing.
    """
    for last in range(_TRIES - 1, -1, -1):
        table = open_table(root, name, origin)
        if table is None:
            return None
        try:
            return _snapshot(table, Path(root) / name)
        except (OSError, DeltaError):
            # Cleared away since it was listed, or a checkpoint that is being written.
            if not last:
                raise
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError("the last try returns or raises")


def _snapshot(table: DeltaTable, folder: Path) -> TableSnapshot:
    version, log = table.version(), folder / _LOG
    needed = files_up_to([path.name for path in log.iterdir()], version)
    contents = {f"{_LOG}/{name}": (log / name).read_bytes() for name in needed}
    with tempfile.TemporaryDirectory() as copy:
        (Path(copy) / _LOG).mkdir()
        for name, content in contents.items():
            (Path(copy) / name).write_bytes(content)
        copied = DeltaTable(copy)
        files, rows = _files(copied)
        if copied.version() != version or (files, rows) != _files(table):
            raise DeltaError(f"the log of {folder} does not lead to version {version}")
    return TableSnapshot(folder.name, table, rows, contents, files)


def _files(table: DeltaTable) -> tuple[dict[str, int], int]:
    """The size of each data file by its path, and the number of their rows."""
    actions = pa.table(table.get_add_actions(flatten=True))
    sizes = dict(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True))
    return sizes, sum(rows or 0 for rows in actions["num_records"].to_pylist())
