"""Brings the data of an earlier version to this one, while no service runs.

What is needed is read from the data itself, so a second run finds nothing to do. Three things are
left to the services, which do them at every start: the stream creates tables that are new and sets
their properties, the producer renames tables of its journal, the trainer replaces a champion that
this version refuses.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from core.casework import CASEWORK_TABLES
from core.lake import add_columns, missing_columns, open_table
from core.registry import tracking_database
from core.tables import TABLES
from maintenance.data_folder import DATABASE, DataFolder


@dataclass(frozen=True)
class Step:
    """A change that the data needs, and the sentence about it once it is made.

    A change that a crash has cut off can be made again.
    """

    done: str
    change: Callable[[], None] = field(compare=False)


def needed_steps(folder: DataFolder) -> list[Step]:
    """What must be done, in order; nothing for data of this version.

    Raises as `core.lake.open_table`, and `DatabaseUnusableError` for a database of MLflow that is
    damaged or of a later version.
    """
    return [*_columns(folder), *_models(folder.place(DATABASE))]


def _columns(folder: DataFolder) -> Iterator[Step]:
    for part, tables in {"lake": TABLES, "casework": CASEWORK_TABLES}.items():
        for name, schema in tables.items():
            table = open_table(str(folder.parts[part]), name, folder.origin)
            if table is not None and (missing := missing_columns(table, schema)):
                names = ", ".join(column.name for column in missing)
                yield Step(
                    f"{part}/{name} has the new columns {names}, null in its rows.",
                    partial(add_columns, table, missing),
                )


def _models(database: Path) -> Iterator[Step]:
    if (step := tracking_database.pending(database)) is not None:
        found, newest = step
        yield Step(
            f"MLflow's database went from schema {found} to {newest}; the one before is beside it.",
            partial(tracking_database.upgrade, database),
        )
