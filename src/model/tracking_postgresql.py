"""MLflow's database on a server: brought to the schema of the installed MLflow at the start.

`mlflow db upgrade` changes it in one transaction, so that an upgrade that fails or is killed leaves
it as it was. No copy of before is kept: make a backup first (docs/operations.md).
"""

import logging
import os
from collections.abc import Mapping

from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from core.registry.tracking_database import DatabaseUnusableError, migrate, upgrade_step

log = logging.getLogger(__name__)


def upgrade(url: str, variables: Mapping[str, str]) -> None:
    """Upgrade the database at `url`; one that MLflow has not begun is left to it.

    `variables` are those of the environment by which its client is given the password. Raises
    `DatabaseUnusableError` for a database that cannot be reached, for one of a later MLflow, and
    when the upgrade fails.
    """
    shown, password = make_url(url), variables.get("PGPASSWORD")  # a URL is shown without its own
    step = upgrade_step(revision(url, password), shown, "a backup of before its upgrade")
    if step is None:
        return
    found, newest = step
    log.info("event=tracking_database_upgrade from=%s to=%s database=%s", found, newest, shown)
    said = migrate(url, os.environ | variables)
    if revision(url, password) != newest:
        raise DatabaseUnusableError(
            f"mlflow db upgrade of {shown} failed, the database is unchanged; start the earlier "
            f"MLflow: {said}"
        )


def revision(url: str, password: str | None) -> str | None:
    """The schema's revision; None for a database that MLflow has not begun.

    Raises `DatabaseUnusableError` when it cannot be reached.
    """
    engine = create_engine(url, connect_args={} if password is None else {"password": password})
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            found = connection.execute(text("select version_num from alembic_version")).scalar()
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]
        raise DatabaseUnusableError(
            f"{engine.url} cannot be read ({reason}): start it, or correct MLFLOW_DATABASE_URL and "
            "MLFLOW_DATABASE_PASSWORD_FILE"
        ) from error
    finally:
        engine.dispose()
    return None if found is None else str(found)
