"""A database of MLflow as an earlier version of it leaves it."""

import os
import subprocess
import sys
from pathlib import Path

EARLIER = "b7e2c1a4d9f3"
"""The schema of an MLflow before the installed one."""

AS_AN_EARLIER_MLFLOW = """
import sys
from alembic import command
from alembic.config import Config
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine, text

uri, schema = sys.argv[1:]
Base.metadata.create_all(create_engine(uri))
config = Config()
config.set_main_option("script_location", "mlflow:store/db_migrations")
config.set_main_option("sqlalchemy.url", uri)
command.upgrade(config, schema)
with create_engine(uri).begin() as connection:
    connection.execute(text("insert into registered_models (name) values ('BeforeTheUpgrade')"))
"""


def a_database(path: Path, schema: str) -> None:
    """A database as an MLflow of that schema left it, with one registered model."""
    path.parent.mkdir(parents=True)
    a_database_at(f"sqlite:///{path}", schema)


def a_database_at(url: str, schema: str, **variables: str) -> None:
    """The same at a URL; its client is given the variables of the environment."""
    made = [sys.executable, "-c", AS_AN_EARLIER_MLFLOW, url, schema]
    subprocess.run(made, env=os.environ | variables, check=True, capture_output=True, timeout=300)
