"""A database of MLflow as an earlier version of it leaves it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

EARLIER = "b7e2c1a4d9f3"
"""The schema of an MLflow before the installed one."""

AS_AN_EARLIER_MLFLOW = """
import sys
from alembic import command
from alembic.config import Config
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine

uri, schema = sys.argv[1:]
Base.metadata.create_all(create_engine(uri))
config = Config()
config.set_main_option("script_location", "mlflow:store/db_migrations")
config.set_main_option("sqlalchemy.url", uri)
command.upgrade(config, schema)
"""


def a_database(path: Path, schema: str) -> None:
    """A database as an MLflow of that schema left it, with one registered model."""
    path.parent.mkdir(parents=True)
    made = [sys.executable, "-c", AS_AN_EARLIER_MLFLOW, f"sqlite:///{path}", schema]
    subprocess.run(made, check=True, capture_output=True, timeout=300)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("insert into registered_models (name) values ('BeforeTheUpgrade')")
