"""An object store of the test's own: moto's S3 server, one bucket, a file of credentials."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from local.ports import free_port
from tests.support.processes import accepts, process, wait_until

BUCKET = "bitcoin"
CREDENTIALS = "[default]\naws_access_key_id = a-key\naws_secret_access_key = a-secret\n"


@dataclass(frozen=True)
class StoreServer:
    """The settings of a running store, and the URIs in it."""

    endpoint: str
    credentials: Path

    @property
    def settings(self) -> dict[str, str]:
        return {
            "S3_ENDPOINT_URL": self.endpoint,
            "S3_CREDENTIALS_FILE": str(self.credentials),
        }

    def uri(self, name: str) -> str:
        return f"s3://{BUCKET}/{name}"

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="a-key",
            aws_secret_access_key="a-secret",
        )


@contextmanager
def store_server(folder: Path) -> Iterator[StoreServer]:
    """Run the store while the block lasts; what it holds is in its memory."""
    credentials = folder / "credentials"
    credentials.write_text(CREDENTIALS)
    port, log = free_port(), folder / "store.log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with process(command, log, {"PYTHONWARNINGS": "ignore"}) as running:
        wait_until(lambda: accepts(port), running, log)
        server = StoreServer(f"http://127.0.0.1:{port}", credentials)
        server.client.create_bucket(Bucket=BUCKET)
        yield server
