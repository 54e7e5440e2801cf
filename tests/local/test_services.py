"""What the services of the local stack are told."""

from pathlib import Path

import pytest
from local.ports import ports
from local.services import environment


@pytest.mark.parametrize(
    ("name", "port"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_PORT"),
        ("MLFLOW_TRACKING_URI", "MLFLOW_PORT"),
        ("API_URL", "API_PORT"),
    ],
)
def test_the_parts_find_each_other_whatever_server_the_environment_names(
    name: str, port: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, "http://elsewhere:1")
    told = environment("demo", tmp_path)
    assert told[name].removeprefix("http://") == f"localhost:{ports()[port]}"
