"""The stream on an object store against the same on this machine's disk.

python -m benchmarks.stream_store [HASHES]     150,000 distinct hashes by default

The store is versitygw, as in docker-compose.scale.yml, on this machine: it takes processor time of
the same cores. Each round is a new stream process on a new lake, with two threads of Spark.
"""

import os
import secrets
import shutil
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.stream import folder_and_broker, publish, throughput
from local.ports import free_port
from tests.support.processes import accepts, process, wait_until
from tests.support.stream_processes import StreamProcess

HASHES, ROUNDS, AIM = 150_000, 2, 0.8
BUCKET, KEY = "bitcoin", "benchmark"
INSTALL = "go install github.com/versity/versitygw/cmd/versitygw@v1.7.0"


def main() -> None:
    """Print one table."""
    gateway = shutil.which("versitygw")
    if gateway is None:
        sys.exit(f"versitygw is not installed: {INSTALL}")
    hashes = int(sys.argv[1]) if len(sys.argv) > 1 else HASHES
    with folder_and_broker() as (folder, kafka), store(folder, gateway):
        publish(kafka.servers, hashes)
        on_disk, on_store = list[float](), list[float]()
        for number in range(ROUNDS):
            root = folder / f"round-{number}"
            root.mkdir()
            stream = StreamProcess(root / "data", kafka.servers, root / "disk.log")
            on_disk.append(throughput(stream, hashes))
            lake = {"LAKE_URI": f"s3://{BUCKET}/lake-{number}"}
            stream = StreamProcess(root / "state", kafka.servers, root / "store.log", lake)
            on_store.append(throughput(stream, hashes))
    disk, remote = statistics.median(on_disk), statistics.median(on_store)
    print("| what | measured | aim |\n|---|---:|---:|")
    print(f"| Kafka to scored, {hashes:,} hashes, on the disk | {disk:,.0f}/s | |")
    print(f"| … on an object store | {remote:,.0f}/s | |")
    print(f"| … this against the disk | {remote / disk:.2f} x | {AIM} |")


@contextmanager
def store(folder: Path, gateway: str) -> Iterator[None]:
    """Run an object store on a folder while the block lasts, and have it in the environment."""
    objects, log, credentials = folder / "objects", folder / "store.log", folder / "credentials"
    (objects / BUCKET).mkdir(parents=True)
    port, secret = free_port(), secrets.token_hex(16)
    credentials.write_text(
        f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {secret}\n"
    )
    command = [gateway, "--port", f"127.0.0.1:{port}", "posix", str(objects)]
    root = {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": secret}
    with process(command, log, root) as running:
        wait_until(lambda: accepts(port), running, log)
        os.environ["S3_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        os.environ["S3_CREDENTIALS_FILE"] = str(credentials)
        yield


if __name__ == "__main__":
    main()
