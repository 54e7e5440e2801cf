"""Three brokers as in docker-compose.scale.yml, as processes on this machine."""

import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kafka.errors import KafkaError
from local.broker import Broker
from local.ports import accepts, free_port
from tests.support.processes import Part
from tests.support.stream_processes import wait_for

from core.settings import ROOT
from core.topics import ensure_topics

PROPERTIES = ROOT / "broker" / "scale.properties"
REPLICATION = 3


@dataclass(frozen=True)
class Member(Broker):
    """A broker of several: `voters` are the controllers of all, as Kafka writes them."""

    node: int = 1
    voters: str = ""

    def properties(self) -> str:
        """The file of the Docker stack, with the addresses and the folder of this broker."""
        own = {
            "node.id": str(self.node),
            "controller.quorum.voters": self.voters,
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},"
            f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "log.dirs": str(self.folder / "log"),
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
        }
        lines = [line for line in PROPERTIES.read_text().splitlines() if not line.startswith("#")]
        kept = dict(line.split("=", 1) for line in lines)
        return "".join(f"{key}={value}\n" for key, value in (kept | own).items())


class BrokerCluster:
    """Three brokers, each of which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        places = [(free_port(), free_port()) for _ in range(REPLICATION)]
        voters = ",".join(
            f"{node}@127.0.0.1:{controller}" for node, (_, controller) in enumerate(places, 1)
        )
        self.members = [
            Member(folder / f"broker-{node}", port, controller, None, node, voters)
            for node, (port, controller) in enumerate(places, 1)
        ]
        self.servers = ",".join(f"localhost:{member.port}" for member in self.members)
        self.parts = [
            Part(member.command(), member.folder / "broker.log", {}) for member in self.members
        ]

    @property
    def running(self) -> subprocess.Popen[bytes] | None:
        """The first broker, which `kill` kills."""
        return self.parts[0].running

    def start(self) -> None:
        """Start those that do not run."""
        for member in self.members:
            if not member.folder.exists():
                member.prepare()
            self.start_one(member.node)
        for member in self.members:
            wait_for(lambda port=member.port: accepts(port), "a broker")  # type: ignore[misc]
        wait_for(self._has_topics, "the topics")

    def _has_topics(self) -> bool:
        with suppress(KafkaError):  # until all three are there
            ensure_topics(self.servers, 3, REPLICATION)
            return True
        return False

    def start_one(self, node: int) -> None:
        self.parts[node - 1].start()

    def kill_one(self, node: int) -> None:
        self.parts[node - 1].kill()

    def kill(self) -> None:
        self.kill_one(1)

    def close(self) -> None:
        for part in self.parts:
            part.kill()
