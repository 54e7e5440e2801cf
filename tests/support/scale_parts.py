"""The parts of docker-compose.scale.yml that a record passes, as processes on this machine."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.broker_cluster import BrokerCluster
from tests.support.processes import Part, missing
from tests.support.spark_cluster import SparkCluster
from tests.support.store_server import INSTALL_GATEWAY, StoreServer, gateway, store_server


@dataclass(frozen=True)
class ScaleParts:
    """Three brokers, a Spark master with two workers, and an object store; all of them run."""

    brokers: BrokerCluster
    spark: SparkCluster
    store: StoreServer

    @property
    def lake(self) -> str:
        return self.store.uri("lake")

    @property
    def settings(self) -> dict[str, str]:
        """Of the services that use them, beside the store's, which this process hands on."""
        return {
            "SPARK_MASTER": self.spark.master,
            "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
            "LAKE_URI": self.lake,
        }

    @property
    def killable(self) -> dict[str, Part]:
        """One of each sort, of which a test kills any."""
        return {
            "broker": self.brokers.parts[0],
            "worker": self.spark.parts[-1],
            "store": self.store.part,
        }


@contextmanager
def scale_parts(folder: Path) -> Iterator[ScaleParts]:
    """Run them while the block lasts; this process reads the lake on the store too."""
    if shutil.which("versitygw") is None:
        missing(f"versitygw is not installed: {INSTALL_GATEWAY}")
    with ExitStack() as running:
        store = running.enter_context(store_server(folder, gateway))
        patch = running.enter_context(pytest.MonkeyPatch.context())
        for name, value in store.settings.items():
            patch.setenv(name, value)
        parts = ScaleParts(BrokerCluster(folder), SparkCluster(folder), store)
        for part in (parts.brokers, parts.spark):
            running.callback(part.close)
            part.start()
        yield parts
