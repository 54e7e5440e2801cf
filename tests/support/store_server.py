"""An object store of one's own: a server, moto's by default, one bucket, a file of credentials."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from local.ports import accepts, free_port
from tests.support.processes import Part, wait_until

BUCKET = "bitcoin"
KEY, SECRET = "a-key", "a-secret"
CREDENTIALS = f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
_ENVIRONMENT = {"PYTHONWARNINGS": "ignore", "ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}
"""Of moto, and of versitygw."""


@dataclass(frozen=True)
class StoreServer:
    """The settings of a store, the URIs in it, and its process."""

    endpoint: str
    credentials: Path
    part: Part

    @property
    def settings(self) -> dict[str, str]:
        return {
            "S3_ENDPOINT_URL": self.endpoint,
            "S3_CREDENTIALS_FILE": str(self.credentials),
        }

    def uri(self, name: str) -> str:
        return f"s3://{BUCKET}/{name}"

    def file(self, uri: str) -> "StoreFile":
        return StoreFile(self.client, uri.removeprefix(f"s3://{BUCKET}/"))

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )


@dataclass(frozen=True)
class StoreFile:
    """An object, with those methods of a path that damage it."""

    client: Any
    key: str

    def read_bytes(self) -> bytes:
        return bytes(self.client.get_object(Bucket=BUCKET, Key=self.key)["Body"].read())

    def write_bytes(self, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=self.key, Body=data)

    def unlink(self) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=self.key)


INSTALL_GATEWAY = "go install github.com/versity/versitygw/cmd/versitygw@v1.7.0"


def gateway(port: int, folder: Path) -> list[str]:
    """The command of versitygw, as in docker-compose.scale.yml, on a folder of the disk."""
    objects = folder / "objects"
    objects.mkdir()
    return ["versitygw", "--port", f"127.0.0.1:{port}", "posix", str(objects)]


def moto(port: int, _folder: Path) -> list[str]:
    """The command of moto's server, which holds everything in its memory."""
    return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]


@contextmanager
def store_server(
    folder: Path, command: Callable[[int, Path], list[str]] = moto
) -> Iterator[StoreServer]:
    """Run the store of this command while the block lasts, with its log in `folder`."""
    credentials = folder / "credentials"
    credentials.write_text(CREDENTIALS)
    port, log = free_port(), folder / "store.log"
    store = Part(command(port, folder), log, _ENVIRONMENT)
    running = store.start()
    try:
        wait_until(lambda: accepts(port), running, log)
        server = StoreServer(f"http://127.0.0.1:{port}", credentials, store)
        server.client.create_bucket(Bucket=BUCKET)
        yield server
    finally:
        store.end()
