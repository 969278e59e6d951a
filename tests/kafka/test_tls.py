"""A broker that speaks TLS and lets in only who shows a certificate that it trusts."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

import commands
from cluster import Cluster, rows
from llmvitals import Publisher
from real_parts import have, started
from secured_kafka import SecuredKafka
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kafka

PASSWORD = "of the key"  # noqa: S105 - of a key of this test
PROPERTIES = """\
ssl.client.auth=required
ssl.endpoint.identification.algorithm=
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
"""


def write(certificate: trustme.LeafCert, folder: Path, name: str, password: str | None = None) -> None:
    """NAME.crt and NAME.key, and both in NAME.pem."""
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption(),
    )
    chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
    for ending, content in (("crt", chain), ("key", key), ("pem", key + chain)):
        (folder / f"{name}.{ending}").write_bytes(content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificates of an authority: the broker's, and two for clients, one with a password."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    write(authority.issue_cert("127.0.0.1"), folder, "broker")
    write(authority.issue_cert("client@example"), folder, "client")
    write(authority.issue_cert("other@example"), folder, "other", PASSWORD)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    for broker in started(SecuredKafka("SSL", PROPERTIES.format(folder=folder))):
        yield have(broker).address


@pytest.fixture
def trusting(address: str, folder: Path) -> dict[str, str]:
    return {"brokers": address, "security_protocol": "SSL", "ssl_cafile": str(folder / "ca.pem")}


async def test_calls_get_through_with_a_certificate(
    trusting: dict[str, str], folder: Path, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"ssl_certfile": str(folder / "client.pem")}
    store = tmp_path / "vitals.db"
    cluster = Cluster(trusting["brokers"], topic_prefix, tmp_path, sqlite=str(store), idle="1s", **shown)
    cluster.values |= trusting
    async with cluster:
        for stage in ("combine", "merge", "sink"):
            cluster.start(stage)
        other = {
            "ssl_certfile": str(folder / "other.crt"), "ssl_keyfile": str(folder / "other.key"),
            "ssl_password": PASSWORD, "topic_prefix": topic_prefix,
        }  # fmt: skip
        for name, value in (trusting | other).items():
            monkeypatch.setenv(f"LLMVITALS_{name.upper()}", value)
        with Publisher() as publisher:
            publisher.publish({"id": "a", "model": "gpt-5", "ts": int(time.time() * 1000)})

        async def stored() -> list[Any]:
            return await asyncio.to_thread(rows, store, "SELECT * FROM llm_calls")

        await eventually(stored, every=0.5)


@pytest.mark.parametrize("words", ["topics plan", "doctor"])
def test_who_shows_no_certificate_is_told_what_may_be_missing(
    trusting: dict[str, str], tmp_path: Path, words: str
) -> None:
    said = commands.said(tmp_path, *words.split(), **trusting)
    assert said.code == 1
    assert "does it ask for LLMVITALS_SSL_CERTFILE?" in said.text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ssl_certfile": "none.pem"}, "ssl_certfile: none.pem can't be loaded"),
        ({"ssl_keyfile": "other.key", "ssl_password": "Wrong"}, "is ssl_password the key's?"),
        ({"ssl_keyfile": "other.key"}, "is ssl_password the key's?"),
        ({"ssl_keyfile": "client.key"}, "do they belong together"),
        ({"ssl_certfile": "", "ssl_keyfile": "other.key"}, "set ssl_certfile, too"),
    ],
)
def test_a_certificate_that_cannot_be_shown(folder: Path, changes: dict[str, str], says: str) -> None:
    settings = {"brokers": "127.0.0.1:1", "security_protocol": "SSL", "ssl_certfile": "other.crt"} | changes
    said = commands.said(
        folder, "topics", "plan", **{name: value for name, value in settings.items() if value}
    )
    assert said.code == 2
    assert says in said.text
    assert "Wrong" not in said.text
