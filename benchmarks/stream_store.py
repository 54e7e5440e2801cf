"""The stream on an object store against the same on this machine's disk.

python -m benchmarks.stream_store [HASHES]     150,000 distinct hashes by default

The store is versitygw, as in docker-compose.scale.yml, on this machine: it takes processor time of
the same cores. Each round is a new stream process on a new lake, with two threads of Spark.
"""

import os
import shutil
import statistics
import sys

from benchmarks.stream import folder_and_broker, hashes_asked, publish, throughput
from tests.support.store_server import INSTALL_GATEWAY, gateway, store_server
from tests.support.stream_processes import StreamProcess

HASHES, ROUNDS, AIM = 150_000, 2, 0.8


def main() -> None:
    """Print one table."""
    if shutil.which("versitygw") is None:
        sys.exit(f"versitygw is not installed: {INSTALL_GATEWAY}")
    hashes = hashes_asked(HASHES)
    with folder_and_broker() as (folder, kafka), store_server(folder, gateway) as store:
        os.environ.update(store.settings)
        publish(kafka.servers, hashes)
        on_disk, on_store = list[float](), list[float]()
        for number in range(ROUNDS):
            root = folder / f"round-{number}"
            root.mkdir()
            stream = StreamProcess(root / "data", kafka.servers, root / "disk.log")
            on_disk.append(throughput(stream, hashes))
            lake = {"LAKE_URI": store.uri(f"lake-{number}")}
            stream = StreamProcess(root / "state", kafka.servers, root / "store.log", lake)
            on_store.append(throughput(stream, hashes))
    disk, remote = statistics.median(on_disk), statistics.median(on_store)
    print("| what | measured | aim |\n|---|---:|---:|")
    print(f"| Kafka to scored, {hashes:,} hashes, on the disk | {disk:,.0f}/s | |")
    print(f"| … on an object store | {remote:,.0f}/s | |")
    print(f"| … this against the disk | {remote / disk:.2f} x | {AIM} |")


if __name__ == "__main__":
    main()
