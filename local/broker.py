"""One Kafka broker that is also its controller (KRaft), run from the resolved jars on 127.0.0.1.

    python -m local.broker

The first start formats its folder. The process is then replaced by the broker; SIGTERM stops it.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from core.settings import DataSettings, KafkaSettings
from local import jars

CLUSTER_ID = "Yml0Y29pbi1hbm9tYWxpZQ"
"""Any fixed id: one broker is the whole cluster."""

METRICS_RULES = Path(__file__).resolve().parent / "kafka-metrics.yml"


@dataclass(frozen=True)
class Broker:
    """A broker: the folder of its log, and its ports on 127.0.0.1; None serves no metrics."""

    folder: Path
    port: int
    controller_port: int
    metrics_port: int | None = None

    def properties(self) -> str:
        """The broker's `server.properties`."""
        return f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{self.controller_port}
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={self.folder / "log"}
auto.create.topics.enable=false
message.max.bytes=4194304
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
# No topic here is compacted: its cleaner would hold 128 MiB for the keys of one.
log.cleaner.dedupe.buffer.size=8388608
""".lstrip()

    def prepare(self) -> None:
        """Write the properties, and format the log where it is new."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "server.properties"
        path.write_text(self.properties())
        formatting = ["format", "-t", CLUSTER_ID, "-c", str(path), "--ignore-formatted"]
        subprocess.run(
            [*_java(), "kafka.tools.StorageTool", *formatting],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def command(self) -> list[str]:
        """The command that runs the prepared broker in the foreground."""
        agent = []
        if self.metrics_port is not None:
            target = f"127.0.0.1:{self.metrics_port}:{METRICS_RULES}"
            agent = [f"-javaagent:{jars.agent()}={target}"]
        return [*_java(*agent), "kafka.Kafka", str(self.folder / "server.properties")]


def _java(*options: str) -> list[str]:
    heap = ["-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]
    if (archive := jars.class_archive("kafka")).exists():
        options = (f"-XX:SharedArchiveFile={archive}", *options)
    return ["java", *heap, "-Dlog4j2.level=WARN", *options, "-cp", jars.classpath("kafka")]


def main() -> None:
    """Prepare the broker of the settings, then replace this process by it."""
    kafka = KafkaSettings()
    folder = DataSettings().data_dir.resolve() / "kafka"
    broker = Broker(folder, kafka.kafka_port, kafka.kafka_controller_port, kafka.kafka_metrics_port)
    broker.prepare()
    command = broker.command()
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
