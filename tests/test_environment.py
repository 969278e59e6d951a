"""What is in the environment and is no setting harms nobody; a publisher looks only at what it needs."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

import commands
from cluster import Cluster
from llmvitals import Publisher, settings
from llmvitals.errors import ConfigError
from llmvitals.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def service(name: str, host: str, port: int, protocol: str = "TCP", port_name: str = "") -> dict[str, str]:
    """What Kubernetes sets in every pod for a Service (kubelet's envvars.FromServices)."""
    name = name.upper().replace("-", "_")
    bracketed = f"[{host}]" if ":" in host else host
    address = f"{protocol.lower()}://{bracketed}:{port}"
    one = f"{name}_PORT_{port}_{protocol}"
    named = {f"{name}_SERVICE_PORT_{port_name.upper().replace('-', '_')}": str(port)} if port_name else {}
    return named | {
        f"{name}_SERVICE_HOST": host, f"{name}_SERVICE_PORT": str(port), f"{name}_PORT": address, one: address,
        f"{one}_PROTO": protocol.lower(), f"{one}_PORT": str(port), f"{one}_ADDR": host,
    }  # fmt: skip


PODS = {
    "llmvitals": service("llmvitals", "10.96.0.17", 9092),
    "named port": service("llmvitals", "10.96.0.17", 9464, port_name="http-metrics"),
    "udp, v6": service("llmvitals-statsd", "fd00::17", 8125, "UDP"),
    "sctp": service("llmvitals-x", "10.96.0.17", 1, "SCTP"),
    "as a setting": service("llmvitals-health", "10.96.0.17", 80),
    "several": service("llmvitals", "10.96.0.1", 80) | service("llmvitals-sqlite", "10.96.0.2", 81),
}


def put(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name in [name for name in os.environ if name.startswith("LLMVITALS_")]:
        monkeypatch.delenv(name)
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("pod", PODS)
def test_a_service_named_as_we_are_is_no_setting(
    pod: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    put(monkeypatch, LLMVITALS_GROUP="g", **PODS[pod])
    assert settings.load() == Settings(group="g")
    assert settings.load().health_port == 9464
    assert settings.unknown() == []
    Publisher().close()
    assert caplog.text == ""
    variables = {name.removeprefix("LLMVITALS_").lower(): value for name, value in PODS[pod].items()}
    said = commands.said(tmp_path, "config", "show", **variables)
    assert (said.code, said.err) == (0, "")


@pytest.mark.kafka
async def test_a_worker_runs_beside_such_services_and_says_what_it_does_not_know(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    async with Cluster(kafka, topic_prefix, tmp_path) as cluster:
        worker = cluster.start("combine", LLMVITALS_SLACK_CHANEL="#a", **PODS["several"])
        await worker.ready()
        assert await asyncio.to_thread(worker.stop) == 0
    told = "LLMVITALS_SLACK_CHANEL is no setting and is ignored: did you mean LLMVITALS_SLACK_CHANNEL?"
    assert worker.text().count(told) == 1
    assert worker.text().count("is no setting") == 1


@pytest.mark.parametrize("words", ["config show", "topics check", "schema"])
def test_a_variable_that_is_no_setting_is_a_warning(tmp_path: Path, words: str) -> None:
    said = commands.said(tmp_path, *words.split(), slack_chanel="#a", helth_port="1", zzz="1")
    assert said.code == 0
    assert sorted(said.err.splitlines()) == [
        "llmvitals: LLMVITALS_HELTH_PORT is no setting and is ignored: did you mean LLMVITALS_HEALTH_PORT?",
        "llmvitals: LLMVITALS_SLACK_CHANEL is no setting and is ignored: did you mean LLMVITALS_SLACK_CHANNEL?",
        "llmvitals: LLMVITALS_ZZZ is no setting and is ignored",
    ]


@pytest.mark.parametrize("words", ["worker", "config show"])
def test_a_wrong_key_in_the_file_stays_an_error(tmp_path: Path, words: str) -> None:
    (tmp_path / "llmvitals.toml").write_text("slack_chanel = '#a'\n")
    said = commands.said(tmp_path, *words.split())
    assert (said.code, said.out) == (2, "")
    assert "slack_chanel in llmvitals.toml: there is no such setting: did you mean slack_channel?" in said.err


def test_a_file_that_is_named_and_not_there_is_an_error(tmp_path: Path) -> None:
    said = commands.said(tmp_path, "config", "show", config="none.toml")
    assert said.code == 2
    assert "none.toml, which LLMVITALS_CONFIG names, is not there" in said.err


UNNEEDED = {
    "LLMVITALS_PANE": "garbage", "LLMVITALS_VIEWS": "{", "LLMVITALS_SLACK_TOKEN": "xoxb-1",
    "LLMVITALS_HEALTH_PORT": "tcp", "LLMVITALS_INFLUX_URL": "http://a:b@c/", "LLMVITALS_SCORERS": "x",
    "LLMVITALS_SASL_MECHANISM": "garbage", "LLMVITALS_SSL_CAFILE": "none.pem", "LLMVITALS_ALLOW_PLAINTEXT": "?",
}  # fmt: skip


def test_a_publisher_reads_no_file_and_no_setting_that_it_does_not_need(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    put(monkeypatch, LLMVITALS_BROKERS="kafka:9092", LLMVITALS_TOPIC_PREFIX="mine", **UNNEEDED)
    for text in ("brokers = 'other:1'\n", "no TOML", "pane = 7\nunknown = 1\n"):
        (tmp_path / "llmvitals.toml").write_text(text)
        publisher = Publisher()
        assert publisher._connection.brokers == "kafka:9092"
        assert publisher._topic == "mine.calls.v1"
        publisher.close()


def test_a_publisher_reads_the_file_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "own.toml").write_text("brokers = 'given:1'\npane = 'garbage'\nunknown = 1\n")
    put(monkeypatch, LLMVITALS_CONFIG=str(tmp_path / "own.toml"))
    publisher = Publisher()
    assert publisher._connection.brokers == "given:1"
    publisher.close()
    monkeypatch.setenv("LLMVITALS_CONFIG", str(tmp_path / "none.toml"))
    Publisher().close()
    assert "none.toml, which LLMVITALS_CONFIG names, is not there" in caplog.text


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"brokers": "kafka:nine"}, "brokers: write host:port"),
        ({"security_protocol": "TLS"}, "security_protocol: "),
        ({"security_protocol": "SASL_SSL", "sasl_username": "me"}, "needs sasl_username and sasl_password"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "garbage"}, "sasl_mechanism: "),
        ({"security_protocol": "SSL", "ssl_cafile": "none.pem"}, "ssl_cafile: none.pem can't be read"),
    ],
)
def test_a_publisher_says_what_is_wrong_with_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], told: str
) -> None:
    put(monkeypatch, **{f"LLMVITALS_{name.upper()}": value for name, value in values.items()})
    with pytest.raises(ConfigError) as caught:
        Publisher()
    assert told in str(caught.value)
    if set(values) == {"brokers"}:
        Publisher(brokers="kafka:9092").close()
