"""The stack in Docker, started once for each module that asks for it.

`RATE` is how many transactions a second the simulator sends, 20 without it.
"""

import os
from collections.abc import Iterator, Mapping
from secrets import token_hex

import pytest
from tests.docker.ledger import Ledger
from tests.support.containers import CLUSTER_FILES, FILES, SCALE_FILES, Containers, unable, wait
from tests.support.processes import answers

CHAMPION_SECONDS = 900
"""The longest time until the first model scores, and again until all that came before it is scored,
which twenty containers on two cores need."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    yield from running(FILES, tmp_path_factory)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    yield from running(CLUSTER_FILES, tmp_path_factory)


@pytest.fixture(scope="module")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    folder = tmp_path_factory.mktemp("secrets")
    password, keys = folder / "mlflow-password", folder / "s3-credentials"
    password.write_text(f"{token_hex(24)}\n")
    names = {"aws_access_key_id": "bitcoin", "aws_secret_access_key": token_hex(24)}
    keys.write_text("\n".join(["[default]", *(f"{k} = {v}" for k, v in names.items()), ""]))
    for path in (password, keys):
        path.chmod(0o644)  # three users read them in the containers
    settings = {
        "MLFLOW_DATABASE_PASSWORD_FILE": str(password),
        "S3_CREDENTIALS_FILE": str(keys),
        "DATA_ORIGIN": "simulated",
        "KAFKA_PARTITIONS": "4",
    }
    yield from running(SCALE_FILES, tmp_path_factory, settings)


def running(
    files: tuple[str, ...],
    folders: pytest.TempPathFactory,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Ledger]:
    reason = unable()
    if reason is not None:
        pytest.skip(reason)
    asked = {"SIMULATOR_RATE": os.environ.get("RATE") or "20", **(settings or {})}
    stack = Containers(folders.mktemp("docker"), files, asked)
    try:
        stack.compose("up", "-d")
        stack.wait_healthy()
        ready = stack.url("API", "ready")
        wait(lambda: answers(ready), CHAMPION_SECONDS, lambda: "no champion")
        ledger = Ledger(stack)
        ledger.balance(CHAMPION_SECONDS)
        yield ledger
    finally:
        stack.remove()
